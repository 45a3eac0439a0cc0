"""What cannot be carried to a protocol: refused or dropped, by one declared table; and the facts of where it goes.

A writer calls `Loss.lose(feature, param, why)`. The table says whether that ends the call with a refusal that names
`param`, or leaves the member out and reports it in `x-baseload-dropped`. With `lossless` nothing is dropped silently
or loudly: every loss is a refusal.
"""

from __future__ import annotations

import msgspec

from baseload.errors import Refusal

REFUSE, DROP = "refuse", "drop"

POLICY: dict[str, str] = {
    # What the answer depends on is refused: a call that ignores it would look served and be wrong.
    "n": REFUSE,
    "tool.builtin": REFUSE,  # another protocol's built-in tools (web search, code) run at their own provider only
    "tool.custom": REFUSE,
    "tool.choice": REFUSE,
    "media.image": REFUSE,
    "media.url": REFUSE,  # a target that takes data only: the gateway fetches nothing for a client
    "media.document": REFUSE,
    "media.audio": REFUSE,
    "media.video": REFUSE,
    "media.file": REFUSE,  # file ids belong to one provider's account
    "format.json": REFUSE,
    "format.schema": REFUSE,
    "state": REFUSE,  # previous_response_id, conversation, background, cachedContent, container
    "modality": REFUSE,  # audio or image output
    "logprobs": REFUSE,
    "logit_bias": REFUSE,
    "part": REFUSE,  # a part of a message that only its own protocol knows
    "prompt": REFUSE,  # Responses' stored prompts
    "prefill": REFUSE,  # Anthropic's max_tokens 0: elsewhere no limit, or an answer that nobody asked for
    # Wishes about how, which an answer is right without.
    "seed": DROP,
    "presence_penalty": DROP,
    "frequency_penalty": DROP,
    "temperature": DROP,  # beyond the target's range it is clamped, and named
    "top_p": DROP,
    "top_k": DROP,
    "stop": DROP,
    "parallel": DROP,
    "thought": DROP,  # effort, budget, summary: the nearest setting of the target is taken where there is one
    "thinking": DROP,  # thinking of earlier turns that is another model's: it must not go there
    "tier": DROP,
    "user": DROP,
    "metadata": DROP,
    "cache": DROP,  # cache marks and keys
    "verbosity": DROP,
    "strict": DROP,
    "schema.keyword": DROP,  # a keyword of a JSON schema outside the target's subset
    "detail": DROP,
    "citations": DROP,
    "store": DROP,
    "name": DROP,  # a participant's name
    "safety": DROP,  # Gemini's safetySettings
    "other": DROP,  # any member without a canonical meaning
}

MEMBERS: dict[str, str] = {
    # Members of `Request.others` that are more than "other": what becomes of them is not a matter of taste.
    "modalities": "modality",
    "audio": "modality",
    "previous_response_id": "state",
    "conversation": "state",
    "background": "state",
    "container": "state",
    "cachedContent": "state",
    "generationConfig.responseModalities": "modality",
    "generationConfig.responseMimeType": "format.schema",  # text/x.enum: an answer that is no JSON
    "prompt": "prompt",
    "max_tokens": "prefill",
    "mcp_servers": "tool.builtin",
    "safetySettings": "safety",
    "store": "store",
    "prompt_cache_options": "cache",
    "prompt_cache_retention": "cache",
}


class Uncarried(Refusal):
    """The request asks for something that the protocol of the chosen provider has no place for."""

    code, status = "unsupported_after_translation", 400


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a translated request goes: facts of the offer and its vendor's dialect."""

    protocol: str  # "chat" | "responses" | "messages" | "gemini" | "converse" | "qwen"
    dialect: str = ""  # the vendor's name in the catalogue
    model: str = ""  # upstream model
    output_max: int = 0  # tokens; taken where the protocol requires a limit and the client gave none. 0 = 4096
    lossless: bool = False
    developer: bool = True  # chat: the role `developer` is known
    max_tokens_name: str = "max_completion_tokens"  # chat: how the limit is called there ("max_tokens" elsewhere)
    thought: str = "effort"  # how thinking is set: "effort" | "budget" | "adaptive" | "toggle" | "none"
    schema: bool = True  # JSON schema output is supported
    image_url: bool = True  # images may be given by URL
    image_bare: bool = False  # images as bare base64, without the data: prefix (Zhipu)
    cache_marks: bool = False  # chat: cache_control on parts is accepted
    reasoning_back: bool = True  # chat: reasoning_content of earlier turns is wanted back
    unsupported: tuple[str, ...] = ()  # members of this table that the dialect refuses, e.g. ("seed", "n")

    @property
    def origin(self) -> str:
        """Whose signatures are good here: they belong to a vendor and a model (protocols.md, pitfall 2)."""
        return f"{self.dialect}/{self.model}"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the client's protocol needs for its reply beside the reply itself."""

    model: str  # as the client asked
    id: str  # the call's id; replies without an id of their own get one made from it
    created_s: int
    origin: str = ""  # of the provider, for signatures
    wants_usage: bool = False  # chat: stream_options.include_usage
    show_thinking: bool = True
    array: bool = False  # gemini: a JSON array instead of SSE


class Written(msgspec.Struct, frozen=True, kw_only=True):
    body: bytes
    dropped: tuple[str, ...] = ()  # members, in the client's own words, for x-baseload-dropped
    door: str = ""  # where the provider takes such a body at a path of its own: the name of that door


class Loss:
    """Collects what one request loses on its way to one target."""

    __slots__ = ("_dropped", "_target")

    def __init__(self, target: Target) -> None:
        self._target = target
        self._dropped: dict[str, None] = {}

    def lose(self, feature: str, param: str, why: str = "") -> None:
        """`feature` is a key of POLICY; `param` the client's own name of it, e.g. "seed" or "messages.2.content.1".

        A member of `Request.others` is lost as "other"; MEMBERS says which of them count as something else.
        """
        if feature == "other":
            feature = MEMBERS.get(param, feature)
        if POLICY[feature] == REFUSE or self._target.lossless:
            say = why or f"{param} cannot be carried to the protocol {self._target.protocol} of the chosen provider."
            change = f"Leave out {param}"
            if feature == "media.url":
                say = f"{param} is a URL; the chosen provider takes data only, and the gateway fetches nothing."
                change = "Send the content itself, as base64 data"
            fix = f"{change}, or ask for a model that is served in this protocol itself."
            raise Uncarried(say, fix, param=param)
        self._dropped[param] = None

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)
