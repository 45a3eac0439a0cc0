"""Chat streams of every vendor read into canonical events."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import (
    Answer,
    AnyEvent,
    Beat,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Reply,
    Signed,
    Started,
)
from baseload.wire.canon.fold import fold
from baseload.wire.canon.request import Refused, Text, Thinking, ToolCall
from baseload.wire.chat.stream_in import CHOICES_MAX, TOOLS_MAX, StreamIn
from tests.wire.recorded import RECORDED, Stream

TARGET = Target(protocol="chat", dialect="compatible")
EACH = pytest.mark.parametrize("stream", RECORDED, ids=lambda stream: stream.name)


def events(*pieces: bytes) -> list[AnyEvent]:
    reader = StreamIn(TARGET)
    found = [event for piece in pieces for event in reader.feed(piece)]
    return found + reader.close()


def frame(delta: Any = None, *, index: int | None = 0, finish: str | None = None, **more: Any) -> bytes:
    """One chunk with one choice; `choice_*` members go into the choice."""
    choice = {"delta": {} if delta is None else delta, "finish_reason": finish}
    if index is not None:
        choice["index"] = index
    choice |= {name.removeprefix("choice_"): more.pop(name) for name in list(more) if name.startswith("choice_")}
    body = {"id": "c1", "model": "up", "choices": [choice], **more}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def parts(*frames: bytes) -> list[Any]:
    return fold(events(*frames, DONE)).answers[0].parts


def tool(index: int | None = None, id_: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    made: dict[str, Any] = {"function": {"name": name, "arguments": arguments}, "type": "function"}
    if index is not None:
        made["index"] = index
    if id_ is not None:
        made["id"] = id_
    return made


def call(*tools: Any, **more: Any) -> bytes:
    return frame({"tool_calls": list(tools)}, **more)


# What each recorded stream says, written out.
WANT: dict[str, list[Answer]] = {
    "openai": [
        Answer(
            parts=[Text(text='The key "usage" is {"a":1,"usage":null} caf\u00e9 \u4f60\u597d \U0001f600')],
            native="stop",
        )
    ],
    "openai-tools": [
        Answer(
            parts=[ToolCall(id="call_1", name="weather", arguments='{"city":"\u5317\u4eac"}')],
            reason="tool",
            native="tool_calls",
        ),
        Answer(parts=[Refused(text="I cannot.")], reason="stop"),
    ],
    "azure": [Answer(parts=[Text(text="Hi")], native="stop")],
    "dashscope": [Answer(parts=[Thinking(text="\u60f3"), Text(text="\u6211\u662f")], native="stop")],
    "deepseek": [Answer(parts=[Thinking(text="Hm"), Text(text="4")], native="stop")],
    "moonshot": [Answer(parts=[Text(text="x")], native="stop")],
    "zhipu": [
        Answer(
            parts=[Thinking(text="\u597d"), ToolCall(id="c", name="f", arguments="{}")],
            reason="tool",
            native="tool_calls",
        )
    ],
    "openrouter": [Answer(parts=[Thinking(text="Let"), Text(text="Hi")], native="stop")],
    "ark": [Answer(parts=[Text(text="abcdef")], reason="length", native="length")],
    "llama.cpp-chat": [
        Answer(parts=[Text(text="1. Red: This is the most obvious colour, but")], reason="length", native="length")
    ],
}
METERS: dict[str, dict[str, int]] = {
    "openai": {"input_uncached": 86, "cache_read": 1920, "output_total": 300},
    "moonshot": {"input_uncached": 19, "output_total": 13},
    "zhipu": {"input_uncached": 28, "cache_read": 32, "output_total": 40, "reasoning": 30},
    "openrouter": {"input_uncached": 94, "cache_read": 100, "output_total": 2},
    "ark": {"input_uncached": 30, "output_total": 6},
    "llama.cpp-chat": {"input_uncached": 1, "cache_read": 33, "output_total": 12},
}


@EACH
def test_what_a_stream_says(stream: Stream):
    found = events(stream.bytes)
    if stream.name == "vllm-error":
        assert not any(isinstance(event, Finished | Ended) for event in found), "the meter has the error"
        return
    assert isinstance(found[-1], Ended)
    if stream.name in WANT:
        reply = fold(found)
        assert reply.answers == WANT[stream.name]
        assert reply.model == stream.facts.model
        assert reply.tier == stream.facts.tier
        if stream.name in METERS:
            assert reply.meters == METERS[stream.name]


@EACH
def test_where_the_network_cuts_cannot_change_the_events(stream: Stream):
    whole = stream.bytes
    want = without_beats(events(whole))
    for cut in range(len(whole) + 1):
        assert without_beats(events(whole[:cut], whole[cut:])) == want, f"cut at byte {cut}"
    assert without_beats(events(*(whole[i : i + 1] for i in range(len(whole))))) == want


def without_beats(found: list[AnyEvent]) -> list[AnyEvent]:
    """Neighbouring beats of one piece are one: how many there are depends on the cuts, and means nothing."""
    return [event for event in found if not isinstance(event, Beat)]


@EACH
def test_events_come_in_order(stream: Stream):
    check(events(stream.bytes))


def check(found: list[AnyEvent]) -> None:
    """The order that `canon/events.py` promises."""
    begun, over = False, False
    open_: set[tuple[int, int]] = set()
    count: dict[int, int] = {}
    finished: set[int] = set()
    for event in found:
        assert not over
        if isinstance(event, Started):
            assert not begun
            begun = True
        elif isinstance(event, Opened):
            assert begun
            assert event.choice not in finished
            assert event.block == count.get(event.choice, 0)
            count[event.choice] = event.block + 1
            open_.add((event.choice, event.block))
        elif isinstance(event, Closed):
            open_.remove((event.choice, event.block))
        elif isinstance(event, Finished):
            assert not [block for block in open_ if block[0] == event.choice]
            assert event.choice not in finished
            finished.add(event.choice)
        elif isinstance(event, Ended):
            assert set(count) <= finished
            over = True
        elif not isinstance(event, Beat | Counted):
            assert (event.choice, event.block) in open_


def test_pitfall_05_streamed_arguments():
    """Fragments of two indices alternate; later ones repeat or empty the id and the name."""
    found = parts(
        call(tool(0, "a", "f", "")),
        call(tool(1, "b", "g", '{"y"')),
        call(tool(0, "", "", '{"x":1')),
        call(tool(1, "b", "g", ":2}")),
        call(tool(0, None, None, "}")),
        frame(finish="tool_calls"),
    )
    assert found == [
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="g", arguments='{"y":2}'),
    ]


def test_pitfall_05_a_new_id_in_every_fragment_is_one_call():
    found = parts(call(tool(0, "a1", "f", '{"x"')), call(tool(0, "a2", None, ":1}")), frame(finish="tool_calls"))
    assert found == [ToolCall(id="a1", name="f", arguments='{"x":1}')]


@pytest.mark.parametrize("index", [None, 0])
def test_pitfall_05_whole_calls_without_an_index_of_their_own(index: int | None):
    whole = [tool(index, "a", "f", '{"x":1}'), tool(index, "b", "f", '{"x":2}'), tool(index, "c", "g", "")]
    want = [
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="f", arguments='{"x":2}'),
        ToolCall(id="c", name="g"),
    ]
    assert parts(call(*whole), frame(finish="tool_calls")) == want
    assert parts(*(call(one) for one in whole), frame(finish="tool_calls")) == want


def test_pitfall_05_fragments_without_index_and_id_go_to_the_last_call():
    found = parts(
        call(tool(None, "a", "f", "{")), call(tool(None, None, None, "}")), call(tool(None, "b", "g", "[")),
        call(tool(None, "b", None, "]")),
    )  # fmt: skip
    assert found == [ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="g", arguments="[]")]


def test_pitfall_03_a_call_without_an_id_gets_one():
    first, second = parts(call(tool(None, None, "f", "{}"), tool(None, None, "f", "{}")))
    assert (first.name, second.name) == ("f", "f")
    assert first.id
    assert second.id
    assert first.id != second.id


def test_a_name_that_comes_after_the_id():
    found = parts(call(tool(0, "a", None, None)), call(tool(0, None, None, "{")), call(tool(0, None, "f", "}")))
    assert found == [ToolCall(id="a", name="f", arguments="{}")]


def test_a_call_that_never_gets_a_name_is_not_lost():
    assert parts(call(tool(0, "a", None, "{}"))) == [ToolCall(id="a", name="", arguments="{}")]


def test_pitfall_04_arguments_that_are_an_object_keep_their_text():
    body = b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"a","function":{"name":"f",'
    body += b'"arguments":{"b": 12345678901234567890, "a": 1.50}}}]}}]}\n\n'
    assert parts(body) == [ToolCall(id="a", name="f", arguments='{"b": 12345678901234567890, "a": 1.50}')]


def test_custom_calls_and_the_old_function_call():
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "c", "input": "x "}}
    later = {"index": 0, "custom": {"input": "y"}}
    assert parts(call(custom), call(later)) == [ToolCall(id="a", name="c", arguments="x y", kind="custom")]
    (old,) = parts(
        frame({"function_call": {"name": "f", "arguments": ""}}), frame({"function_call": {"arguments": "{}"}})
    )
    assert (old.name, old.arguments) == ("f", "{}")


def test_text_and_calls_in_one_chunk_and_the_finish_with_it():
    found = events(frame({"content": "x", "tool_calls": [tool(0, "a", "f", "{}")]}, finish="tool_calls"), DONE)
    check(found)
    assert fold(found).answers == [
        Answer(parts=[Text(text="x"), ToolCall(id="a", name="f", arguments="{}")], reason="tool", native="tool_calls")
    ]


def test_thinking_text_under_any_name():
    for name in ("reasoning_content", "reasoning"):
        assert parts(frame({name: "a"}), frame({name: "b", "content": "c"})) == [Thinking(text="ab"), Text(text="c")]
    both = frame({"reasoning": "a", "reasoning_content": "a"})
    assert parts(both) == [Thinking(text="a")]


def detail(**members: Any) -> Any:
    return {"type": "reasoning.text", "index": 0} | members


def test_pitfall_01_signatures_of_a_stream():
    found = parts(
        frame({"reasoning": "on", "reasoning_details": [detail(text="on")]}),
        frame({"reasoning": "e", "reasoning_details": [detail(text="e")]}),
        frame({"reasoning_details": [detail(signature="S")]}),
        frame({"reasoning": "two", "reasoning_details": [detail(text="two", index=1)]}),
        frame({"reasoning_details": [detail(type="reasoning.encrypted", index=2, data="D", id="rs", format="f")]}),
        frame({"content": "c"}),
    )
    assert found == [
        Thinking(text="one", signature="S"),
        Thinking(text="two"),
        Thinking(redacted=True, signature='{"signature":"D","id":"rs","format":"f"}'),
        Text(text="c"),
    ]


def test_a_signature_beside_plain_thinking():
    found = parts(
        frame({"reasoning_content": "t"}),
        frame({"reasoning_details": [detail(signature="S")]}),
        frame({"content": "c"}),
    )
    assert found == [Thinking(text="t", signature="S"), Text(text="c")]


def test_summaries_are_known_as_such():
    summary = {"type": "reasoning.summary", "summary": "s", "index": 0}
    assert parts(frame({"reasoning": "s", "reasoning_details": [summary]})) == [Thinking(text="s", summary=True)]


def test_content_as_a_list_of_parts():
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}
    assert parts(frame({"content": [thinking]}), frame({"content": [{"type": "text", "text": "a"}]})) == [
        Thinking(text="t"),
        Text(text="a"),
    ]


def test_pitfall_28_half_a_character_waits_for_its_other_half():
    def text(escaped: bytes) -> bytes:
        return b'data: {"choices":[{"index":0,"delta":{"content":"' + escaped + b'"}}]}\n\n'

    found = events(text(b"a\\ud83d"), text(b"\\ude00b"), text(b"\\ud83d!"), text(b"\\\\ud83d\\ud83d"), DONE)
    assert [event.text for event in found if isinstance(event, Delta)] == [
        "a",
        "\U0001f600b",
        "\ufffd!",
        "\\ud83d",
        "\ufffd",
    ]
    check(found)


def test_bytes_that_are_no_text_do_not_stop_the_stream():
    broken = b'data: {"choices":[{"index":0,"delta":{"content":"a\xffb"}}]}\n\n'
    assert parts(broken) == [Text(text="a\ufffdb")]


def test_a_whole_message_in_a_chunk():
    message = {"role": "assistant", "content": "whole", "tool_calls": [tool(None, "a", "f", "{}")]}
    body = b"data: " + json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode() + b"\n\n"
    found = fold(events(body, DONE))
    assert found.answers[0].parts == [Text(text="whole"), ToolCall(id="a", name="f", arguments="{}")]
    assert found.answers[0].reason == "tool"
    assert parts(frame({"content": "whole"}), body) == [Text(text="whole")], "a repetition at the end is none"


def test_text_after_the_finish_is_not_lost():
    assert parts(frame({"content": "a"}, finish="stop"), frame({"content": "b"}), frame(finish="stop")) == [
        Text(text="ab")
    ]


def test_choices_interleave():
    found = events(
        frame({"content": "a"}, index=0),
        frame({"content": "x"}, index=1),
        frame({"content": "b"}, index=0, finish="stop"),
        frame({"content": "y"}, index=1, finish="length"),
        DONE,
    )
    check(found)
    assert [(answer.parts, answer.reason) for answer in fold(found).answers] == [
        ([Text(text="ab")], "stop"),
        ([Text(text="xy")], "length"),
    ]


def test_logprobs_survive():
    one = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]}
    found = fold(
        events(frame({"content": "a"}, choice_logprobs=one), frame({"content": "b"}, choice_logprobs=None), DONE)
    )
    assert json.loads(bytes(found.answers[0].logprobs)) == one["content"]


def test_citations_survive():
    note = {"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "t"}}
    (text,) = parts(frame({"content": "a"}), frame({"annotations": [note]}))
    assert (text.text, text.citations_of) == ("a", "chat")
    assert [json.loads(bytes(raw)) for raw in text.citations] == [note]


@pytest.mark.parametrize(
    ("native", "want"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool"),
        ("function_call", "tool"),
        ("content_filter", "filter"),
        ("sensitive", "filter"),
        ("insufficient_system_resource", "error"),
        ("network_error", "error"),
        ("model_context_window_exceeded", "context"),
        ("brand_new", "stop"),
    ],
)
def test_pitfall_10_finish_reasons(native: str, want: str):
    (finished,) = [event for event in events(frame(finish=native), DONE) if isinstance(event, Finished)]
    assert (finished.reason, finished.native) == (want, native)


def test_pitfall_11_the_stop_sequence_that_matched():
    for name in ("choice_stop_reason", "choice_matched_stop"):
        (finished,) = [
            event for event in events(frame(finish="stop", **{name: "END"}), DONE) if isinstance(event, Finished)
        ]
        assert (finished.reason, finished.stop_sequence) == ("stop_sequence", "END")
        (finished,) = [
            event for event in events(frame(finish="stop", **{name: 128009}), DONE) if isinstance(event, Finished)
        ]
        assert (finished.reason, finished.stop_sequence) == ("stop", "")


def usage_of(*frames: bytes) -> dict[str, int]:
    (counted,) = [event for event in events(*frames) if isinstance(event, Counted)]
    return counted.meters


def test_pitfall_13_usage_wherever_it_is_placed():
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    want = {"input_uncached": 5, "output_total": 2}
    last = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}\n\n'
    assert usage_of(frame({"content": "a"}, finish="stop"), last, DONE) == want
    assert usage_of(frame({"content": "a"}, finish="stop", usage=usage), DONE) == want
    assert usage_of(frame({"content": "a"}, finish="stop", choice_usage=usage), DONE) == want
    running = usage | {"completion_tokens": 1, "total_tokens": 6}
    assert usage_of(frame({"content": "a"}, usage=running), frame(finish="stop", usage=usage), DONE) == want
    assert usage_of(frame({"content": "a"}, finish="stop"), last) == want, "without [DONE]"


def test_pitfall_24_comments_and_blank_lines_are_beats():
    found = events(b": PROCESSING\n\n", b"\n", frame({"content": "a"}), b": x\n\n: y\n\n", DONE)
    kinds = [type(event).__name__ for event in found]
    assert kinds == ["Beat", "Beat", "Started", "Opened", "Delta", "Beat", "Closed", "Finished", "Ended"]


def test_a_stream_that_was_cut_has_no_end():
    for cut in ((frame({"content": "a"}),), (frame({"content": "a"}), b'data: {"choices":[{"del'), ()):
        assert not [event for event in events(*cut) if isinstance(event, Finished | Ended)]


def test_pitfall_20_an_error_frame_ends_without_an_end():
    found = events(frame({"content": "a"}), b'data: {"error":{"message":"died"}}\n\n', frame(finish="stop"), DONE)
    assert [type(event).__name__ for event in found] == ["Started", "Opened", "Delta"]


def test_pitfall_25_padding_is_left_behind():
    found = events(frame({"content": "a"}, obfuscation="xxxx", moderation={"x": 1}), DONE)
    assert fold(found) == Reply(id="c1", model="up", answers=[Answer(parts=[Text(text="a")])])


@pytest.mark.parametrize(
    "bad", [b"data: {\n\n", b"data: [1]\n\n", b"data: nonsense\n\n", b"data: " + b"[" * 5000 + b"\n\n"]
)
def test_garbage_is_a_fault_of_the_provider(bad: bytes):
    with pytest.raises(ProviderFault) as caught:
        events(frame({"content": "a"}), bad)
    assert caught.value.fault == "garbage"


def test_what_is_held_is_bounded():
    with pytest.raises(ProviderFault):
        events(frame({"content": "a"}, index=CHOICES_MAX))
    with pytest.raises(ProviderFault):
        events(*(call(tool(at, f"i{at}", "f", "{}")) for at in range(TOOLS_MAX + 1)))


def test_memory_does_not_grow_with_the_reply():
    """Lesson 51: nothing of a long text stays."""
    reader = StreamIn(TARGET)
    piece = frame({"content": "x" * 1000})
    reader.feed(piece)
    before = deep(reader, sys.getsizeof)
    for _ in range(2000):
        reader.feed(piece)
    assert deep(reader, sys.getsizeof) == before


def deep(value: Any, size: Any) -> int:
    names = getattr(type(value), "__slots__", ()) or getattr(value, "__dict__", ())
    inner = [getattr(value, name) for name in names if hasattr(value, name)] if names else []
    if isinstance(value, dict):
        inner += value.values()
    if isinstance(value, list):
        inner += value
    return int(size(value)) + sum(deep(one, size) for one in inner if not isinstance(one, int | str | bytes | type))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBER = st.sampled_from(
    ["content", "reasoning", "reasoning_details", "tool_calls", "refusal", "annotations", "function_call", "audio"]
)
TOOLS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "index": st.integers(-1, 3) | JSON,
            "id": st.sampled_from(["a", "b", ""]) | JSON,
            "function": st.fixed_dictionaries(
                {},
                optional={"name": st.sampled_from(["f", "", None]), "arguments": st.sampled_from(["{", "}", "", None])},
            )
            | JSON,
        },
    ),
    max_size=3,
)
DELTA = st.dictionaries(MEMBER, JSON, max_size=3) | st.fixed_dictionaries({"tool_calls": TOOLS}) | JSON
CHOICE = st.fixed_dictionaries(
    {"delta": DELTA},
    optional={"index": st.integers(-1, 2) | JSON, "finish_reason": st.sampled_from(["stop", None]) | JSON},
)
CHUNK = st.fixed_dictionaries(
    {}, optional={"choices": st.lists(CHOICE, max_size=2) | JSON, "usage": JSON, "id": JSON, "message": JSON}
)


@settings(max_examples=120, deadline=None)
@given(chunks=st.lists(CHUNK, max_size=6))
def test_hostile_streams_keep_the_order_or_are_garbage(chunks: list[Any]):
    reader = StreamIn(TARGET)
    found: list[AnyEvent] = []
    fault = ""
    try:
        for chunk in chunks:
            found += reader.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        found += reader.feed(DONE)
    except ProviderFault as why:
        fault = why.fault
    check(found)
    assert fault in ("", "garbage")
    assert fault or isinstance(found[-1], Ended)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_hostile_bytes(data: bytes):
    try:
        events(b"data: ", data, b"\n\n")
    except ProviderFault as why:
        fault = why.fault
    else:
        fault = "garbage"
    assert fault == "garbage"


def test_signed_events_come_before_their_block_closes():
    found = events(frame({"reasoning_details": [detail(text="t", signature="S")]}), frame({"content": "c"}), DONE)
    at = next(place for place, event in enumerate(found) if isinstance(event, Signed))
    assert isinstance(found[at + 1], Closed)
    assert found[at] == Signed(choice=0, block=0, signature="S")
