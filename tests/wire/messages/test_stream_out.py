"""Events as a Messages stream: the order checker and the official library agree that it is one."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from msgspec import Raw

from baseload.errors import Refusal
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.events import (
    Answer,
    AnyEvent,
    Beat,
    Cited,
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
from baseload.wire.canon.fold import unfold
from baseload.wire.canon.request import Media, Refused, Text, Thinking, ToolCall
from baseload.wire.canon.signature import seal, unseal
from baseload.wire.messages import StreamMeter, reply_out
from baseload.wire.messages.stream_in import StreamIn
from baseload.wire.messages.stream_out import StreamOut
from baseload.wire.refusals import NoProvider
from baseload.wire.usage import normalise
from tests.wire.messages import order, sdk
from tests.wire.messages.recorded import WHOLE

TARGET = Target(protocol="messages", dialect="anthropic", model="claude-x")
VIEW = View(model="asked", id="c1", created_s=1, origin="openai/gpt")
METERS = {"input_uncached": 7, "cache_read": 3, "cache_write_1h": 2, "output_total": 9, "reasoning": 4}


def write(events: list[AnyEvent], view: View = VIEW, each: bool = True) -> bytes:
    """All events at once, or one by one: the bytes are checked either way."""
    out = StreamOut(view)
    if each:
        return b"".join(out.write([event]) for event in events)
    return out.write(events)


def message(events: list[AnyEvent], view: View = VIEW) -> dict[str, Any]:
    """What the official library's user gets. Both judges look at it, and cuts change nothing."""
    stream = write(events, view)
    order.check(stream)
    order.check(write(events, view, each=False))
    read = sdk.streamed(stream).to_dict()
    assert sdk.streamed(stream, cut=7).to_dict() == read
    return read


def answer(*parts: Any, meters: dict[str, int] | None = METERS, **rest: Any) -> list[AnyEvent]:
    return unfold(Reply(id="r1", answers=[Answer(parts=list(parts), **rest)], meters=meters))


def block(number: int, kind: str, *texts: str, **opened: Any) -> list[AnyEvent]:
    return [
        Opened(block=number, kind=kind, **opened),
        *(Delta(block=number, text=text) for text in texts),
        Closed(block=number),
    ]


def test_text_survives():
    found = message(answer(Text(text="hi 🌍")))
    assert found["content"] == [{"type": "text", "text": "hi 🌍"}]
    assert (found["id"], found["model"], found["stop_reason"]) == ("r1", "asked", "end_turn")


def test_pitfall_12_the_event_order():
    events = order.check(write(answer(Thinking(text="t", signature="S"), Text(text="x"), ToolCall(id="t", name="f"))))
    assert [event["type"] for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_usage_is_corrected_at_the_end():
    events = order.check(write(answer(Text(text="x"))))
    start, delta = events[0]["message"]["usage"], events[-2]["usage"]
    assert start == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }
    assert (delta["input_tokens"], delta["cache_read_input_tokens"], delta["output_tokens"]) == (7, 3, 9)
    usage = message(answer(Text(text="x")))["usage"]
    assert (usage["input_tokens"], usage["cache_creation_input_tokens"], usage["output_tokens"]) == (7, 2, 9)
    assert usage["output_tokens_details"] == {"thinking_tokens": 4}


def test_usage_that_comes_with_the_start_is_said_at_the_start():
    stream = StreamOut(VIEW).write([Started(), Counted(meters={"input_uncached": 7}, tier="default")])
    (start,) = order.events_of(stream)
    assert (start["message"]["usage"]["input_tokens"], start["message"]["usage"]["service_tier"]) == (7, "standard")


def test_streamed_tool_arguments_survive():
    found = message(
        [
            Started(),
            *block(0, "tool", '{"b": "Z', 'ürich", "a', '": [1]}', id="functions.f:0", name="f"),
            *block(1, "tool", id="call_2", name="g"),
            Finished(reason="tool"),
            Ended(),
        ]
    )
    assert found["content"] == [
        {"type": "tool_use", "id": ids.safe("functions.f:0"), "name": "f", "input": {"b": "Zürich", "a": [1]}},
        {"type": "tool_use", "id": "call_2", "name": "g", "input": {}},
    ]
    assert found["stop_reason"] == "tool_use"


