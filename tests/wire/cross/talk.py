"""Requests, generated: what both of two protocols can say; and what of a request must survive.

`meaning` is what is compared of the turns. Forgiven is what protocols have no word for: where one text ends and the
next begins, where a system's turn stands, whether two turns of one side are one, tool results before or after the text
beside them, the marks that tell documents and images apart from their data. Members are compared one by one, and may
differ only where a hop has named them (`x-baseload-dropped`).
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import Raw

from baseload.wire.canon.carry import Target
from baseload.wire.canon.request import (
    AnyPart,
    Choice,
    Format,
    Media,
    Request,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from tests.wire.cross import says
from tests.wire.cross.says import ARGUMENTS, IDS, NAMES, WORDS

SCHEMA = Raw(
    b'{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer","maximum":9}},"required":["b"]}'
)
PNG, PDF = "iVBORw0KGgoAAAANSUhEUg==", "JVBERi0xLjQK"

TARGETS = {
    "chat": Target(protocol="chat", dialect="openai", model="up"),
    "responses": Target(protocol="responses", dialect="openai", model="up"),
    "messages": Target(protocol="messages", dialect="anthropic", model="up", thought="budget", output_max=64_000),
    "gemini": Target(protocol="gemini", dialect="gemini", model="gemini-3-pro"),
}

LACKS = {
    # Members that a protocol has no place for: they must be named when they are lost there, and nothing else may be.
    "chat": set[str](),
    "responses": {"top_k", "stop", "seed", "presence_penalty", "frequency_penalty"},
    "messages": {"seed", "presence_penalty", "frequency_penalty", "verbosity", "metadata", "cache_key"},
    "gemini": {"user", "cache_key", "verbosity", "metadata", "parallel"},
}
REFUSES = {
    # Members whose loss would change the answer: a protocol without them refuses the call, and names them.
    "chat": set[str](),
    "responses": {"n", "logit_bias"},
    "messages": {"n", "logit_bias", "logprobs", "json"},
    "gemini": {"logit_bias"},
}
SAYS = {
    # What a client of the protocol can ask for at all.
    "chat": {
        *("temperature", "top_p", "top_k", "stop", "seed", "presence_penalty", "frequency_penalty", "user", "metadata"),
        *("cache_key", "verbosity", "parallel", "n", "logit_bias", "logprobs", "json"),
    },
    "responses": {
        *("temperature", "top_p", "user", "metadata", "cache_key", "verbosity", "parallel", "logprobs", "json"),
    },
    "messages": {"temperature", "top_p", "top_k", "stop", "user", "parallel"},
    "gemini": {
        *("temperature", "top_p", "top_k", "stop", "seed", "presence_penalty", "frequency_penalty", "n", "logprobs"),
        "json",
    },
}
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.sampled_from([0.0, 0.5, 1.0]),
    "top_p": st.sampled_from([0.1, 1.0]),
    "top_k": st.integers(1, 40),
    "stop": st.lists(WORDS, min_size=1, max_size=4, unique=True).map(tuple),
    "seed": st.integers(0, 2**31 - 1),
    "presence_penalty": st.sampled_from([-1.5, 0.5]),
    "frequency_penalty": st.sampled_from([-1.5, 0.5]),
    "user": st.sampled_from(["ann", "user-7"]),
    "metadata": st.just(Raw(b'{"a":"b"}')),
    "cache_key": st.sampled_from(["k", "key-9"]),
    "verbosity": st.sampled_from(["low", "high"]),
    "parallel": st.booleans(),
    "n": st.integers(2, 3),
    "logit_bias": st.just(Raw(b'{"50256":-100}')),
    "logprobs": st.just(True),
}


def images(*protocols: str) -> st.SearchStrategy[AnyPart]:
    """Media that all of the protocols take."""
    kinds: list[st.SearchStrategy[AnyPart]] = [
        st.builds(Media, kind=st.just("image"), mime=st.just("image/png"), data=st.just(PNG)),
        st.builds(
            Media, kind=st.just("document"), mime=st.just("application/pdf"), data=st.just(PDF), name=st.just("a.pdf")
        ),
    ]
    if "gemini" not in protocols:
        kinds.append(st.builds(Media, kind=st.just("image"), url=st.just("https://example.org/a.png")))
    if not {"messages"} & set(protocols):
        kinds.append(st.builds(Media, kind=st.just("audio"), mime=st.just("audio/wav"), data=st.just("UklGRg==")))
    return st.one_of(kinds)


TEXTS = st.builds(Text, text=WORDS)


@st.composite
def turns(draw: st.DrawFn, *protocols: str) -> list[Turn]:
    media = images(*protocols)
    found = [Turn("system", [draw(TEXTS)])] if draw(st.booleans()) else []
    found.append(Turn("user", draw(st.lists(TEXTS | media, min_size=1, max_size=3))))
    ids = draw(st.lists(IDS, max_size=6, unique=True))
    for _ in range(draw(st.integers(0, 2))):
        mine = [ids.pop() for _ in range(draw(st.integers(0, min(2, len(ids)))))]
        calls: list[AnyPart] = [ToolCall(id=id_, name=draw(NAMES), arguments=draw(ARGUMENTS)) for id_ in mine]
        found.append(Turn("assistant", [draw(TEXTS), *calls]))
        # A picture in a result: chat and Gemini show it beside the result, the others in it; Gemini has one text.
        shown = st.nothing() if "gemini" in protocols else TEXTS if "chat" in protocols else media
        results: list[AnyPart] = [
            ToolResult(
                id=id_, content=[draw(TEXTS), *([draw(shown)] if not shown.is_empty and draw(st.booleans()) else [])]
            )
            for id_ in mine
        ]
        found.append(Turn("user", [*results, draw(TEXTS)] if draw(st.booleans()) or not results else results))
    return found


TOOLS = st.lists(
    st.builds(Tool, name=NAMES, description=st.sampled_from(["", "what it does"]), schema=st.just(SCHEMA)),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool.name,
)


@st.composite
def requests(draw: st.DrawFn, client: str, door: str) -> Request:
    """What the client's protocol can say and the door does not refuse."""
    sayable = SAYS[client] - REFUSES[door]
    request = Request(
        protocol=client,
        model="up",
        turns=draw(turns(client, door)),
        stream=draw(st.booleans()),
        max_output=draw(st.integers(100, 9000)),
    )
    for field in sorted(draw(st.sets(st.sampled_from(sorted(sayable - {"json"})), max_size=5))):
        setattr(request, field, draw(MEMBERS[field]))
    if draw(st.booleans()):
        request.tools = draw(TOOLS)
        request.choice = draw(
            st.sampled_from(
                [None, Choice("auto"), Choice("none"), Choice("required"), Choice("tool", (request.tools[0].name,))]
            )
        )
    if not request.tools or (request.choice is not None and request.choice.mode == "none"):
        request.parallel = None  # nobody is called: it means nothing
    formats = [None, None, Format(kind="schema", schema=SCHEMA)]
    if "json" in sayable:
        formats.append(Format(kind="json"))
    request.format = draw(st.sampled_from(formats))
    if draw(st.integers(0, 3)) == 0:
        # Anthropic's models think only where sampling and choice are free, and after calls only with their own proof.
        word = draw(st.sampled_from(["low", "medium", "high"]))
        request.thought, request.max_output = Thought(mode="on", effort=word), 40_000
        request.temperature = request.top_p = request.top_k = None
        request.choice = Choice("auto") if request.tools else None
        request.turns = request.turns[: 2 if request.turns[0].role == "system" else 1]
    return request


