"""Rerank, images, speech, transcriptions: what a request asks and may cost, the patched body, what a reply reports."""

from __future__ import annotations

import contextlib
import struct

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import ImagesResponse
from openai.types.audio import Transcription, TranscriptionVerbose

from baseload.errors import Refusal
from baseload.wire.ask import Ask
from baseload.wire.media import ENDPOINTS, USAGE, BinaryMeter, StreamMeter, counted, images, meter_of, rerank, speech
from baseload.wire.media import transcriptions as trans
from baseload.wire.metering import Facts
from baseload.wire.usage import Usage, normalise, price_meters

RERANK = b'{"model":"m", "query":"q","documents":["a","b"],"top_n":1,"x":1e2}'
IMAGES = b'{"model":"m","prompt":"p","n":2,"size":"1024x1024", "big":12345678901234567890}'
SPEECH = b'{"model":"m","input":"\\u00fc\\ud83d\\ude00!","voice":"alloy"}'


def form(fields: dict[str, str], file: bytes | None = b"x" * 4000) -> tuple[bytes, str]:
    files = {"file": ("a.mp3", file, "audio/mpeg")} if file is not None else {"other": ("o", b"", "text/plain")}
    request = httpx.Request("POST", "http://h/", data=fields, files=files)
    return request.read(), request.headers["content-type"]


def ask_of(endpoint: str, body: bytes, content_type: str = "application/json") -> Ask:
    return ENDPOINTS[endpoint].read_ask(ENDPOINTS[endpoint].open(body, content_type))


def metered(endpoint: str, facts: Facts) -> Usage:
    return normalise(USAGE[endpoint], "", facts.usages, endpoint=endpoint, counted_units=facts.units)


# -- requests


def test_what_requests_ask_and_may_cost():
    assert ask_of("rerank", RERANK) == Ask("m", units=(("search_units", 1),))
    assert ask_of("images", IMAGES) == Ask("m", n=2, units=(("images", 2),))
    assert ask_of("speech", SPEECH) == Ask("m", units=(("characters", 3),))
    body, kind = form({"model": "m", "stream": "true"})
    assert ask_of("transcriptions", body, kind) == Ask("m", stream=True, units=(("audio_ms", 2000),))


@pytest.mark.parametrize(("endpoint", "body"), [("rerank", RERANK), ("images", IMAGES), ("speech", SPEECH)])
def test_only_the_model_is_patched(endpoint, body):
    module = ENDPOINTS[endpoint]
    opened = module.open(body, "")
    patched = module.patch(opened, module.read_ask(opened), 'up/"stream"')
    again = module.open(patched, "")
    assert bytes(again.pop("model")) == b'"up/\\"stream\\""'
    assert again == {name: value for name, value in module.open(body, "").items() if name != "model"}


def test_a_transcription_s_form_is_patched_and_nothing_else_in_it():
    body, kind = form({"prompt": "model", "model": "m-1", "response_format": "srt"})
    opened = trans.open(body, kind)
    assert trans.patch(opened, trans.read_ask(opened), "whisper-large-v3") == body.replace(b"m-1", b"whisper-large-v3")