def test_pitfall_05_streamed_arguments_that_overlap_are_put_one_after_another():
    found = message(
        [
            Started(),
            Opened(block=0, kind="tool", id="a", name="f"),
            Opened(block=1, kind="tool", id="b", name="g"),
            Delta(block=1, text='{"y"'),
            Delta(block=0, text='{"x":'),
            Delta(block=1, text=":2}"),
            Delta(block=0, text="1}"),
            Closed(block=1),
            Closed(block=0),
            Finished(reason="tool"),
            Ended(),
        ]
    )
    assert [(part["name"], part["input"]) for part in found["content"]] == [("f", {"x": 1}), ("g", {"y": 2})]


def test_free_text_of_a_custom_tool_is_an_object():
    events = [
        Started(),
        *block(0, "tool", 'say "', "ü\n", id="a", name="f", custom=True),
        Finished(reason="tool"),
        Ended(),
    ]
    assert message(events)["content"][0]["input"] == {"input": 'say "ü\n'}


def test_thinking_signatures_are_sealed_and_last_in_their_block():
    found = message(
        [
            Started(),
            Opened(block=0, kind="thinking"),
            Delta(block=0, text="a"),
            Signed(block=0, signature="S"),
            Delta(block=0, text="b"),
            Closed(block=0),
            *block(1, "thinking", "unsigned"),
            Opened(block=2, kind="thinking", redacted=True),
            Signed(block=2, signature="D"),
            Closed(block=2),
            Opened(block=3, kind="thinking"),
            Signed(block=3, signature="next"),
            Closed(block=3),
            *block(4, "thinking"),
            *block(5, "text", "x"),
            Finished(reason="stop"),
            Ended(),
        ]
    )
    assert found["content"] == [
        {"type": "thinking", "thinking": "ab", "signature": seal("openai/gpt", "S")},
        {"type": "thinking", "thinking": "unsigned", "signature": seal("openai/gpt", "")},
        {"type": "redacted_thinking", "data": seal("openai/gpt", "D", redacted=True)},
        {"type": "thinking", "thinking": "", "signature": seal("openai/gpt", "next")},
        {"type": "text", "text": "x"},
    ]


def test_hidden_thinking_goes_in_the_seal():
    view = View(model="m", id="c", created_s=1, origin="v/m", show_thinking=False)
    found = message(answer(Thinking(text="secret", signature="S"), Thinking(text="u"), Text(text="x")), view)
    first, second = found["content"]
    sealed = unseal(first["signature"])
    assert sealed is not None
    assert (first["thinking"], sealed.text, sealed.signature) == ("", "secret", "S")
    assert second == {"type": "text", "text": "x"}


def test_an_empty_text_is_no_block():
    found = message([Started(), *block(0, "text"), *block(1, "text", "", "x"), Finished(reason="stop"), Ended()])
    assert found["content"] == [{"type": "text", "text": "x"}]


def test_refusals_survive():
    found = message(answer(Refused(text="I cannot.")))
    assert found["content"] == [{"type": "text", "text": "I cannot."}]
    assert (found["stop_reason"], found["stop_details"]["explanation"]) == ("refusal", "I cannot.")


@pytest.mark.parametrize(
    ("reason", "native"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool", "tool_use"),
        ("filter", "refusal"),
        ("stop_sequence", "stop_sequence"),
        ("context", "model_context_window_exceeded"),
        ("pause", "pause_turn"),
    ],
)
def test_finish_reasons_survive(reason: str, native: str):
    found = message(answer(Text(text="x"), reason=reason, stop_sequence="END" if reason == "stop_sequence" else ""))
    assert found["stop_reason"] == native
    assert found["stop_sequence"] == ("END" if reason == "stop_sequence" else None)


def test_stop_details_survive():
    detail = Raw(b'{"type":"refusal","category":"cyber","explanation":null}')
    assert message(answer(reason="filter", detail=detail))["stop_details"] == json.loads(bytes(detail))


