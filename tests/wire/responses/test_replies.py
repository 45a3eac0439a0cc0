"""Providers' replies, whole and streamed, in canonical form: the same, wherever the network cuts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import Answer, AnyEvent, Beat, Delta, Ended, Finished, Opened, Reply, Started
from baseload.wire.canon.fold import fold
from baseload.wire.canon.request import Refused, Text, Thinking, ToolCall
from baseload.wire.raw import ABSENT
from baseload.wire.responses import reply_in
from baseload.wire.responses.stream_in import ITEMS_MAX, StreamIn
from tests.wire.responses.recorded import CITATION, CORE, EVERYTHING, FRAMES, LOGPROBS, USAGE, WHOLE, Script, response

TARGET = Target(protocol="responses", dialect="openai", model="gpt-5.6")


def read(*pieces: bytes) -> list[AnyEvent]:
    stream = StreamIn(TARGET)
    events = [event for piece in pieces for event in stream.feed(piece)]
    return events + stream.close()


def told(events: list[AnyEvent]) -> Reply:
    return fold(events)


def parts_of(reply: Reply) -> list[Any]:
    return reply.answers[0].parts


def check_everything(reply: Reply) -> None:
    thought, text, refused, weather, clock, patch = parts_of(reply)
    assert isinstance(thought, Thinking)
    assert (thought.text, thought.signature) == ("First think\n\nthen 你好", "gAAAA-whole==")
    assert (thought.summary, thought.id) == (True, "rs_1")
    assert isinstance(text, Text)
    assert text.text == 'Café "response":\n\U0001f600'
    assert [json.loads(bytes(raw)) for raw in text.citations] == [CITATION]
    assert text.citations_of == "responses"
    assert refused == Refused(text="I cannot.")
    assert weather == ToolCall(id="call_a", name="weather", arguments='{"city":"Köln","n":9007199254740993}')
    assert clock == ToolCall(id="call_b", name="clock", arguments="{}")
    assert patch == ToolCall(id="call_c", name="patch", arguments="*** Begin\n+x", kind="custom")
    [answer] = reply.answers
    assert (answer.reason, answer.native) == ("tool", "completed")
    assert json.loads(bytes(answer.logprobs)) == LOGPROBS
    assert (reply.id, reply.model, reply.tier) == ("resp_0a1b2c", "gpt-5.6-2026-08-07", "priority")
    assert reply.meters == {
        "input_uncached": 20,
        "cache_read": 100,
        "output_total": 80,
        "reasoning": 30,
        "web_searches": 2,
    }


def test_everything_in_a_stream_survives():
    events = read(EVERYTHING)
    check_everything(told(events))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert isinstance(events[-2], Finished)
    numbers = [event.block for event in events if isinstance(event, Opened)]
    assert numbers == list(range(6))


def test_a_whole_reply_says_the_same():
    reply = reply_in.read(WHOLE, TARGET)
    check_everything(reply)
    thought = parts_of(reply)[0]
    assert thought.origin == "openai/gpt-5.6"


def test_streams_cut_at_every_byte_give_the_same_events():
    expected = read(EVERYTHING)
    assert len([event for event in expected if isinstance(event, Delta)]) == 14  # one is the gap between two parts
    assert read(*(EVERYTHING[i : i + 1] for i in range(len(EVERYTHING)))) == expected
    for cut in range(0, len(EVERYTHING) + 1, 23):
        assert read(EVERYTHING[:cut], EVERYTHING[cut:]) == expected, f"cut at byte {cut}"
    expected = read(CORE)
    assert len([event for event in expected if isinstance(event, Beat)]) == 3
    assert len(expected) == 18
    for cut in range(len(CORE) + 1):
        assert read(CORE[:cut], CORE[cut:]) == expected, f"cut at byte {cut}"


def test_a_connection_lost_anywhere_leaves_a_beginning():
    expected = read(EVERYTHING)
    for lost in range(0, len(EVERYTHING), 29):
        stream = StreamIn(TARGET)
        events = stream.feed(EVERYTHING[:lost])
        assert events == expected[: len(events)]
        assert lost == len(EVERYTHING) or not any(isinstance(event, Ended) for event in events)


def test_streamed_tool_arguments_survive_interleaved():
    deltas = [(event.block, event.text) for event in read(EVERYTHING) if isinstance(event, Delta)]
    assert deltas[8:12] == [(3, '{"city":'), (4, "{"), (3, '"Köln","n":9007199254740993}'), (4, "}")]


def test_no_frame_waits_for_another():
    stream = StreamIn(TARGET)
    for frame in FRAMES:
        events = stream.feed(frame)
        if b".delta" in frame and b"something_new" not in frame:
            assert any(isinstance(event, Delta) for event in events)


def test_pitfall_24_signs_of_life():
    stream = StreamIn(TARGET)
    for frame in (b": keep-alive\n\n", b"\n"):
        assert stream.feed(frame) == [Beat()]
    search = Script().say("web_search_call.searching", output_index=0, item_id="ws").bytes
    assert stream.feed(search) == [Beat()]
    assert stream.feed(b"data: [DONE]\n\n") == []


@pytest.mark.parametrize(
    ("kind", "members", "reason", "native"),
    [
        ("completed", {"status": "completed"}, "stop", "completed"),
        (
            "incomplete",
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            "incomplete",
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "filter",
            "content_filter",
        ),
        ("incomplete", {"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "stop", "steered"),
        ("completed", {"status": None}, "stop", "completed"),
    ],
)
def test_pitfall_10_stop_reasons(kind: str, members: dict[str, Any], reason: str, native: str):
    body = {**response("x"), "usage": USAGE, **members}
    reply = told(read(Script().say(kind, response=body).bytes))
    assert (reply.answers[0].reason, reply.answers[0].native) == (reason, native)
    assert reply.meters is not None
    assert reply.meters["output_total"] == 80
    if members["status"]:
        assert reply_in.read(json.dumps(body).encode(), TARGET).answers[0].reason == reason


def test_a_failure_has_no_normal_end():
    failed = Script().say("failed", response=response("failed", usage=USAGE, error={"code": "x", "message": "y"}))
    kinds = [type(event) for event in read(failed.bytes)]
    assert Ended not in kinds
    assert Finished not in kinds
    assert told(read(failed.bytes)).meters is not None
    assert reply_in.read(json.dumps(response("failed")).encode(), TARGET).answers[0].reason == "error"


def test_a_vendor_that_sends_whole_items_only():
    s = Script()
    for index, item in enumerate(json.loads(WHOLE)["output"]):
        s.say("output_item.done", output_index=index, item=item)
    s.say("completed", response=json.loads(WHOLE))
    reply = told(read(s.bytes))
    reply.id, reply.model = "resp_0a1b2c", "gpt-5.6-2026-08-07"
    check_everything(reply)


def test_a_vendor_that_sends_the_terminal_event_only():
    reply = told(read(Script().say("completed", response=json.loads(WHOLE)).bytes))
    assert [type(part).__name__ for part in parts_of(reply)] == [
        "Thinking", "Text", "Refused", "ToolCall", "ToolCall", "ToolCall",
    ]  # fmt: skip


def test_nothing_is_told_twice():
    """Neither by `done` events, nor by the output of the terminal event, nor when indices have gaps."""
    s = Script().say("output_text.delta", output_index=5, content_index=0, delta="once")
    message = {"type": "message", "content": [{"type": "output_text", "text": "once"}]}
    s.say("output_text.done", output_index=5, content_index=0, text="once")
    s.say("output_item.done", output_index=5, item=message).say("output_item.done", output_index=5, item=message)
    s.say("completed", response=response("completed", output=[message]))
    assert parts_of(told(read(s.bytes))) == [Text(text="once")]


def test_a_vendor_without_indices():
    s = Script()
    for id_ in ("a", "b"):
        item = {"type": "function_call", "call_id": id_, "name": "f", "arguments": ""}
        s.say("output_item.added", item=item).say("function_call_arguments.delta", delta="{}")
        s.say("output_item.done", item={**item, "arguments": "{}"})
    s.say("completed", response=response("completed"))
    assert [part.id for part in parts_of(told(read(s.bytes)))] == ["a", "b"]


def test_pitfall_03_a_call_without_an_id_gets_one():
    item = {"type": "function_call", "name": "f", "arguments": "{}"}
    s = Script().say("output_item.done", output_index=0, item=item).say("completed", response=response("completed"))
    [call] = parts_of(told(read(s.bytes)))
    assert call.id.startswith("call_")


def test_raw_reasoning_text_survives_and_is_no_summary():
    s = Script().say("reasoning_text.delta", output_index=0, content_index=0, delta="deep")
    s.say("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="short")
    item = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "short"}]}
    s.say("output_item.done", output_index=0, item=item).say("completed", response=response("completed"))
    assert parts_of(told(read(s.bytes))) == [Thinking(text="deep")]


def test_hidden_reasoning_keeps_its_encrypted_content():
    item = {"type": "reasoning", "id": "rs", "summary": []}
    s = Script().say("output_item.added", output_index=0, item=item)
    s.say("output_item.done", output_index=0, item={**item, "encrypted_content": "gAAAA"})
    s.say("output_item.done", output_index=1, item=item).say("completed", response=response("completed"))
    assert parts_of(told(read(s.bytes))) == [Thinking(signature="gAAAA", summary=True, id="rs")]


@pytest.mark.parametrize(
    "frame",
    [
        b'data: {"type":"response.output_text.delta","delta":7}\n\n',
        b'data: {"type":"response.output_text.delta","output_index":"x","delta":"a"}\n\n',
        b'data: {"type":\n\n',
        b"data: \xff\xfe\n\n",
        b'data: {"type":"response.completed","response":' + b"[" * 3000 + b"\n\n",
    ],
)
def test_garbage_in_what_carries_text_is_a_fault(frame: bytes):
    with pytest.raises(ProviderFault) as caught:
        read(frame)
    assert caught.value.fault == "garbage"


def test_a_whole_reply_that_is_none_is_a_fault():
    for body in (b"", b"[]", b"\xff", b"{"):
        with pytest.raises(ProviderFault):
            reply_in.read(body, TARGET)
    assert reply_in.read(b'{"output":7,"status":7,"usage":[]}', TARGET) == Reply(
        answers=[Answer(parts=[], native="", logprobs=ABSENT)]
    )


def test_half_a_surrogate_pair_breaks_nothing():
    s = Script().say("output_text.delta", output_index=0, content_index=0, delta="a?")
    events = read(s.bytes.replace(b"a?", b"a\\ud83d"))
    [delta] = [event for event in events if isinstance(event, Delta)]
    assert delta.text.startswith("a")
    delta.text.encode()


def test_items_are_bounded():
    piece = b"".join(
        b'data: {"type":"response.output_text.delta","output_index":%d,"delta":"a"}\n\n' % at
        for at in range(ITEMS_MAX + 1)
    )
    with pytest.raises(ProviderFault):
        read(piece)


EVENTS = [json.loads(frame.split(b"data: ")[1]) for frame in FRAMES]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(EVENTS), max_size=30), st.data())
def test_events_in_any_order_are_read_or_garbage(events: list[dict[str, Any]], data: st.DataObject):
    """Missing, repeated and mixed events; and what is read can be folded."""
    frames = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    cut = data.draw(st.integers(0, len(frames)))
    whole = read(frames)
    assert read(frames[:cut], frames[cut:]) == whole
    fold(whole)
    open_ = set()
    for event in whole:
        if isinstance(event, Opened):
            open_.add(event.block)
        elif isinstance(event, Delta):
            assert event.block in open_
