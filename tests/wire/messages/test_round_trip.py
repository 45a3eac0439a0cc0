"""Generated conversations and replies through this protocol and back: the meaning stays."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.fold import fold, unfold
from baseload.wire.canon.request import (
    AnyPart,
    Choice,
    Format,
    Media,
    Request,
    Text,
    Thinking,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from baseload.wire.messages import GUARDED, reply_in, reply_out, request_in, request_out
from baseload.wire.messages.stream_in import StreamIn
from baseload.wire.messages.stream_out import StreamOut
from tests.wire.messages import order

ORIGIN = Target(protocol="messages", dialect="anthropic", model="claude-x", thought="budget")
PLAIN = View(model="claude-x", id="c", created_s=1)  # no origin: the client's own protocol

WORDS = st.text(min_size=1, max_size=8).filter(str.strip)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
CACHE = st.sampled_from(["", "", "", "5m", "1h"])
ARGUMENTS = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3) | st.none(), max_size=3).map(
    json.dumps
)
TEXT = st.builds(Text, text=WORDS)
SIGNED = st.builds(Thinking, text=st.text(max_size=8), signature=NAMES) | st.builds(
    Thinking, signature=NAMES, redacted=st.just(True)
)
MEDIA = (
    st.builds(Media, kind=st.just("image"), mime=st.just("image/png"), data=NAMES)
    | st.builds(Media, kind=st.just("image"), url=NAMES)
    | st.builds(Media, kind=st.just("document"), mime=st.just("application/pdf"), data=NAMES, name=st.text(max_size=4))
    | st.builds(Media, kind=st.just("document"), mime=st.just("text/plain"), text=WORDS)
)
SCHEMA = st.just(Raw(b'{"type":"object","properties":{"b":{},"a":{}}}'))
TOOLS = st.lists(st.builds(Tool, name=NAMES, description=st.text(max_size=5), schema=SCHEMA), max_size=2)


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    turns = [Turn("system", draw(st.lists(TEXT, min_size=1, max_size=2)))] if draw(st.booleans()) else []
    turns.append(Turn("user", draw(st.lists(TEXT | MEDIA, min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 3))):
        calls = draw(st.lists(st.builds(ToolCall, id=NAMES, name=NAMES, arguments=ARGUMENTS), max_size=2))
        said: list[AnyPart] = draw(st.lists(SIGNED, max_size=1)) + draw(st.lists(TEXT, min_size=1, max_size=2))
        turns.append(Turn("assistant", [*said, *calls]))
        results: list[AnyPart] = [
            ToolResult(id=call.id, content=draw(st.lists(TEXT | MEDIA, max_size=2)), is_error=draw(st.booleans()))
            for call in calls
        ]
        turns.append(Turn("user", results + draw(st.lists(TEXT, min_size=0 if results else 1, max_size=2))))
    marks = draw(st.integers(0, 4))
    for turn in turns:
        for part in turn.parts:
            if marks and not isinstance(part, Thinking):
                part.cache = draw(CACHE)
                marks -= part.cache != ""
    return turns


REQUESTS = st.builds(
    Request,
    protocol=st.just("messages"),
    model=st.just("claude-x"),
    turns=conversations(),
    stream=st.booleans(),
    tools=TOOLS,
    format=st.none() | st.builds(Format, kind=st.just("schema"), schema=SCHEMA),
    thought=st.none()
    | st.builds(Thought, mode=st.just("on"), budget=st.integers(1024, 9000), show=st.booleans())
    | st.just(Thought(mode="off")),
    max_output=st.integers(10_000, 20_000),
    top_p=st.none() | st.just(0.97),
    stop=st.lists(WORDS, max_size=2).map(tuple),
    user=st.text(max_size=4),
)


def plain(value: Any) -> Any:
    """A canonical value for comparing: raw JSON by its bytes."""
    return msgspec.to_builtins(value, enc_hook=bytes)


@settings(max_examples=100, deadline=None)
@given(REQUESTS)
def test_conversations_keep_their_meaning(request: Request):
    if request.tools:
        request.choice, request.parallel = Choice("auto"), False
    written = request_out.write(request, ORIGIN)
    again = request_in.read(open_body(written.body, GUARDED))
    dropped = {"thinking"} if "thinking" in written.dropped else set()
    assert set(written.dropped) <= {"thinking"}
    if dropped:  # a tool loop whose thinking is not there cannot think on
        request.thought = None
    assert plain(again) == plain(request)
    # What the provider's own protocol says again is, byte for byte, what was said first.
    assert request_out.write(again, ORIGIN).body == written.body


PARTS = st.lists(TEXT | SIGNED | st.builds(ToolCall, id=NAMES, name=NAMES, arguments=ARGUMENTS), min_size=0, max_size=4)
REPLIES = st.builds(
    lambda parts, reason, meters: Reply(
        id="msg_1", model="claude-x", answers=[Answer(parts=parts, reason=reason, native="x")], meters=meters
    ),
    PARTS,
    st.sampled_from(["length", "tool", "pause", "context"]),
    st.fixed_dictionaries(
        {"input_uncached": st.integers(0, 9), "output_total": st.integers(0, 9)},
        optional={"cache_read": st.integers(1, 9), "cache_write_1h": st.integers(1, 9)},
    ),
)


def same(found: Reply, want: Reply) -> None:
    assert plain(found.answers[0].parts) == plain(want.answers[0].parts)
    assert (found.id, found.model, found.meters) == (want.id, want.model, want.meters)
    assert found.answers[0].reason == want.answers[0].reason


@settings(max_examples=100, deadline=None)
@given(REPLIES)
def test_whole_replies_keep_their_meaning(reply: Reply):
    same(reply_in.read(reply_out.write(reply, PLAIN), ORIGIN), reply)


@settings(max_examples=100, deadline=None)
@given(REPLIES, st.integers(1, 200))
def test_streams_keep_their_meaning(reply: Reply, cut: int):
    out, source = StreamOut(PLAIN), StreamIn(ORIGIN)
    stream = out.write(unfold(reply))
    order.check(stream)
    events = [event for at in range(0, len(stream), cut) for event in source.feed(stream[at : at + cut])]
    same(fold([*events, *source.close()]), reply)


@settings(max_examples=60, deadline=None)
@given(REPLIES)
def test_thinking_comes_back_to_its_maker_and_to_nobody_else(reply: Reply):
    """Through a client of this protocol: a reply is shown, sent back as history, and written for a provider."""
    view = View(model="asked", id="c", created_s=1, origin="gemini/g")
    shown = json.loads(reply_out.write(reply, view))
    body = {"model": "asked", "max_tokens": 9, "messages": [{"role": "assistant", "content": shown["content"]}]}
    thoughts = [
        part
        for part in request_in.read(open_body(json.dumps(body).encode(), GUARDED)).turns[0].parts
        if isinstance(part, Thinking)
    ]
    made = [part for part in reply.answers[0].parts if isinstance(part, Thinking)]
    assert [(t.text, t.signature, t.redacted, t.origin) for t in thoughts] == [
        (t.text, t.signature, t.redacted, "gemini/g") for t in made
    ]
    request = request_in.read(open_body(json.dumps(body).encode(), GUARDED))
    written = request_out.write(request, ORIGIN)
    assert b'"thinking"' not in written.body
    assert any(name.startswith("messages.0.content.") for name in written.dropped) == bool(made)
