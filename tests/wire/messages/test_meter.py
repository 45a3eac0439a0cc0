"""The stream meter: every byte goes on, where the network cuts changes nothing, the counts are the vendor's last."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.messages import StreamMeter
from baseload.wire.usage import normalise
from tests.wire.messages.recorded import PING, WHOLE, block, end, frame, start, text


def relay(pieces: list[bytes]) -> tuple[bytes, StreamMeter]:
    meter = StreamMeter()
    out = [meter.feed(piece) for piece in pieces]
    out.append(meter.close())
    return b"".join(out), meter


def facts(meter: StreamMeter) -> tuple[object, ...]:
    return tuple(getattr(meter, name) for name in sorted(StreamMeter.__slots__) if name[0] != "_") + tuple(meter.usages)


def counted(meter: StreamMeter) -> dict[str, int]:
    return normalise("anthropic-messages", "anthropic", meter.usages).meters


def test_what_a_stream_says():
    out, meter = relay([WHOLE])
    assert out == WHOLE
    assert meter.usage == b'{"output_tokens": 89}'
    assert counted(meter) == {"input_uncached": 25, "cache_read": 900, "cache_write_1h": 40, "output_total": 89}
    said = (
        "Let me " + "see: π" + "Hel" + "lo 🌍" + "get_weather" + '{"city": "Z' + 'ürich", "id": 12345678901234567890}'
    )
    assert (meter.frames, meter.text_bytes) == (7, len(said.encode()))
    assert (meter.finish, meter.finished, meter.done) == ("tool_use", True, True)
    assert (meter.upstream_model, meter.tier) == ("claude-x-1", "standard")
    assert (meter.error, meter.malformed, meter.first_token) == (b"", 0, True)


def test_where_the_network_cuts_cannot_change_anything():
    _, reference = relay([WHOLE])
    for cut in range(len(WHOLE) + 1):
        out, meter = relay([WHOLE[:cut], WHOLE[cut:]])
        assert out == WHOLE, f"cut at byte {cut}"
        assert facts(meter) == facts(reference), f"cut at byte {cut}"
    out, meter = relay([WHOLE[at : at + 1] for at in range(len(WHOLE))])
    assert out == WHOLE
    assert facts(meter) == facts(reference)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends(line_end: bytes):
    _, reference = relay([WHOLE])
    stream = WHOLE.replace(b"\n", line_end)
    for pieces in ([stream], [stream[at : at + 7] for at in range(0, len(stream), 7)]):
        out, meter = relay(pieces)
        assert out == stream
        assert facts(meter) == facts(reference)


def test_frames_without_event_lines_are_read_as_well():
    stream = b"".join(line + b"\n\n" for line in WHOLE.split(b"\n") if line.startswith(b"data:"))
    out, meter = relay([stream])
    assert out == stream
    assert facts(meter) == facts(relay([WHOLE])[1])


def test_pitfall_24_pings_and_comments_are_no_first_token():
    meter = StreamMeter()
    for piece in (
        start(),
        PING,
        b": keep-alive\n\n",
        b"\n",
        frame("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    ):
        assert meter.feed(piece) == piece
        assert not meter.first_token
    meter.feed(frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"}))
    assert meter.first_token
    assert meter.malformed == 0


def test_a_frame_goes_on_the_moment_it_is_whole():
    meter = StreamMeter()
    first = frame("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"})
    assert meter.feed(first[:-1]) == b""
    assert meter.feed(first[-1:] + b"event: p") == first


def test_pitfall_20_an_error_inside_the_stream():
    _, meter = relay([start() + text(0, "a") + frame("error", error={"type": "overloaded_error", "message": "x"})])
    assert meter.error == b'{"type": "overloaded_error", "message": "x"}'
    assert not meter.done


@pytest.mark.parametrize(
    "data",
    [
        b'{"base_resp":{"status_code":1008,"status_msg":"no money"}}',
        b'{"code":20012,"message":"failed","data":null}',
        b'{"error":"overloaded"}',
    ],
)
def test_errors_in_other_vendors_words(data: bytes):
    _, meter = relay([b"data: " + data + b"\n\n"])
    assert meter.error in data
    assert meter.error


def test_lesson_07_cumulative_usage_is_replaced_never_added():
    _, meter = relay(
        [
            start({"input_tokens": 10, "cache_read_input_tokens": 7, "output_tokens": 3}),
            *(frame("message_delta", delta={}, usage={"output_tokens": n}) for n in range(1, 9)),
            frame("message_delta", delta={}, usage={"input_tokens": 12, "output_tokens": 9}),
            *(frame("message_delta", delta={}, usage={"output_tokens": n}) for n in range(10, 20)),
        ]
    )
    assert counted(meter) == {"input_uncached": 12, "cache_read": 7, "output_total": 19}
    assert len(meter.usages) <= 4


def test_a_zero_in_the_last_report_is_a_report():
    _, meter = relay([start(), end("end_turn", {"output_tokens": 0})])
    assert counted(meter) == {"input_uncached": 25, "output_total": 0}


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b'"x"',
        b'{"type":7,"delta":[],"usage":3}',
        b'{"type":"message_start","message":null}',
        b'{"type":"message_start","message":{"usage":[]}}',
        b'{"type":"content_block_start","content_block":[1]}',
        b'{"type":"message_delta","delta":{"stop_reason":{}},"usage":"x"}',
        b'{"type":"content_block_delta","delta":{"text":"\\ud83d"}}',
        b"\xff\xfe",
    ],
)
def test_garbage_goes_on_and_raises_nothing(data: bytes):
    piece = b"event: x\ndata: " + data + b"\n\n"
    out, _ = relay([piece, WHOLE])
    assert out == piece + WHOLE


def test_text_with_half_a_surrogate_is_counted():
    _, meter = relay([b'data: {"type":"content_block_delta","index":0,"delta":{"text":"a\\ud83d"}}\n\n'])
    assert (meter.frames, meter.malformed, meter.first_token) == (1, 0, True)


def test_lesson_53_large_frames_pass_and_endless_ones_do_not():
    large = text(0, "x" * 2**20)
    assert relay([large[at : at + 65536] for at in range(0, len(large), 65536)])[0] == large
    meter = StreamMeter(cap=1000)
    with pytest.raises(ProviderFault):
        meter.feed(large)


def test_lesson_51_memory_does_not_grow_with_the_reply():
    meter = StreamMeter()
    for number in range(2000):
        meter.feed(frame("message_delta", delta={}, usage={"output_tokens": number}))
    assert sum(map(len, meter.usages)) < 500


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_go_on(data: bytes, cut: int):
    assert relay([data[:cut], data[cut:]])[0] == data


def test_a_whole_input_in_the_start_of_a_tool_is_first_token():
    _, meter = relay([start() + block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {}})])
    assert (meter.first_token, meter.text_bytes) == (True, 1)