def meaning(request: Request) -> list[Any]:
    """What the turns say; see the module. Ids are told apart, not compared: OpenAI takes only short ones."""
    numbers: dict[str, int] = {}
    system = "".join(
        [
            part.text
            for turn in request.turns
            if turn.role in ("system", "developer")
            for part in turn.parts
            if isinstance(part, Text)
        ]
    )
    found: list[Any] = [("system", [("text", system)])] if system else []
    for turn in request.turns:
        if turn.role in ("system", "developer"):
            continue
        parts = _parts(turn.parts, numbers)
        if found and found[-1][0] == turn.role:
            found[-1][1].extend(parts)
        else:
            found.append((turn.role, parts))
    return found


def _parts(parts: list[AnyPart], numbers: dict[str, int]) -> list[Any]:
    found: list[Any] = []
    for part in sorted(parts, key=lambda part: not isinstance(part, ToolResult)):
        if isinstance(part, Media):
            found.append((part.kind, part.data, part.url, part.file))
        elif isinstance(part, ToolResult):
            number = numbers.setdefault(part.id, len(numbers))
            found.append(("result", number, _parts(list(part.content), numbers), part.is_error))
        elif isinstance(part, ToolCall):
            number = numbers.setdefault(part.id, len(numbers))
            found.append(("call", number, part.name, says.arguments(part.arguments)))
        else:
            for one in says.said([part]):
                if found and found[-1][0] == one[0] == "text":
                    found[-1] = ("text", found[-1][1] + one[1])
                else:
                    found.append(one)
    return found
