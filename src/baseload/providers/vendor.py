"""What we know of a provider's API: plain facts, one struct a table of its TOML file. No behaviour.

In:     `data/<vendor>.toml` (through `catalogue.py`). Out: `Vendor`.
A TOML key is a field below; unknown keys do not load.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

COMMON_HEADERS = ("retry-after-ms", "retry-after", "date")  # what any provider may say about coming back


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One door of a vendor. `base_url` + a path of `Vendor.paths` is the URL to call."""

    base_url: str  # with the version prefix, without a slash at the end
    scope: str = "global"  # which price list applies, `scope` of the price rows
    region: str = ""  # where it runs, as the vendor says
    geo: str = ""  # price selector `geo` that this host implies
    note: str = ""


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the key is sent."""

    kind: str = "header"  # "header" | "sigv4" (a Bearer key is taken too) | "google" (OAuth by a service account)
    header: str = "authorization"
    scheme: str = "Bearer"  # "" = the bare key
    service: str = ""  # sigv4: the name that is signed
    required: bool = True  # False: an engine that may run without a key
    note: str = ""

    def value(self, key: str) -> str:
        """The header's value for a key."""
        return f"{self.scheme} {key}" if self.scheme else key


class UsageFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How usage arrives."""

    style: str = "inclusive"  # does prompt_tokens include cached and written tokens? "inclusive" | "exclusive"
    stream: str = "include_usage"  # "include_usage" = ask with stream_options | "always" = comes by itself
    cache_write_ttl: str = ""  # lifetime of writes reported without one: "5m", "30m", "1h", "12h"; "" = no such writes
    reported_cost: str = ""  # member of the usage object that names money, such as "cost"
    note: str = ""


class Translate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request of another protocol must mind when it is written for this vendor (`wire.canon.carry.Target`)."""

    developer: bool = False  # chat: the role `developer` is known; else it becomes `system`
    max_tokens_name: str = "max_tokens"  # chat: how the limit is called
    thought: str = "effort"  # how thinking is set: "effort" | "budget" | "adaptive" | "toggle" | "none"
    schema: bool = True  # JSON schema output
    image_url: bool = True  # images by URL
    image_bare: bool = False  # images as bare base64, without the data: prefix
    cache_marks: bool = False  # chat: cache_control on parts
    reasoning_back: bool = False  # chat: reasoning_content of earlier turns must come back
    unsupported: tuple[str, ...] = ()  # request members that are refused there, e.g. "seed", "n"


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where some models of a vendor differ from `Translate`. What is not given is as for the others."""

    models: tuple[str, ...]  # patterns of upstream model names, as of a shell: "kimi-k3*"
    thought: str = ""
    schema: bool | None = None
    unsupported: tuple[str, ...] | None = None
    doors: dict[str, str] = {}  # endpoint -> the endpoint of `paths` that these models are at instead
    note: str = ""


class CacheFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the vendor's prompt cache works; dispatch expects hits by it. Defaults are cautious guesses."""

    automatic: bool = True  # without marks in the request
    minimum: int = 1024  # tokens
    lifetime_s: int = 300  # of what is not asked for longer; a hit begins it anew
    note: str = ""


class LoadFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an engine says how much work it has: a page in Prometheus' text format."""

    path: str  # below base_url; one that begins with // is below the host itself
    running: str  # the gauge of requests in work
    waiting: str  # the gauge of requests that wait


class LimitHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where replies say how much of a limit is left."""

    what: Literal["requests", "tokens"]
    remaining: str  # header, lower case: a whole number
    reset: str = ""  # header: when it is full again, as a wait or an instant


class ErrorRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"kind": "class"}):
    """One line of the error table. All fields that are given must match; a list matches when any of it does."""

    kind: str  # of faults.FAULTS
    status: tuple[int, ...] = ()  # HTTP status
    code: tuple[str, ...] = ()  # the vendor's code, type or detail words; "abc*" a beginning, "*abc*" any part
    type: tuple[str, ...] = ()  # the type word only
    text: tuple[str, ...] = ()  # part of the message, in any case
    note: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where these facts were read, and on which day ("YYYY-MM-DD")."""

    what: str
    read: str


