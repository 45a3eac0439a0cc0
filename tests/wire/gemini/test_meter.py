"""A generateContent stream read along: every cut, every end."""

from __future__ import annotations

import json

import pytest

from baseload.wire.gemini import StreamMeter
from baseload.wire.usage import normalise
from tests.wire.gemini.recorded import STREAM, USAGE, as_array, piece, sse

NAMES = [
    "usage",
    "done",
    "finished",
    "finish",
    "error",
    "frames",
    "text_bytes",
    "first_token",
    "upstream_model",
    "tier",
    "malformed",
    "usages",
]


def read(*pieces: bytes, cap: int = 2**20) -> tuple[StreamMeter, bytes]:
    meter = StreamMeter(cap=cap)
    out = b"".join([meter.feed(each) for each in pieces]) + meter.close()
    return meter, out


def facts(meter: StreamMeter) -> dict[str, object]:
    return {name: getattr(meter, name) for name in NAMES}


EXPECTED = {
    "usage": json.dumps(USAGE[1]).encode(),
    "done": False,
    "finished": True,
    "finish": "STOP",
    "error": b"",
    "frames": 5,
    "text_bytes": len('Let me think \U0001f600.The caf\u00e9 is "open".\n'.encode())
    + len('look{"b": 12345678901234567890, "a": "}{"}look{}'),
    "first_token": True,
    "upstream_model": "gemini-3-pro-preview",
    "tier": "",
    "malformed": 0,
    "usages": [json.dumps(each).encode() for each in USAGE],
}


def test_where_the_network_cuts_cannot_change_the_reading():
    for cut in range(len(STREAM) + 1):
        meter, out = read(STREAM[:cut], STREAM[cut:])
        assert facts(meter) == EXPECTED, f"cut at byte {cut}"
        assert out == STREAM
    meter, out = read(*(STREAM[i : i + 1] for i in range(len(STREAM))))
    assert (facts(meter), out) == (EXPECTED, STREAM)


@pytest.mark.parametrize("end", ["\r\n\r\n", "\r\r", "\n\n"])
def test_every_line_end(end):
    stream = STREAM.replace(b"\n\n", end.encode())
    meter, out = read(b"\xef\xbb\xbf" + stream)
    assert facts(meter) == EXPECTED
    assert out == b"\xef\xbb\xbf" + stream


def test_whole_frames_only_leave():
    meter = StreamMeter()
    for i in range(len(STREAM)):
        out = meter.feed(STREAM[i : i + 1])
        assert out == b"" or out.endswith(b"\n\n")


def test_an_array_body_is_read_and_leaves_as_frames():
    array = as_array(STREAM)
    for cut in range(0, len(array) + 1, 3):
        meter, out = read(array[:cut], array[cut:])
        found = facts(meter)
        for name in ("finished", "finish", "frames", "malformed", "upstream_model"):
            assert found[name] == EXPECTED[name]
        assert json.loads(meter.usage) == USAGE[1]
        objects = [json.loads(frame[6:]) for frame in out.split(b"\n\n") if frame]
        assert objects == [json.loads(frame[6:]) for frame in STREAM.split(b"\n\n") if frame]


def test_a_connection_lost_leaves_the_reading_unfinished():
    for cut in range(len(STREAM) - 2):
        meter, _ = read(STREAM[:cut])
        assert not meter.finished, f"cut at byte {cut}"
        assert meter.malformed <= 1


def test_finished_only_when_all_candidates_are():
    meter = StreamMeter()
    meter.feed(sse(piece({"text": "a"}), piece({"text": "b"}, index=1)))
    meter.feed(sse(piece({"text": ""}, finish="STOP", index=1)))
    assert not meter.finished
    meter.feed(sse(piece({"text": ""}, finish="MAX_TOKENS")))
    assert (meter.finished, meter.finish, meter.done) == (True, "MAX_TOKENS", False)


