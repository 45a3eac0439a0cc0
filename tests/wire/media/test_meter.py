"""Streams of images, speech and transcriptions read along: every byte goes on, wherever the network cuts."""

from __future__ import annotations

import pytest

from baseload.errors import ProviderFault
from baseload.wire.ask import Ask
from baseload.wire.media import USAGE, BinaryMeter, StreamMeter, meter_of
from baseload.wire.usage import normalise, price_meters


def frames(*events: bytes) -> bytes:
    return b"".join(b"event: x\ndata: %b\n\n" % event for event in events)


IMAGES = frames(
    b'{"type":"image_generation.partial_image","b64_json":"aGk=","partial_image_index":0}',
    b'{"type":"image_generation.completed","b64_json":"aGk=","usage":{"input_tokens":5,"output_tokens":100,"total_tokens":105,'
    b'"input_tokens_details":{"text_tokens":5,"image_tokens":0}}}',
)
SERIES = (
    frames(
        b'{"type":"image_generation.partial_succeeded","model":"seedream","image_index":0,"url":"u://1"}',
        b'{"type":"image_generation.partial_succeeded","model":"seedream","image_index":1,"url":"u://2"}',
        b'{"type":"image_generation.partial_failed","image_index":2,"error":{"code":"x"}}',
        b'{"type":"image_generation.completed","usage":{"generated_images":2,"output_tokens":9}}',
    )
    + b"data: [DONE]\n\n"
)
SPEECH = frames(
    b'{"type":"speech.audio.delta","audio":"AAAA"}',
    b'{"type":"speech.audio.done","usage":{"input_tokens":7,"output_tokens":70,"total_tokens":77}}',
)
WORDS = (
    b": ping\n\n"
    + frames(
        b'{"type":"transcript.text.delta","delta":"Hello"}',
        b'{"type":"transcript.text.segment","text":"Hello"}',
        b'{"type":"transcript.text.delta","delta":" there"}',
        b'{"type":"transcript.text.done","text":"Hello there","usage":{"type":"tokens","input_tokens":14,'
        b'"output_tokens":3,"total_tokens":17,"input_token_details":{"audio_tokens":14,"text_tokens":0}}}',
    )
    + b"data: [DONE]\n\n"
)

# endpoint, stream, frames with content, text bytes, price meters, units, was [DONE] said
STREAMS = [
    ("images", IMAGES, 1, 0, {"input": 5, "output": 0, "output_image": 100}, {"images": 1}, False),
    ("images", SERIES, 2, 0, {"images": 2}, {"images": 2}, True),
    ("speech", SPEECH, 1, 0, {"input": 7, "output": 0, "output_audio": 70}, {}, False),
    ("transcriptions", WORDS, 2, 11, {"input": 0, "input_audio": 14, "output": 3}, {}, True),
]


def read(endpoint: str, *pieces: bytes) -> tuple[bytes, StreamMeter]:
    meter = StreamMeter(endpoint)
    out = b"".join([*map(meter.feed, pieces), meter.close()])
    return out, meter


def facts(meter: StreamMeter) -> tuple[object, ...]:
    return (meter.frames, meter.text_bytes, meter.usages, meter.units, meter.done, meter.finished, meter.error)


@pytest.mark.parametrize(("endpoint", "stream", "content", "text", "meters", "units", "done"), STREAMS)
def test_what_a_stream_says(endpoint, stream, content, text, meters, units, done):
    out, meter = read(endpoint, stream)
    assert out == stream
    assert (meter.frames, meter.text_bytes, meter.units) == (content, text, units)
    assert (meter.first_token, meter.finished, meter.done, meter.finish, meter.malformed) == (
        True,
        True,
        done,
        "stop",
        0,
    )
    assert price_meters(normalise(USAGE[endpoint], "", meter.usages).meters) == meters


@pytest.mark.parametrize(("endpoint", "stream"), [row[:2] for row in STREAMS])
def test_where_the_network_cuts_cannot_change_the_reading(endpoint, stream):
    expected = facts(read(endpoint, stream)[1])
    out, meter = read(endpoint, *(stream[at : at + 1] for at in range(len(stream))))
    assert (out, facts(meter)) == (stream, expected)
    for cut in range(len(stream)):
        out, meter = read(endpoint, stream[:cut], stream[cut:])
        assert (out, facts(meter)) == (stream, expected), f"cut at byte {cut}"
        out, meter = read(endpoint, stream[:cut])
        assert out == stream[:cut], f"connection lost at byte {cut}"


def test_pitfall_24_a_comment_is_not_the_first_token():
    meter = StreamMeter("transcriptions")
    assert meter.feed(b": keep-alive\n\n") == b": keep-alive\n\n"
    assert not meter.first_token
    meter.feed(frames(b'{"type":"transcript.text.delta","delta":"a"}'))
    assert meter.first_token


def test_pitfall_20_an_error_inside_a_stream_is_found():
    for event, error in (
        (b'{"type":"error","error":{"message":"no"}}', b'{"message":"no"}'),
        (b'{"error":{"code":"x"}}', b'{"code":"x"}'),
        (b'{"type":"error","code":"x","message":"no"}', b'{"type":"error","code":"x","message":"no"}'),
    ):
        _, meter = read("images", frames(event))
        assert (meter.error, meter.finished) == (error, False)


def test_an_image_that_was_begun_is_counted_when_the_stream_is_cut():
    _, meter = read("images", IMAGES[: IMAGES.index(b"\n\n") + 2])
    assert (meter.units, meter.usages, meter.finished) == ({"images": 1}, [], False)
    _, meter = read("images", SERIES[: SERIES.index(b"partial_failed")])
    assert meter.units == {"images": 2}
    _, meter = read("images", b": nothing yet\n\n")
    assert meter.units == {}


def test_garbage_is_counted_and_passed_on():
    stream = b"data: {nonsense\n\ndata: \xff\n\ndata:\n\n"
    out, meter = read("speech", stream)
    assert (out, meter.malformed) == (stream, 2)


def test_a_frame_that_never_ends_is_bounded():
    meter = StreamMeter("images", cap=1000)
    with pytest.raises(ProviderFault, match="1000 bytes"):
        meter.feed(b"data: " + b"x" * 2000)


def test_sound_goes_on_as_it_comes():
    meter = BinaryMeter()
    assert not meter.first_token
    assert meter.feed(b"\xff\xfb") == b"\xff\xfb"
    assert (meter.first_token, meter.frames, meter.finished, meter.usages, meter.units) == (True, 1, False, [], {})
    assert meter.close() == b""
    assert meter.finished
    assert meter.done


def test_speech_that_was_begun_is_counted_by_its_characters_when_it_is_cut():
    ask = Ask("m", units=(("characters", 12),))
    for kind, piece in (("audio/mpeg", b"\xff\xfb"), ("text/event-stream", SPEECH[: SPEECH.index(b"\n\n") + 2])):
        meter = meter_of("speech", kind, ask)
        assert meter is not None
        assert meter.units == {}
        meter.feed(piece)
        assert (meter.units, meter.finished) == ({"characters": 12}, False)
    other = meter_of("transcriptions", "text/event-stream", Ask("m", units=(("audio_ms", 1000),)))
    assert other is not None
    other.feed(WORDS)
    assert other.units == {}  # how long a recording may be is no count