class Vendor(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"errors": "error", "model_facts": "model"},
):
    """The facts of one vendor or engine."""

    name: str
    title: str
    kind: str  # "vendor" | "engine"
    also: tuple[str, ...] = ()  # other names people look for
    scope: str = "global"  # of the host taken when nothing is said
    hosts: tuple[Host, ...] = ()
    address: str = "http://127.0.0.1:8000/v1"  # how a base URL of one's own looks, for a vendor without `hosts`
    auth: Auth = Auth()
    headers: tuple[str, ...] = ()  # optional request headers that a client or operator may set
    paths: dict[str, str] = msgspec.field(default_factory=lambda: {"chat": "/chat/completions"})
    """Endpoint -> path below base_url; one that begins with // is below the host itself. `{model}` is the upstream
    model, percent-encoded. Endpoints: chat, responses, messages, gemini, converse, qwen, qwen_multimodal, completions,
    embeddings, gemini_embed, gemini_embed_batch, rerank, images, speech, transcriptions; messages_count, gemini_count,
    responses_count count tokens."""
    stream_paths: dict[str, str] = {}  # the same for streams, where the path differs
    auth_for: dict[str, Auth] = {}  # endpoint -> how the key is sent there, where it differs
    send: dict[str, dict[str, str]] = {}  # endpoint -> headers that every request carries
    stream_send: dict[str, dict[str, str]] = {}  # the same for streams only
    translate: Translate = Translate()
    cache: CacheFacts = CacheFacts()
    load: LoadFacts | None = None  # engines
    model_facts: tuple[ModelFacts, ...] = ()  # the first that fits a model counts
    keeps_state: bool = False  # responses: it keeps replies for previous_response_id, GET and DELETE
    usage: UsageFacts = UsageFacts()
    abort: str = "unknown"  # does closing a stream stop the billing? "stops" | "continues" | "unknown"
    token_frames: bool = False  # a stream frame carries one token, so frames count tokens
    choices_max: int = 0  # choices (and prompts) a call may ask for; more would be reported as one. 0 = no limit
    keepalive_s: float = 55.0  # we leave an idle connection before the provider does: most close at 60 s or later
    silence_s: int = 0  # how long it may stay silent or send only comments before the answer; 0 = not known
    retry_headers: tuple[str, ...] = ()  # where it says when to come back, best first
    limit_headers: tuple[LimitHeader, ...] = ()  # where it says what is left of our limits
    error_headers: tuple[str, ...] = ()  # where it names the failure, for `classify`; the body may hold words only
    request_id_headers: tuple[str, ...] = ()
    finish: dict[str, str] = {}  # finish_reason that is a failure although the status is 200 -> class
    errors: tuple[ErrorRule, ...] = ()  # in this order, first match wins
    sources: tuple[Source, ...] = ()
    note: str = ""

    @property
    def fault_headers(self) -> tuple[str, ...]:
        """The headers of a failed reply that `faults.classify` reads, in lower case."""
        return tuple(dict.fromkeys((*self.retry_headers, *self.error_headers, *COMMON_HEADERS)))

    def path_of(self, endpoint: str, model: str) -> str | None:
        """Where an upstream model's endpoint is; None where the vendor's file does not say."""
        for facts in self.model_facts:
            if endpoint in facts.doors and any(fnmatchcase(model, pattern) for pattern in facts.models):
                return self.paths.get(facts.doors[endpoint])
        return self.paths.get(endpoint)

    def translate_for(self, model: str) -> Translate:
        """What a request must mind when it is written for one upstream model."""
        for facts in self.model_facts:
            if any(fnmatchcase(model, pattern) for pattern in facts.models):
                changes: dict[str, Any] = {}
                if facts.thought:
                    changes["thought"] = facts.thought
                if facts.schema is not None:
                    changes["schema"] = facts.schema
                if facts.unsupported is not None:
                    changes["unsupported"] = facts.unsupported
                return msgspec.structs.replace(self.translate, **changes)
        return self.translate

    def host(self, scope: str = "") -> Host | None:
        """The first host of a scope ("" = the default scope); None where there is none."""
        wanted = scope or self.scope
        return next((host for host in self.hosts if host.scope == wanted), None)