def test_a_blocked_prompt_is_an_answer():
    meter, _ = read(sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": USAGE[0]}))
    assert (meter.finished, meter.finish, meter.error) == (True, "PROHIBITED_CONTENT", b"")
    assert meter.first_token is False
    usage = normalise("gemini", "gemini", meter.usages)
    assert usage.meters == {"input_uncached": 40, "output_total": 0}


ERROR = b'{"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}'


@pytest.mark.parametrize(
    "tail",
    [
        b'data: {"error": %s}\n\n',
        b'data: [{"error": %s}]\n\n',
        b'{"error": %s}\n',
        b'[{\n  "error": %s\n}\n]\n',
        b'data: {"error": %s}',
    ],
)
def test_pitfall_20_an_error_inside_a_stream(tail):
    body = sse(piece({"text": "a"})) + tail % ERROR
    for cut in range(len(body) + 1):
        meter, out = read(body[:cut], body[cut:])
        assert meter.error == ERROR
        assert not meter.finished
        assert out == body


@pytest.mark.parametrize("body", [b'{"error": %s}', b'[{"error": %s}]', b'\n [ {\n"error": %s}\n]\n'])
def test_pitfall_21_an_error_where_a_stream_was_expected(body):
    meter, out = read(body % ERROR)
    assert meter.error == ERROR
    assert out.startswith(b"data: {")


def test_keep_alives_are_no_first_token():
    meter, out = read(b": ping\n\n", b"\n", b"\r\n", sse(piece({"text": "", "thoughtSignature": "QUJD"})))
    assert not meter.first_token
    assert meter.frames == 0
    assert out.startswith(b": ping\n\n\n\r\n")


def test_blank_lines_for_long_are_bounded():
    meter = StreamMeter()
    out = b"".join(meter.feed(b"\n") for _ in range(10_000))
    assert len(out) > 5000
    assert meter.feed(STREAM).endswith(STREAM)


def test_images_count_as_frames_without_text():
    meter, _ = read(sse(piece({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, finish="STOP")))
    assert (meter.frames, meter.text_bytes, meter.first_token) == (1, 0, True)


def test_traffic_type_is_the_tier():
    usage = {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": "ON_DEMAND_PRIORITY"}
    meter, _ = read(sse(piece({"text": "a"}, finish="STOP", usageMetadata=usage)))
    assert meter.tier == "priority"
    usage["trafficType"] = "PROVISIONED_THROUGHPUT"
    meter, _ = read(sse(piece({"text": "a"}, finish="STOP", usageMetadata=usage)))
    assert meter.tier == "provisioned"
    usage["trafficType"] = "ON_DEMAND"
    meter, _ = read(sse(piece({"text": "a"}, finish="STOP", usageMetadata=usage)))
    assert meter.tier == ""


@pytest.mark.parametrize(
    "payload",
    [
        b"nonsense",
        b'{"candidates":',
        b'{"candidates":[{"content":{"parts":[{"text":"\\ud83d\\ud83d"}]}}]}',
        b"[1]",
        b"7",
    ],
)
def test_garbage_is_a_fact(payload):
    meter, out = read(b"data: " + payload + b"\n\n", STREAM)
    assert out.endswith(STREAM)
    assert meter.finished
    assert meter.malformed == (0 if b"ud83d" in payload else 1)


@pytest.mark.parametrize(
    "chunk",
    [
        {"candidates": {}, "usageMetadata": 3, "modelVersion": []},
        {"candidates": [{"content": {"parts": [{"text": 3}]}, "index": "x", "finishReason": 4}]},
        {"promptFeedback": [], "usageMetadata": None, "error": None},
        {"candidates": [{"content": None, "finishReason": None}], "error": {}},
    ],
)
def test_surprising_types_break_nothing(chunk):
    meter, _ = read(sse(chunk))
    assert (meter.malformed, meter.error, meter.usage) == (0, b"", b"")
    meter, _ = read(sse(chunk), STREAM)
    assert json.loads(meter.usage) == USAGE[1]


def test_a_frame_beyond_the_cap_is_garbage():
    from baseload.errors import ProviderFault

    for head in (b"data: ", b"["):
        with pytest.raises(ProviderFault) as fault:
            read(head + b'{"a":"' + b"x" * 3000, cap=1000)
        assert fault.value.fault == "garbage"


def test_many_reports_keep_memory_flat():
    meter = StreamMeter()
    for number in range(1000):
        usage = {"promptTokenCount": 5, "candidatesTokenCount": number, "totalTokenCount": 5 + number}
        meter.feed(sse(piece({"text": "a"}, usageMetadata=usage)))
    assert len(meter.usages) == 4
    assert normalise("gemini", "gemini", meter.usages).meters == {"input_uncached": 5, "output_total": 999}
