"""The stream meter: where the network cuts changes nothing, every byte goes on, every terminal event settles."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.metering import ERROR_MAX
from baseload.wire.responses import StreamMeter, read_reply
from baseload.wire.usage import normalise
from tests.wire.responses.recorded import CORE, EVERYTHING, FRAMES, TOOL_USAGE, USAGE, WHOLE, Script, response


def relay(pieces: list[bytes]) -> tuple[bytes, StreamMeter]:
    meter = StreamMeter(strip=True)
    out = [meter.feed(piece) for piece in pieces]
    out.append(meter.close())
    return b"".join(out), meter


def facts(meter: StreamMeter) -> tuple[object, ...]:
    return tuple(getattr(meter, name) for name in sorted(StreamMeter.__slots__) if name[0] != "_") + tuple(meter.usages)


SAID = [
    "First",
    " think",
    "then 你好",
    "Caf",
    'é "response":\n\U0001f600',
    "I can",
    "not.",
    '{"city":',
    "{",
    '"Köln","n":9007199254740993}',
    "}",
    "*** Begin",
    "\n+x",
]


def test_what_a_stream_says():
    out, meter = relay([EVERYTHING])
    assert out == EVERYTHING
    assert json.loads(meter.usage) == USAGE
    assert [json.loads(report) for report in meter.usages] == [{**USAGE, "tool_usage": TOOL_USAGE}]
    assert (meter.frames, meter.text_bytes) == (len(SAID), sum(len(text.encode()) for text in SAID))
    assert (meter.done, meter.finished, meter.finish, meter.first_token) == (True, True, "completed", True)
    assert (meter.upstream_model, meter.tier) == ("gpt-5.6-2026-08-07", "priority")
    assert (meter.error, meter.malformed) == (b"", 0)
    found = normalise("openai-responses", "openai", meter.usages, tier=meter.tier)
    assert found.meters == {
        "input_uncached": 20,
        "cache_read": 100,
        "output_total": 80,
        "reasoning": 30,
        "web_searches": 2,
    }
    assert found.select == {"tier": "priority"}


def test_where_the_network_cuts_cannot_change_anything():
    for whole, step in ((EVERYTHING, 23), (CORE, 1)):
        _, reference = relay([whole])
        assert reference.frames >= 4
        for cut in range(0, len(whole) + 1, step):
            out, meter = relay([whole[:cut], whole[cut:]])
            assert out == whole, f"cut at byte {cut}"
            assert facts(meter) == facts(reference), f"cut at byte {cut}"
    _, reference = relay([EVERYTHING])
    out, meter = relay([EVERYTHING[i : i + 1] for i in range(len(EVERYTHING))])
    assert out == EVERYTHING
    assert facts(meter) == facts(reference)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends(line_end: bytes):
    whole = EVERYTHING.replace(b"\n", line_end)
    _, reference = relay([EVERYTHING])
    for size in (1, 7, len(whole)):
        out, meter = relay([whole[i : i + size] for i in range(0, len(whole), size)])
        assert out == whole
        assert facts(meter) == facts(reference)


def test_lesson_05_no_frame_is_held_back():
    meter, sent = StreamMeter(), b""
    for frame in FRAMES:
        sent += meter.feed(frame)
        assert sent.endswith(frame)
    assert sent == EVERYTHING


def test_tokens_begin_with_text_not_with_items_or_comments():
    meter = StreamMeter()
    for frame in (b": ping\n\n", b"\n\n", *FRAMES):
        before = meter.first_token
        meter.feed(frame)
        if meter.first_token and not before:
            assert b"reasoning_summary_text.delta" in frame
            return
    raise AssertionError("no token was seen")


@pytest.mark.parametrize(
    ("kind", "members", "finish"),
    [
        ("completed", {"status": "completed"}, "completed"),
        (
            "incomplete",
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "max_output_tokens",
        ),
        ("incomplete", {"status": "incomplete", "incomplete_details": None}, "incomplete"),
        ("failed", {"status": "failed", "error": {"code": "server_error", "message": "x"}}, "failed"),
        ("cancelled", {"status": "cancelled"}, "cancelled"),
        ("completed", {"status": None}, "completed"),
    ],
)
def test_lesson_09_every_terminal_event_settles_with_its_usage(kind: str, members: dict[str, object], finish: str):
    stream = Script().say(kind, response={**response("x"), "usage": USAGE, **members}).bytes
    _, meter = relay([stream])
    assert (meter.done, meter.finished, meter.finish) == (True, True, finish)
    assert json.loads(meter.usage) == USAGE
    assert bool(meter.error) == (kind == "failed")


def test_pitfall_20_errors_inside_a_stream():
    failed = Script().say("failed", response=response("failed", error={"code": "server_error", "message": "x"}))
    unnamed = Script().say("failed", response=response("failed"))
    bare = b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"slow","param":null}\n\n'
    nested = b'event: error\ndata: {"type":"error","error":{"code":"x","message":"y"}}\n\n'
    chats = b'data: {"error":{"message":"boom"}}\n\n'
    flat = b'data: {"code":"Throttling","message":"too fast"}\n\n'
    for stream, error in (
        (failed.bytes, b'{"code":"server_error","message":"x"}'),
        (unnamed.bytes, b'{"status":"failed"}'),
        (bare, b'{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null}'),
        (nested, b'{"code":"x","message":"y"}'),
        (chats, b'{"message":"boom"}'),
        (flat, b'{"code":"Throttling","message":"too fast"}'),
    ):
        _, meter = relay([stream])
        assert meter.error == error
    long = b'data: {"type":"error","message":"' + b"x" * (2 * ERROR_MAX) + b'"}\n\n'
    assert len(relay([long])[1].error) == ERROR_MAX


def test_a_vendor_that_streams_only_whole_items_is_counted():
    s = Script().say("output_item.added", output_index=0, item={"type": "message"})
    item = {"type": "message", "content": [{"type": "output_text", "text": "héllo"}]}
    s.say("output_item.done", output_index=0, item=item)
    _, meter = relay([s.bytes])
    assert (meter.frames, meter.text_bytes, meter.first_token) == (1, 6, True)


def test_a_vendors_done_mark_and_padding_are_no_garbage():
    _, meter = relay([FRAMES[0], b"data: [DONE]\n\n", b": keep-alive\n\n", b"event: ping\n\n"])
    assert (meter.malformed, meter.done) == (0, False)


def test_broken_frames_are_counted_and_forwarded():
    broken = b'data: {"type":\n\ndata: \xff\xfe\n\ndata: {"a":' + b"[" * 2000 + b"\n\n"
    out, meter = relay([broken])
    assert (out, meter.malformed) == (broken, 3)


def test_lesson_53_large_frames_pass_and_endless_ones_do_not():
    frame = Script().say("output_text.delta", delta="x" * 2**20, output_index=0, content_index=0).bytes
    out, meter = relay([frame[i : i + 65536] for i in range(0, len(frame), 65536)])
    assert (out, meter.text_bytes) == (frame, 2**20)
    small = StreamMeter(cap=1000)
    small.feed(b"x" * 900)
    with pytest.raises(ProviderFault) as caught:
        small.feed(b"x" * 101)
    assert caught.value.fault == "garbage"
    with pytest.raises(ProviderFault):
        StreamMeter(cap=1000).feed(frame)


LINES = [
    b"data: [DONE]",
    b'data: {"type":"response.output_text.delta","delta":"a"}',
    b"event: x",
    b"data: {",
    b"",
    b"",
    b'data: {"type":"response.x.delta","delta":{"a":1}}',
    b'data: {"type":"response.y.delta","delta":"\\ud83d"}',
    b'data: {"type":"response.completed","response":{"usage":{"input_tokens":1}}}',
    b": ping",
    b"data",
    b'data: {"type":"response.completed","response":7}',
    b'data: {"type":7,"response":{"model":7}}',
    b"\xef\xbb\xbfdata: {}",
    b'data: {"type":"response.output_item.done","item":{"type":"message","content":3}}',
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=12),
    st.lists(st.integers(0, 1500), max_size=10),
    st.binary(max_size=8),
)
def test_any_bytes_are_forwarded_and_read_alike(lines: list[tuple[bytes, bytes]], cuts: list[int], junk: bytes):
    whole = b"".join(line + end for line, end in lines) + junk
    edges = sorted(min(cut, len(whole)) for cut in cuts)
    out, reference = relay([whole])
    assert out == whole
    out, meter = relay([whole[a:b] for a, b in zip([0, *edges], [*edges, len(whole)], strict=True)])
    assert out == whole
    assert facts(meter) == facts(reference)


# Whole replies.


def test_a_whole_reply_says_the_same():
    reply = read_reply(WHOLE)
    _, meter = relay([EVERYTHING])
    assert (json.loads(reply.usage), reply.usages and json.loads(reply.usages[0])) == (
        json.loads(meter.usage),
        json.loads(meter.usages[0]),
    )
    assert (reply.model, reply.service_tier, reply.id) == ("gpt-5.6-2026-08-07", "priority", "resp_0a1b2c")
    assert (reply.finish_reasons, reply.error, reply.malformed) == (("completed",), b"", False)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error":{"message":"no"}}', b'{"message":"no"}'),
        (b'{"code":"InvalidParameter","message":"no"}', b'{"code":"InvalidParameter","message":"no"}'),
        (b'{"base_resp":{"status_code":1008,"status_msg":"no"}}', b'{"status_code":1008,"status_msg":"no"}'),
        (b'{"status":"failed","error":{"code":"x"}}', b'{"code":"x"}'),
        (b'{"status":"failed","error":null}', b'{"status":"failed"}'),
        (b'{"status":"completed","error":null,"output":[]}', b""),
    ],
)
def test_pitfall_21_success_with_an_error_body(body: bytes, error: bytes):
    assert read_reply(body).error == error


def test_garbage_is_a_fact_and_text_is_counted_where_usage_is_missing():
    for body in (b"", b"[]", b"7", b"\xff", b'{"a":', b"[" * 3000):
        assert read_reply(body).malformed
    body = b'{"status":"completed","model":7,"output":[{"type":"message","content":[{"text":"h\\u00e9"}]},7]}'
    reply = read_reply(body)
    assert (reply.text_bytes, reply.model, reply.malformed) == (3, "", False)


def test_tokens_of_generated_images_are_flagged_not_lost_in_silence():
    images = json.dumps({**USAGE, "tool_usage": {"image_gen": {"input_tokens": 3, "total_tokens": 900}}}).encode()
    found = normalise("openai-responses", "openai", images)
    assert found.flags == ("image_generation",)
    assert found.raw == images
    broken = json.dumps({**USAGE, "tool_usage": {"web_search": {"num_requests": "x"}}}).encode()
    assert normalise("openai-responses", "openai", broken).flags == ("invalid",)
    negative = json.dumps({**USAGE, "tool_usage": {"web_search": {"num_requests": -4}}}).encode()
    found = normalise("openai-responses", "openai", negative)
    assert (found.flags, found.meters.get("web_searches")) == (("invalid",), None)