@pytest.mark.parametrize(
    ("endpoint", "body", "param"),
    [
        ("rerank", b'{"query":"q","documents":["a"]}', "model"),
        ("rerank", b'{"model":"","query":"q","documents":["a"]}', "model"),
        ("rerank", b'{"model":1,"query":"q","documents":["a"]}', "model"),
        ("rerank", b'{"model":"m","documents":["a"]}', "query"),
        ("rerank", b'{"model":"m","query":1,"documents":["a"]}', "query"),
        ("rerank", b'{"model":"m","query":"q"}', "documents"),
        ("rerank", b'{"model":"m","query":"q","documents":"a"}', "documents"),
        ("rerank", b'{"model":"m","query":"q","documents":[]}', "documents"),
        ("rerank", b'{"model":"m","query":"q","documents":["a"],"stream":true}', "stream"),
        ("rerank", b'{"model":"m","Model":"n","query":"q","documents":["a"]}', "model"),
        ("images", b'{"model":"m"}', "prompt"),
        ("images", b'{"model":"m","prompt":"p","n":0}', "n"),
        ("images", b'{"model":"m","prompt":"p","n":"2"}', "n"),
        ("images", b'{"model":"m","prompt":"p","n":2,"stream":true}', "n"),
        ("images", b'{"model":"m","prompt":"p","svg":{"model":"x"}}', "svg"),
        ("images", b'{"model":"m","prompt":"p","sequential_image_generation":"auto",'
                   b'"sequential_image_generation_options":{"max_images":-1}}', "max_images"),
        ("speech", b'{"model":"m","voice":"v"}', "input"),
        ("speech", b'{"model":"m","input":""}', "input"),
        ("speech", b'{"model":"m","input":["a"]}', "input"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_member(endpoint, body, param):
    with pytest.raises(Refusal) as refusal:
        ask_of(endpoint, body)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("fields", "file", "param"),
    [
        ({}, b"x", "model"),
        ({"model": ""}, b"x", "model"),
        ({"model": "m", "stream": "maybe"}, b"x", "stream"),
        ({"model": "m"}, None, "file"),
        ({"model": ["a", "b"]}, b"x", "model"),
        ({"model": "m", "response_format": ["json", "text"]}, b"x", "response_format"),
    ],
)
def test_a_refusal_names_the_field(fields, file, param):
    with pytest.raises(Refusal) as refusal:
        ask_of("transcriptions", *form(fields, file))
    assert refusal.value.param == param


def test_a_series_of_images_is_held_whole():
    def n(more: bytes) -> int:
        return ask_of("images", b'{"model":"m","prompt":"p","sequential_image_generation":"auto"' + more + b"}").n

    assert n(b"") == 15
    assert n(b',"sequential_image_generation_options":{"max_images":4}') == 4
    assert n(b',"sequential_image_generation_options":null') == 15
    assert ask_of("images", b'{"model":"m","prompt":"p","sequential_image_generation":"disabled"}').n == 1


def test_long_and_many_documents_are_several_search_units():
    many = b'{"model":"m","query":"q","documents":[' + b",".join([b'"a"'] * 101) + b"]}"
    assert ask_of("rerank", many).units == (("search_units", 2),)
    long = b'{"model":"m","query":"q","documents":["' + b"a" * 150_000 + b'"]}'
    assert ask_of("rerank", long).units == (("search_units", 2),)


def test_speech_is_a_stream_of_events_only_where_it_is_asked_for():
    assert ask_of("speech", b'{"model":"m","input":"a","stream_format":"sse"}').stream
    assert not ask_of("speech", b'{"model":"m","input":"a","stream_format":"audio"}').stream


def wav(seconds: int, rate: int = 16_000, said: int | None = None, size: int | None = None) -> bytes:
    data = b"\0" * (seconds * rate * 2)
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2 if said is None else said, 2, 16)
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", 16) + form
    return b"RIFF\0\0\0\0WAVE" + chunks + b"data" + struct.pack("<I", len(data) if size is None else size) + data


def test_the_hold_of_a_recording():
    def bound(file: bytes | None, **fields: str) -> int:
        (unit,) = ask_of("transcriptions", *form({"model": "m", **fields}, file)).units
        return unit[1]

    assert bound(b"") == 1000
    assert bound(b"\xff" * 2_000_000) == 1_000_000  # no denser than 16 kbit/s
    assert bound(b"\xff" * 40_000_000) == trans.AUDIO_MS_MAX
    assert bound(wav(7)) == 7_000  # its header says it
    assert bound(wav(7, size=0xFFFFFFFF)) == 7_000  # a stream's header
    assert bound(wav(7, said=2**31)) == pytest.approx(112_000, abs=100)  # one that contradicts itself says nothing
    assert bound(None, url="https://a.example/b.mp3") == trans.AUDIO_MS_MAX


@given(st.binary(max_size=100))
def test_no_header_breaks_the_bound(data):
    for head in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", wav(0)[:30]):
        assert 0 <= trans.wav_ms(head + data) <= 10**9


# -- replies


@pytest.mark.parametrize(
    ("reply", "meters"),
    [
        # Cohere: search units are billed
        (
            b'{"id":"r","results":[{"index":0,"relevance_score":0.9}],"meta":{"api_version":{"version":"2"},'
            b'"billed_units":{"search_units":2}}}',
            {"search_units": 2},
        ),
        # tokens beside what is billed are not
        (b'{"results":[],"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":9}}}', {"search_units": 1}),
        # SiliconFlow: tokens are billed
        (
            b'{"id":"r","results":[],"meta":{"billed_units":{"input_tokens":28,"output_tokens":0,"search_units":0,'
            b'"classifications":0},"tokens":{"input_tokens":28,"output_tokens":0}}}',
            {"input": 28},
        ),
        # Jina; vLLM; llama.cpp; DashScope
        (b'{"model":"jina","usage":{"total_tokens":815},"results":[]}', {"input": 815}),
        (b'{"id":"rerank-1","model":"bge","usage":{"total_tokens":56,"prompt_tokens":56},"results":[]}', {"input": 56}),
        (b'{"model":"m","object":"list","usage":{"prompt_tokens":9,"total_tokens":9},"results":[]}', {"input": 9}),
        (b'{"output":{"results":[]},"usage":{"total_tokens":79},"request_id":"q"}', {"input": 79}),
        (b'{"results":[],"meta":{"tokens":{"input_tokens":5}}}', {"input": 5}),
        (b'{"results":[],"usage":{"total_tokens":0}}', {"input": 0}),
    ],
)  # fmt: skip
def test_rerank_reports(reply, meters):
    facts = rerank.read_reply(reply)
    assert not facts.error
    usage = metered("rerank", facts)
    assert price_meters(usage.meters) == {**meters, "output": 0}
    assert (usage.input_provenance, usage.output_provenance) == ("reported", "reported")


def test_rerank_without_a_report_is_a_search():
    facts = rerank.read_reply(b'[{"index":0,"score":1}]')
    assert facts.malformed
    ask = ask_of("rerank", RERANK)
    facts = rerank.read_reply(b'{"results":[{"index":0}]}')
    usage = normalise("rerank", "", facts.usages, counted_units=counted("rerank", ask, facts.units))
    assert (usage.meters, usage.input_provenance, usage.output_provenance) == (
        {"search_units": 1},
        "counted",
        "counted",
    )


GPT_IMAGE = (
    b'{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"total_tokens":1100,"input_tokens":50,"output_tokens":1050,'
    b'"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}'
)


def test_images_reported_in_tokens():
    ImagesResponse.model_validate_json(GPT_IMAGE, strict=True)  # the reply is one that the official client reads
    usage = metered("images", images.read_reply(GPT_IMAGE))
    assert price_meters(usage.meters) == {"input": 10, "input_image": 40, "output": 0, "output_image": 1050}
    assert usage.input_provenance == "reported"
    detailed = GPT_IMAGE[:-2] + b',"output_tokens_details":{"image_tokens":1000,"text_tokens":50}}}'
    assert price_meters(metered("images", images.read_reply(detailed)).meters) == {
        "input": 10,
        "input_image": 40,
        "output": 50,
        "output_image": 1000,
    }


@pytest.mark.parametrize(
    ("reply", "count", "provenance"),
    [
        (b'{"created":1,"data":[{"url":"https://a.example/1"},{"b64_json":"aGk="}]}', 2, "counted"),
        (b'{"data":[{"url":"u://1","b64_json":null}],"usage":null}', 1, "counted"),
        (b'{"images":[{"url":"u://1"}],"data":[{"url":"u://1"}],"timings":{"inference":1}}', 1, "counted"),
        (b'{"images":[{"url":"u://1"}]}', 1, "counted"),
        # Ark: one of three failed; it says what it bills
        (
            b'{"data":[{"url":"u://1"},{"error":{"code":"x"}},{"url":"u://2"}],'
            b'"usage":{"generated_images":2,"output_tokens":8192,"total_tokens":8192}}',
            2,
            "reported",
        ),
        (b'{"data":[{"url":"u://1"},{"error":{"code":"x"}}]}', 1, "counted"),
        (b'{"data":[{"url":"u://1"}],"usage":{"image_count":1,"width":1,"height":1}}', 1, "reported"),
    ],
)
def test_images_by_count(reply, count, provenance):
    usage = metered("images", images.read_reply(reply))
    assert usage.meters == {"images": count}
    assert usage.input_provenance == usage.output_provenance == provenance


def test_no_image_is_no_count_and_missing():
    for reply in (b'{"data":[]}', b'{"data":null}', b'{"data":[{"url":null,"b64_json":""}]}', b'{"data":[1,"x"]}'):
        usage = metered("images", images.read_reply(reply))
        assert (usage.meters, usage.input_provenance) == ({}, "missing")


def test_speech_is_counted_from_its_request():
    ask = ask_of("speech", SPEECH)
    assert counted("speech", ask, {}) == {"characters": 3}
    usage = normalise("openai-speech", "", [], counted_units=counted("speech", ask, {}))
    assert (usage.meters, usage.input_provenance) == ({"characters": 3}, "counted")
    assert counted("images", ask_of("images", IMAGES), {}) == {}  # two were asked for, none came


def test_speech_replies_with_an_error_in_them_are_found():
    assert speech.read_reply(b'{"error":{"message":"no"}}', "application/json; charset=utf-8").error
    assert speech.read_reply(b"\xff\xfb\x90", "audio/mpeg") == Facts()
    assert speech.read_reply(b"\xff\xfb\x90", "application/json").malformed


@pytest.mark.parametrize(
    ("reply", "meters"),
    [
        (b'{"text":"hi","usage":{"type":"duration","seconds":12}}', {"audio_ms": 12_000}),
        (b'{"text":"hi","usage":{"type":"duration","seconds":12.3456}}', {"audio_ms": 12_346}),
        (b'{"task":"transcribe","text":"hi","language":"en","duration":8.470000267028809}', {"audio_ms": 8_470}),
        (b'{"text":"hi","language":"en","duration":"8.47"}', {"audio_ms": 8_470}),
        (
            b'{"text":"hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59,'
            b'"input_token_details":{"text_tokens":4,"audio_tokens":10}}}',
            {"input": 4, "input_audio": 10, "output": 45},
        ),
    ],
)
def test_transcription_reports(reply, meters):
    usage = metered("transcriptions", trans.read_reply(reply))
    assert price_meters(usage.meters) == meters
    assert usage.input_provenance == usage.output_provenance == "reported"


def test_the_replies_of_transcriptions_are_what_the_official_client_reads():
    Transcription.model_validate_json(b'{"text":"hi","usage":{"type":"duration","seconds":12}}', strict=True)
    TranscriptionVerbose.model_validate_json(b'{"text":"hi","language":"en","duration":8.47}', strict=True)


def test_subtitles_say_how_long_they_are_and_text_does_not():
    srt = b"1\r\n00:00:00,000 --> 00:00:02,500\r\nhi\r\n\r\n2\r\n00:59:59,100 --> 01:00:01,250\r\nthere\r\n"
    assert trans.read_reply(srt, "text/plain").units == {"audio_ms": 3_601_250}
    vtt = b"WEBVTT\n\n00:00.000 --> 00:04.120 align:left\nhi --> there\n"
    assert trans.read_reply(vtt, "text/vtt").units == {"audio_ms": 4_120}
    assert metered("transcriptions", trans.read_reply(vtt)).meters == {"audio_ms": 4_120}
    text = metered("transcriptions", trans.read_reply(b"hello --> there\n"))
    assert (text.meters, text.input_provenance) == ({}, "missing")


@pytest.mark.parametrize("endpoint", list(ENDPOINTS))
def test_pitfall_21_an_error_in_a_200_reply_is_found(endpoint):
    read = ENDPOINTS[endpoint].read_reply
    for body in (
        b'{"error":{"message":"no"}}',
        b'{"code":"InvalidParameter","message":"no","request_id":"r"}',
        b'{"code":20012,"message":"no","data":null}',
        b'{"base_resp":{"status_code":1004,"status_msg":"no"}}',
    ):
        assert read(body, "application/json").error, body
    for body in (b'{"error":null,"data":[{"url":"u://1"}]}', b'{"code":"","message":"","output":{"results":[]}}'):
        assert not read(body, "application/json").error, body


_DIGITS = [b"1", b"-1", b"1.5", b'"7"', b"1e400", b"null", b"true", b"{}", b"[]", b"9" * 70, b'"x"', b"NaN", b"2e13"]


@given(st.sampled_from(sorted(USAGE)), st.lists(st.sampled_from(_DIGITS), min_size=6, max_size=6))
def test_broken_reports_raise_nothing_and_are_never_negative(endpoint, values):
    names = (b"total_tokens", b"input_tokens", b"output_tokens", b"seconds", b"generated_images", b"characters")
    raw = b"{" + b",".join(b'"%b":%b' % pair for pair in zip(names, values, strict=True)) + b"}"
    for report in (raw, b'{"billed_units":' + raw + b"}", b'{"tokens":' + raw + b"}", raw[:-1], b"[]", b"\xff"):
        usage = normalise(USAGE[endpoint], "", [report])
        assert all(count >= 0 for count in usage.meters.values())


@given(st.sampled_from(sorted(ENDPOINTS)), st.binary(max_size=200))
def test_strangers_bytes_raise_nothing_but_refusals(endpoint, body):
    module = ENDPOINTS[endpoint]
    for reply in (body, b"{" + body, b'{"data":[' + body + b"]}", b'{"usage":' + body + b"}"):
        module.read_reply(reply, "application/json")
        with contextlib.suppress(Refusal):
            module.read_ask(module.open(reply, "application/json"))


def test_each_reply_has_the_reader_it_needs():
    assert isinstance(meter_of("images", "text/event-stream; charset=utf-8"), StreamMeter)
    assert isinstance(meter_of("speech", "Text/Event-Stream"), StreamMeter)
    assert isinstance(meter_of("speech", "audio/mpeg"), BinaryMeter)
    assert isinstance(meter_of("speech", ""), BinaryMeter)
    assert meter_of("speech", "application/json") is None
    assert meter_of("transcriptions", "text/plain") is None
    assert meter_of("rerank", "application/json") is None
