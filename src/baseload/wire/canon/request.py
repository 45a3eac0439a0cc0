"""A conversation in no protocol's words: turns of parts, tools, and how to answer.

Every protocol's `request_in` makes one of these and every `request_out` writes one. A part that only its own protocol
knows is kept as `Opaque`, so that the writer of another can name what it cannot carry. JSON schemas and arguments stay
the bytes that came: key order and large integers survive.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.raw import ABSENT


class Part(msgspec.Struct, gc=False, kw_only=True):
    """One piece of a turn. `cache`: a cache mark stands on it: "" = none, else its lifetime ("5m", "30m", "1h")."""

    cache: str = ""


class Text(Part, gc=False, kw_only=True):
    text: str
    citations: tuple[Raw, ...] = ()  # in the form of `citations_of`
    citations_of: str = ""  # protocol


class Media(Part, gc=False, kw_only=True):
    """An image, document or sound: by `data` (base64), `url`, `file` (an id at one provider), or as plain `text`."""

    kind: str  # "image" | "document" | "audio" | "video"
    mime: str = ""  # "image/png", "application/pdf"; "" = not said
    data: str = ""
    url: str = ""
    file: str = ""
    text: str = ""  # a document given as text
    name: str = ""  # file name or title
    detail: str = ""  # OpenAI's detail of an image


class Thinking(Part, gc=False, kw_only=True):
    """Thinking of an earlier turn. Empty `text` with a `signature` belongs to the part that follows it (Gemini)."""

    text: str = ""
    signature: str = ""  # opaque proof or encrypted reasoning, as its maker sent it; "" = none
    redacted: bool = False  # `signature` is a redacted block's data
    summary: bool = False  # `text` is a summary, not the thinking itself
    origin: str = ""  # who made the signature: `Target.origin`; "" = said by nobody (it came in its maker's own form)
    id: str = ""  # a Responses item's own id


class ToolCall(Part, gc=False, kw_only=True):
    id: str  # links call and result; never empty (ids.invent)
    name: str
    arguments: str = ""  # JSON text as it came: may be empty ("" = {}), and may be invalid
    kind: str = "function"  # "function" | "custom" (arguments are free text)


class ToolResult(Part, gc=False, kw_only=True):
    id: str  # of the call
    content: list[Text | Media]
    name: str = ""  # of the tool, where the protocol says it; else found by `link`
    is_error: bool = False
    value: Raw = ABSENT  # Gemini's `response` object as it came, where it is one


class Refused(Part, gc=False, kw_only=True):
    """The assistant's own refusal."""

    text: str


class Opaque(Part, gc=False, kw_only=True):
    """Something that only `protocol` knows (server tool blocks, item references, ...)."""

    protocol: str
    what: str  # its type, for the report
    raw: Raw


AnyPart = Text | Media | Thinking | ToolCall | ToolResult | Refused | Opaque


class Turn(msgspec.Struct, gc=False):
    role: str  # "system" | "developer" | "user" | "assistant"; tool results are parts of a user turn
    parts: list[AnyPart]
    name: str = ""  # a participant's name (chat)


class Place(msgspec.Struct, gc=False):
    """What the client calls a turn, and each of its parts."""

    turn: str
    parts: list[str]


class Tool(msgspec.Struct, gc=False, kw_only=True):
    name: str
    description: str = ""
    schema: Raw = ABSENT  # JSON schema of the arguments, as it came; ABSENT = none
    strict: bool | None = None
    kind: str = "function"  # "function" | "custom" | "builtin"
    protocol: str = ""  # of a builtin or custom tool: who knows it
    raw: Raw = ABSENT  # a builtin or custom tool as it came
    cache: str = ""


class Choice(msgspec.Struct, gc=False):
    mode: str  # "auto" | "none" | "required" | "tool"
    names: tuple[str, ...] = ()  # "tool": exactly one; "auto"/"required": the allowed set, () = all


class Format(msgspec.Struct, gc=False, kw_only=True):
    kind: str  # "text" | "json" | "schema"
    schema: Raw = ABSENT
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Thought(msgspec.Struct, gc=False, kw_only=True):
    """How much to think. Nothing set = the provider's default."""

    mode: str = ""  # "" | "on" | "off" | "adaptive"
    effort: str = ""  # "minimal" | "low" | "medium" | "high" | "xhigh" | "max" ("none" is mode "off")
    budget: int | None = None  # tokens
    show: bool | None = None  # thinking text, or a summary of it, is asked for in the reply
    summary: str = ""  # Responses: "auto" | "concise" | "detailed"


class Request(msgspec.Struct, gc=False, kw_only=True):
    protocol: str  # it was read from
    model: str
    turns: list[Turn]
    stream: bool = False
    tools: list[Tool] = []
    choice: Choice | None = None
    parallel: bool | None = None  # False = at most one tool call a turn
    format: Format | None = None
    thought: Thought | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw = ABSENT
    logprobs: bool = False
    top_logprobs: int | None = None
    user: str = ""  # end user's id: user, safety_identifier, metadata.user_id
    metadata: Raw = ABSENT
    tier: str = ""  # asked service tier, in the words of `protocol`
    cache_key: str = ""
    verbosity: str = ""  # "low" | "medium" | "high"
    places: list[Place] = []  # what the client calls each turn; [] where that can be told from the turns (`names.py`)
    others: dict[str, Raw] = {}  # members without a canonical meaning; the carry table says what becomes of each


def link(request: Request) -> None:
    """Gives every tool result without a name the name of the call it answers. "" stays where there is no such call."""
    names: dict[str, str] = {}
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ToolCall):
                names[part.id] = part.name
            elif isinstance(part, ToolResult) and not part.name:
                part.name = names.get(part.id, "")
