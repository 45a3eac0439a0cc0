"""Generated conversations: what a Responses body can say, as canonical requests."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import Raw

from baseload.wire.canon.request import (
    AnyPart,
    Choice,
    Format,
    Media,
    Refused,
    Request,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    link,
)
from baseload.wire.raw import ABSENT

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
schemas = st.sampled_from(
    [Raw(b'{"type":"object","properties":{"b":{},"a":{"maximum":9007199254740993}}}'), Raw(b"{}")]
)
arguments = st.sampled_from(["{}", '{"b":9007199254740993,"a":[1.50]}', '{"broken":', '"text"'])
images = st.builds(
    Media, kind=st.just("image"), mime=st.just("image/png"), data=st.just("iVBO"), detail=st.just("auto")
)
urls = st.builds(Media, kind=st.just("image"), url=st.just("https://example.org/a.png"), detail=st.just("high"))
files = st.builds(
    Media, kind=st.just("document"), mime=st.just("application/pdf"), data=st.just("JVBE"), name=st.just("a.pdf")
)
texts = st.builds(Text, text=words)


@st.composite
def _exchange(draw: st.DrawFn, number: int) -> list[Turn]:
    user: list[AnyPart] = draw(st.lists(texts | images | urls | files, min_size=1, max_size=3))
    said: list[AnyPart] = []
    if draw(st.booleans()):
        said.append(Thinking(text=draw(words), signature="gAAA" + draw(names), summary=True, id="rs_" + draw(names)))
    said += draw(st.lists(texts | st.builds(Refused, text=words), max_size=2))
    calls = []
    for at in range(draw(st.integers(0, 3))):
        custom = draw(st.booleans())
        calls.append(
            ToolCall(
                id=f"call_{number}_{at}",
                name=draw(names),
                arguments=draw(words if custom else arguments),
                kind="custom" if custom else "function",
            )
        )
    said += calls
    results: list[AnyPart] = []
    for call in draw(st.permutations(calls)):
        content: list[Text | Media] = draw(st.lists(texts | images, min_size=1, max_size=2))
        results.append(ToolResult(id=call.id, content=content))
    turns = [Turn("user", user)]
    if said:
        turns.append(Turn("assistant", said))
    if results:
        turns.append(Turn("user", results))
    return turns


@st.composite
def conversations(draw: st.DrawFn, protocol: str = "responses") -> Request:
    turns: list[Turn] = []
    if draw(st.booleans()):
        turns.append(Turn("system", [Text(text=draw(words))]))
    for number in range(draw(st.integers(1, 3))):
        turns += draw(_exchange(number))
        if draw(st.booleans()):
            turns.append(Turn(draw(st.sampled_from(["developer", "system"])), [Text(text=draw(words))]))
    tools = [
        Tool(name=f"f{at}", description=draw(words), schema=draw(schemas), strict=draw(st.booleans()))
        for at in range(draw(st.integers(0, 3)))
    ]
    choices = [None, Choice("auto"), Choice("none"), Choice("required")]
    if tools:
        choices += [Choice("tool", ("f0",)), Choice("auto", ("f0",))]
    formats = [None, Format(kind="json"), Format(kind="schema", name="n", schema=draw(schemas), strict=True)]
    thoughts = [None, Thought(mode="off"), Thought(mode="on", effort="low", show=True, summary="auto")]
    request = Request(
        protocol=protocol,
        model="m",
        turns=turns,
        stream=draw(st.booleans()),
        tools=tools,
        choice=draw(st.sampled_from(choices)),
        parallel=draw(st.none() | st.booleans()),
        format=draw(st.sampled_from(formats)),
        thought=draw(st.sampled_from(thoughts)),
        max_output=draw(st.none() | st.integers(1, 10**6)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        logprobs=draw(st.booleans()),
        user=draw(st.just("") | names),
        metadata=draw(st.sampled_from([ABSENT, Raw(b'{"k":"v"}')])),
        tier=draw(st.sampled_from(["", "flex"])),
        cache_key=draw(st.just("") | names),
        verbosity=draw(st.sampled_from(["", "low"])),
    )
    link(request)
    return request
