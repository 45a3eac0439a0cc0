"""A provider's Messages stream as events: the same wherever the network cuts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import (
    AnyEvent,
    Beat,
    Cited,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Signed,
    Started,
)
from baseload.wire.canon.fold import fold
from baseload.wire.canon.request import Text, Thinking, ToolCall
from baseload.wire.messages.stream_in import StreamIn
from tests.wire.messages.recorded import PING, WHOLE, block, end, frame, start, text

TARGET = Target(protocol="messages", dialect="anthropic", model="claude-x")


def read(*pieces: bytes) -> list[AnyEvent]:
    stream = StreamIn(TARGET)
    return [event for piece in pieces for event in stream.feed(piece)] + stream.close()


EXPECTED: list[AnyEvent] = [
    Started(id="msg_01", model="claude-x-1"),
    Counted(meters={"input_uncached": 25, "cache_read": 900, "cache_write_1h": 40}, tier="standard"),
    Beat(),
    Opened(block=0, kind="thinking"),
    Delta(block=0, text="Let me "),
    Delta(block=0, text="see: π"),
    Signed(block=0, signature="EqQBCgIYAhIM"),
    Closed(block=0),
    Opened(block=1, kind="text"),
    Delta(block=1, text="Hel"),
    Delta(block=1, text="lo 🌍"),
    Closed(block=1),
    Opened(block=2, kind="tool", id="toolu_01", name="get_weather"),
    Delta(block=2, text='{"city": "Z'),
    Delta(block=2, text='ürich", "id": 12345678901234567890}'),
    Closed(block=2),
    Counted(
        meters={"input_uncached": 25, "cache_read": 900, "cache_write_1h": 40, "output_total": 89}, tier="standard"
    ),
    Finished(reason="tool", native="tool_use"),
    Ended(),
]


def test_every_event():
    assert read(WHOLE) == EXPECTED


def test_where_the_network_cuts_cannot_change_the_events():
    for cut in range(len(WHOLE) + 1):
        assert read(WHOLE[:cut], WHOLE[cut:]) == EXPECTED, f"cut at byte {cut}"
    assert read(*(WHOLE[at : at + 1] for at in range(len(WHOLE)))) == EXPECTED
    for cut in range(len(WHOLE)):
        kept = read(WHOLE[:cut])
        # What came so far, and no end that did not come (but for the very last frame, which `close` completes).
        assert [event for event in kept if event not in EXPECTED] in ([], [Closed(block=0)]), f"lost at byte {cut}"


def test_a_stream_that_broke_off_has_no_end():
    events = read(start() + text(0, "a"))
    assert not any(isinstance(event, Ended | Finished) for event in events)


def test_a_stream_that_lost_only_its_last_frame_ends():
    events = read(WHOLE.removesuffix(frame("message_stop")))
    assert events == EXPECTED


def test_the_whole_reply_of_a_stream():
    reply = fold(read(WHOLE))
    assert reply.answers[0].parts == [
        Thinking(text="Let me see: π", signature="EqQBCgIYAhIM"),
        Text(text="Hello 🌍"),
        ToolCall(id="toolu_01", name="get_weather", arguments='{"city": "Zürich", "id": 12345678901234567890}'),
    ]


def test_redacted_thinking_and_citations_survive():
    cite = {"type": "citations_delta", "citation": {"type": "char_location"}}
    events = read(
        start()
        + block(0, {"type": "redacted_thinking", "data": "D"})
        + block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}, cite)
        + end("end_turn", {"output_tokens": 1})
    )
    assert events[2:8] == [
        Opened(block=0, kind="thinking", redacted=True),
        Signed(block=0, signature="D"),
        Closed(block=0),
        Opened(block=1, kind="text"),
        Delta(block=1, text="x"),
        Cited(block=1, protocol="messages", raw=Raw(b'{"type": "char_location"}')),
    ]


def test_server_tool_blocks_are_left_out_and_numbers_stay_dense():
    events = read(
        start()
        + block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})
        + block(1, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []})
        + text(2, "x")
        + end("pause_turn", {"output_tokens": 1})
    )
    assert [event.block for event in events if isinstance(event, Opened)] == [0]
    assert Finished(reason="pause", native="pause_turn") in events


def test_the_last_stop_reason_of_several_counts():
    events = read(
        start()
        + frame("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1})
        + end("stop_sequence", {"output_tokens": 2}, stop_sequence="END", stop_details=None)
    )
    assert [event for event in events if isinstance(event, Finished)] == [
        Finished(reason="stop_sequence", native="stop_sequence", stop_sequence="END")
    ]
    assert events[-3] == Counted(meters={"input_uncached": 25, "output_total": 2})


def test_a_tool_whose_input_comes_with_its_start():
    events = read(start() + block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}))
    assert Delta(block=0, text='{"a": 1}') in events


def test_blocks_that_are_never_closed_are_closed_by_the_end():
    opened = frame("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": "S"})
    events = read(start() + opened + end("end_turn", {"output_tokens": 1}))
    assert [type(event) for event in events[2:]] == [Opened, Counted, Signed, Closed, Finished, Ended]


def test_a_block_whose_start_did_not_come_is_read():
    events = read(start() + frame("content_block_delta", index=3, delta={"type": "text_delta", "text": "x"}))
    assert events[-2:] == [Opened(block=0, kind="text"), Delta(block=0, text="x")]


def test_comments_and_pings_are_beats():
    assert read(b": keep-alive\n\n", PING) == [Beat(), Beat()]


def test_nothing_comes_after_the_end():
    assert read(WHOLE, text(3, "more"))[-1] == Ended()


def test_endless_open_blocks_are_garbage():
    block = {"type": "text", "text": ""}
    frames = [frame("content_block_start", index=index, content_block=block) for index in range(5000)]
    with pytest.raises(ProviderFault):
        read(*frames)


def test_pitfall_28_half_a_character_loses_no_frame():
    data = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\ud83d"}}\n\n'
    assert read(start(), data)[-1] == Delta(block=0, text="a\ufffd")


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
def test_nothing_escapes(data: bytes):
    read(data, b"data: " + data + b"\n\n")