def test_citations_survive_in_their_own_protocol_only():
    own = {"type": "char_location", "cited_text": "x", "document_index": 0, "start_char_index": 0, "end_char_index": 1}
    found = message(
        [
            Started(),
            Opened(block=0, kind="text"),
            Delta(block=0, text="x"),
            Cited(block=0, protocol="messages", raw=Raw(json.dumps(own).encode())),
            Cited(block=0, protocol="chat", raw=Raw(b'{"type":"url_citation"}')),
            Closed(block=0),
            Finished(reason="stop"),
            Ended(),
        ]
    )
    (cited,) = found["content"][0]["citations"]
    assert cited["type"] == "char_location"


def test_a_beat_is_a_ping_anywhere():
    events = answer(Text(text="x"))
    beaten = [Beat(), *(found for event in events[:-1] for found in (event, Beat())), events[-1]]
    assert message(beaten) == message(events)
    assert write([Beat()]) == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_pitfall_20_a_failure_ends_the_stream_without_a_normal_end():
    out = StreamOut(VIEW)
    stream = out.write([Started(), *block(0, "text", "x")])
    stream += out.fail(NoProvider("asked"), "call-9")
    assert out.write(answer(Text(text="y"))) == b""
    events = order.check(stream)
    assert events[-1]["error"]["type"] == "overloaded_error"
    assert "call-9" in json.dumps(events[-1])
    with pytest.raises(anthropic.APIStatusError):
        sdk.streamed(stream)


def test_a_reply_that_failed_in_generating_is_an_error():
    stream = write(answer(Text(text="x"), reason="error", native="MALFORMED_FUNCTION_CALL"))
    events = order.check(stream)
    assert (events[-1]["type"], events[-1]["error"]["type"]) == ("error", "api_error")
    assert "MALFORMED_FUNCTION_CALL" in events[-1]["error"]["message"]


def test_only_the_first_choice_is_written():
    events = answer(Text(text="x"))
    other = [Opened(choice=1, block=0, kind="text"), Delta(choice=1, block=0, text="y"), Closed(choice=1, block=0)]
    assert message([events[0], *other, *events[1:]]) == message(events)


def test_media_have_no_place_in_a_reply_but_their_address():
    found = message(answer(Media(kind="image", mime="image/png", data="iVBO"), Media(kind="image", url="https://x/y")))
    assert found["content"] == [{"type": "text", "text": "https://x/y"}]


def test_a_streamed_and_a_whole_reply_are_the_same_message():
    parts = [Thinking(text="t", signature="S"), Text(text="x"), ToolCall(id="t", name="f", arguments='{"a":1}')]
    reply = Reply(id="r1", answers=[Answer(parts=parts, reason="tool")], meters=METERS)
    one, other = sdk.whole(reply_out.write(reply, VIEW)).to_dict(), message(unfold(reply))
    one["usage"].pop("cache_creation")  # message_delta's usage has no place for it
    assert other.pop("stop_details") is None
    assert one == other


def through(stream: bytes, pieces: int) -> bytes:
    """From the wire to events and back on the wire."""
    source, out = StreamIn(TARGET), StreamOut(View(model="claude-x-1", id="c", created_s=1))
    written = b""
    for at in range(0, len(stream), pieces):
        written += out.write(source.feed(stream[at : at + pieces]))
    return written + out.write(source.close())


def test_two_hops_keep_the_message():
    again = through(WHOLE, len(WHOLE))
    order.check(again)
    for member in ("id", "model", "content", "stop_reason"):
        assert getattr(sdk.streamed(again), member) == getattr(sdk.streamed(WHOLE), member)
    meter = StreamMeter()
    meter.feed(again)
    assert normalise("anthropic-messages", "anthropic", meter.usages).meters == {
        "input_uncached": 25,
        "cache_read": 900,
        "cache_write_1h": 40,
        "output_total": 89,
    }


def test_cut_at_every_byte_the_stream_is_the_same():
    want = [event for event in order.check(through(WHOLE, len(WHOLE))) if event["type"] != "message_start"]
    for size in (1, 2, 3, 5, 8, 13, 64, 1000):
        found = order.check(through(WHOLE, size))
        assert [event for event in found if event["type"] != "message_start"] == want


def test_a_refusal_of_ours_keeps_its_words():
    frame = StreamOut(VIEW).fail(Refusal("It broke.", "Repeat it.", status=500), "c1")
    (event,) = order.check(frame)
    assert event["error"]["message"].startswith("It broke. Repeat it.")
