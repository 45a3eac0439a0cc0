"""The stream meter: where the network cuts changes nothing, every byte goes on, and nothing waits."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.chat.meter import StreamMeter
from baseload.wire.chat.strip import without_null_usage
from baseload.wire.metering import ERROR_MAX
from baseload.wire.usage import normalise
from tests.wire.recorded import RECORDED, Facts, Stream

EACH = pytest.mark.parametrize("stream", RECORDED, ids=lambda stream: stream.name)


def relay(pieces: list[bytes], strip: bool) -> tuple[bytes, StreamMeter]:
    meter = StreamMeter(strip)
    out = [meter.feed(piece) for piece in pieces]
    out.append(meter.close())
    return b"".join(out), meter


def facts(meter: StreamMeter) -> tuple[object, ...]:
    return tuple(getattr(meter, name) for name in sorted(StreamMeter.__slots__) if name[0] != "_") + tuple(meter.usages)


def check(meter: StreamMeter, want: Facts) -> None:
    assert meter.usage == want.usage
    assert len(meter.usages) == want.reports
    assert (meter.frames, meter.text_bytes) == (want.frames, len(want.text.encode()))
    assert (meter.finish, meter.finished) == (want.finish, want.finish != "")
    assert (meter.upstream_model, meter.tier) == (want.model, want.tier)
    assert (meter.done, meter.malformed, meter.error) == (want.done, want.malformed, want.error)
    assert meter.first_token == (want.frames > 0)


@EACH
def test_what_a_stream_says(stream: Stream):
    out, meter = relay([stream.bytes], strip=False)
    assert out == stream.bytes
    check(meter, stream.facts)


@EACH
def test_a_client_that_did_not_ask_sees_the_stream_nobody_asked_usage_for(stream: Stream):
    """Lessons 4 and 5. llama.cpp is the one exception: unasked it puts `timings` on its finish chunk."""
    out, meter = relay([stream.bytes], strip=True)
    assert out == stream.without
    check(meter, stream.facts)


@EACH
@pytest.mark.parametrize("strip", [False, True])
def test_where_the_network_cuts_cannot_change_anything(stream: Stream, strip: bool):
    whole = stream.bytes
    want = stream.without if strip else whole
    _, reference = relay([whole], strip)
    for cut in range(len(whole) + 1):
        out, meter = relay([whole[:cut], whole[cut:]], strip)
        assert out == want, f"cut at byte {cut}"
        assert facts(meter) == facts(reference), f"cut at byte {cut}"
    out, meter = relay([whole[i : i + 1] for i in range(len(whole))], strip)
    assert out == want
    assert facts(meter) == facts(reference)


@EACH
@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
@pytest.mark.parametrize("strip", [False, True])
def test_other_line_ends(stream: Stream, line_end: bytes, strip: bool):
    whole = stream.bytes.replace(b"\n", line_end)
    want = (stream.without if strip else stream.bytes).replace(b"\n", line_end)
    for pieces in (
        [whole],
        [whole[i : i + 1] for i in range(len(whole))],
        [whole[i : i + 7] for i in range(0, len(whole), 7)],
    ):
        out, meter = relay(pieces, strip)
        assert out == want
        check(meter, stream.facts)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), stream=st.sampled_from(RECORDED), strip=st.booleans())
def test_any_split_gives_the_same(data: st.DataObject, stream: Stream, strip: bool):
    whole = stream.bytes
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    out, meter = relay(pieces, strip)
    assert out == (stream.without if strip else whole)
    check(meter, stream.facts)


LINES = [
    b"data: [DONE]",
    b'data: {"choices":[],"usage":{"prompt_tokens":1}}',
    b'data: {"choices":[{"delta":{"content":"a"}}],"usage":null}',
    b'data:{"usage":null,"choices":[{"text":"b"}]}',
    b'data: {"choices": [',
    b'data: ], "usage": null }',
    b"data: {",
    b"data",
    b": ping",
    b"event: error",
    b"\xef\xbb\xbfdata: {}",
    b"",
    b"",
    b'data: {"error":{"message":"x"}}',
    b'data: {"choices":[{"delta":{"content":["a"]},"finish_reason":3}]}',
    b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}',
    b'data: {"choices":[{"delta":{"content":"\xff"}}]}',
    b'data: {"a":' + b"[" * 1500,
]
ENDS = [b"\n", b"\r", b"\r\n"]


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)), max_size=12),
    st.lists(st.integers(0, 2000), max_size=10),
    st.binary(max_size=8),
)
def test_any_bytes_are_forwarded_and_read_alike(lines: list[tuple[bytes, bytes]], cuts: list[int], junk: bytes):
    whole = b"".join(line + end for line, end in lines) + junk
    edges = sorted(min(cut, len(whole)) for cut in cuts)
    pieces = [whole[a:b] for a, b in zip([0, *edges], [*edges, len(whole)], strict=True)]
    out, reference = relay([whole], strip=False)
    assert out == whole
    out, meter = relay(pieces, strip=False)
    assert out == whole
    assert facts(meter) == facts(reference)
    stripped, reference = relay([whole], strip=True)
    out, meter = relay(pieces, strip=True)
    assert out == stripped
    assert facts(meter) == facts(reference)


@EACH
def test_lesson_05_no_frame_is_held_back(stream: Stream):
    """A whole frame has gone out (or is hidden) when the call that completed it returns."""
    meter = StreamMeter(strip=True)
    sent = b""
    frames = [frame + b"\n\n" for frame in stream.bytes.split(b"\n\n")[:-1]]
    assert b"".join(frames) == stream.bytes
    for frame in frames:
        sent += meter.feed(frame)
        assert meter._pending == b""
    assert sent == stream.without
    assert meter.close() == b""


def test_frames_go_on_the_moment_they_are_whole_and_not_in_parts():
    for strip in (False, True):
        meter = StreamMeter(strip=strip)
        fed = [meter.feed(piece) for piece in (b"da", b'ta: {"choi', b'ces":[]}\n', b"\n", b": p", b"ing\n\n: x")]
        assert fed == [b"", b"", b"", b'data: {"choices":[]}\n\n', b"", b": ping\n\n"]
        assert meter.close() == b": x"


def test_lesson_03_a_stream_cut_after_its_usage_still_has_it():
    frame = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}'
    for end in (b"", b"\n", b"\n\n", b"\r\n", b"\r"):
        out, meter = relay([frame + end], strip=False)
        assert (out, meter.usage) == (frame + end, b'{"prompt_tokens":5,"completion_tokens":2}')
        out, meter = relay([frame + end], strip=True)
        assert (out, meter.usage) == (b"", b'{"prompt_tokens":5,"completion_tokens":2}')
    out, meter = relay([frame[:-1]], strip=True)
    assert (out, meter.usage, meter.malformed) == (frame[:-1], b"", 1)


def test_lesson_07_the_last_report_wins_and_a_later_null_erases_nothing():
    pieces = [
        b'data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}\n\n',
        b'data: {"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n',
    ]
    _, meter = relay(pieces, strip=False)
    assert meter.usage == b'{"prompt_tokens":9,"completion_tokens":2}'
    assert normalise("openai-chat", "any", meter.usages).meters == {"input_uncached": 9, "output_total": 2}


def test_llama_cpp_says_what_was_cached_beside_the_usage():
    pieces = [
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":12},"timings":{"cache_n":20}}\n\n',
    ]
    out, meter = relay(pieces, strip=True)
    assert (out, meter.usage) == (pieces[0], b'{"prompt_tokens":30,"completion_tokens":12}')
    found = normalise("openai-chat", "llama.cpp", meter.usages)
    assert found.meters == {"input_uncached": 10, "cache_read": 20, "output_total": 12}
    assert found.raw == meter.usage


def test_lesson_51_memory_of_a_stream_does_not_grow_with_it():
    meter = StreamMeter(strip=True)
    for n in range(20_000):
        meter.feed(
            b'data: {"choices":[{"delta":{"content":"word "}}],"usage":{"prompt_tokens":9,"completion_tokens":%d}}\n\n'
            % n
        )
        meter.feed(b'data: {"error":{"message":"again and again"}}\n\n')
    assert len(meter.usages) == 4
    assert meter.usages[0].endswith(b":0}")
    assert meter.usage.endswith(b":19999}")
    held = sum(sys.getsizeof(report) for report in meter.usages) + sys.getsizeof(meter.error) + len(meter._pending)
    assert held < 2_000
    assert (meter.frames, meter.text_bytes) == (20_000, 100_000)


def test_lesson_53_a_frame_of_20_mb_passes_in_any_pieces():
    text = b"x" * (20 * 2**20)
    frame = b'data: {"choices":[{"delta":{"content":"' + text + b'"}}],"usage":null}\n\n'
    for size in (4096, 65_536, len(frame)):
        for strip in (False, True):
            out, meter = relay([frame[i : i + size] for i in range(0, len(frame), size)], strip)
            assert out == (frame.replace(b',"usage":null', b"") if strip else frame)
            assert (meter.frames, meter.text_bytes) == (1, len(text))


def test_a_frame_without_end_is_a_fault_not_a_full_memory():
    meter = StreamMeter(strip=True, cap=1000)
    for _ in range(125):
        meter.feed(b"data: xx")
    with pytest.raises(ProviderFault) as caught:
        meter.feed(b"data: xx")
    assert caught.value.fault == "garbage"
    assert "1000 bytes" in caught.value.say
    assert len(meter._pending) <= 1008


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ('{"error":{"message":"m","code":429}}', '{"message":"m","code":429}'),
        ('{"error":"overloaded"}', '"overloaded"'),
        ('{"choices":[{"delta":{"content":"a"}}],"error":{"code":502}}', '{"code":502}'),
        ('{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502}}', '{"code":502}'),
        (
            '{"code":"Throttling","message":"slow down","request_id":"r"}',
            '{"code":"Throttling","message":"slow down","request_id":"r"}',
        ),
        (
            '{"object":"error","message":"queue is full","code":503}',
            '{"object":"error","message":"queue is full","code":503}',
        ),
        (
            '{"choices":null,"base_resp":{"status_code":1008,"status_msg":"no money"}}',
            '{"status_code":1008,"status_msg":"no money"}',
        ),
        ('{"choices":[],"base_resp":{"status_code":0,"status_msg":""}}', ""),
        ('{"choices":[{"delta":{"content":"a"}}],"error":null}', ""),
        ('{"choices":[{"delta":{"content":"a"}}],"error":{}}', ""),
        ('{"choices":[{"delta":{"content":""}}],"message":"hi","code":"x"}', ""),
    ],
)
def test_an_error_inside_a_200_stream(payload: str, error: str):
    for strip in (False, True):
        out, meter = relay([f"data: {payload}\n\n".encode()], strip)
        assert out == f"data: {payload}\n\n".encode(), "an error is always shown"
        assert meter.error == error.encode()


def test_an_error_is_kept_within_bounds_and_the_first_is_the_cause():
    meter = StreamMeter()
    meter.feed(b'data: {"error":{"message":"' + b"x" * 200_000 + b'"}}\n\n')
    meter.feed(b'data: {"error":{"message":"second"}}\n\n')
    assert len(meter.error) == ERROR_MAX
    assert meter.error.startswith(b'{"message":"xxx')


@pytest.mark.parametrize(
    "piece",
    [
        b": keep-alive\n\n",
        b"\n",
        b"\n\n\n",
        b"event: ping\ndata: {}\n\n",
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
        b'data: {"choices":[{"delta":{"role":"assistant","content":null,"tool_calls":[]}}]}\n\n',
        b'data: {"choices":[],"prompt_filter_results":[]}\n\n',
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[{"text":""}]}\n\n',
        b"data: [DONE]\n\n",
        b"data:\n\n",
    ],
)
def test_what_is_not_the_first_token(piece: bytes):
    out, meter = relay([piece], strip=True)
    assert out == piece
    assert (meter.first_token, meter.frames, meter.text_bytes, meter.malformed) == (False, 0, 0, 0)


@pytest.mark.parametrize(
    ("delta", "size"),
    [
        ('"content":"abc"', 3),
        ('"content":"\u4f60\u597d"', 6),
        ('"content":"\\u4f60\\u597d"', 6),
        ('"reasoning_content":"abc"', 3),
        ('"reasoning":"abc"', 3),
        ('"reasoning":"abc","reasoning_content":"abc"', 3),
        ('"reasoning":"abc","reasoning_details":[{"text":"abc"}]', 3),
        ('"reasoning_details":[{"text":"abc"},{"type":"x"}]', 3),
        ('"reasoning":"abc","content":"de"', 5),
        ('"refusal":"abc"', 3),
        ('"tool_calls":[{"function":{"arguments":"abc"}},{"function":{"name":"f"}}]', 4),
        ('"function_call":{"name":"f","arguments":"abc"}', 4),
        ('"audio":{"data":"UklGRg==","transcript":"abc"}', 3),
        ('"audio":{"data":"UklGRg=="}', 0),
    ],
)
def test_what_is_generated_text(delta: str, size: int):
    _, meter = relay([f'data: {{"choices":[{{"delta":{{{delta}}}}}]}}\n\n'.encode()], strip=False)
    assert (meter.first_token, meter.frames, meter.text_bytes) == (True, 1, size)


def test_a_frame_of_surprising_types_is_still_read():
    """A list of parts as content, numbers for names: the text is estimated, the rest is exact."""
    _, meter = relay(
        [
            b'data: {"model":5,"choices":[{"delta":{"content":[{"type":"text","text":"abc"}]},"finish_reason":null}],'
            b'"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n',
            b'data: {"model":"m","service_tier":"flex","choices":[{"delta":{"content":1},"finish_reason":"stop"}]}\n\n',
        ],
        strip=True,
    )
    assert (meter.frames, meter.first_token, meter.malformed, meter.finish) == (2, True, 0, "stop")
    assert meter.usage == b'{"prompt_tokens":1,"completion_tokens":1}'
    assert (meter.upstream_model, meter.tier) == ("m", "flex")
    assert 3 <= meter.text_bytes <= 60


def test_half_a_surrogate_pair_costs_no_facts():
    """Byte-level tokenisers split a character over two deltas, and some engines escape the halves."""
    _, meter = relay(
        [
            b'data: {"choices":[{"delta":{"content":"\\ud83d"},"finish_reason":null}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\\uDE00"},"finish_reason":"stop"}],'
            b'"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n',
        ],
        strip=True,
    )
    assert (meter.frames, meter.malformed, meter.finish) == (2, 0, "stop")
    assert meter.usage == b'{"prompt_tokens":1,"completion_tokens":1}'


@pytest.mark.parametrize("payload", [b"hello", b"1", b"[]", b'{"a":', b'"x"', b"\xff\xfe", b"[" * 5000])
def test_garbage_is_counted_and_forwarded(payload: bytes):
    frame = b"data: " + payload + b"\n\n"
    for strip in (False, True):
        out, meter = relay([frame], strip)
        assert (out, meter.malformed, meter.frames) == (frame, 1, 0)


def test_data_over_several_lines_is_read_and_its_usage_frame_hidden():
    frame = b'id: 7\ndata: {"choices":[],\ndata: "usage":{"prompt_tokens":1,\ndata: "completion_tokens":2}}\n\n'
    text = b'data: {"choices":[{"delta":\ndata: {"content":"a"}}],\ndata: "usage":null}\n\n'
    out, meter = relay([text + frame], strip=True)
    assert out == text
    assert (meter.frames, meter.usage) == (1, b'{"prompt_tokens":1,\n"completion_tokens":2}')


def test_a_byte_order_mark_opens_a_stream():
    whole = b'\xef\xbb\xbfdata: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    out, meter = relay([whole], strip=True)
    assert (out, meter.frames) == (whole, 1)


@pytest.mark.parametrize(
    ("frame", "want"),
    [
        ('{"a":1,"usage":null}', '{"a":1}'),
        ('{"usage":null,"a":1}', '{"a":1}'),
        ('{"usage":null}', "{}"),
        ('{ "usage" : null , "a" : 1 }', '{ "a" : 1 }'),
        ('{"a": 1, "usage": null, "b": 2}', '{"a": 1, "b": 2}'),
        ('{"a":1 , "usage" : null }', '{"a":1  }'),
        (
            '{"a":[{"x":1,"usage":null}],"usage":null,"b":[{"x":1,"usage":null}]}',
            '{"a":[{"x":1,"usage":null}],"b":[{"x":1,"usage":null}]}',
        ),
        ('{"usage":null,"b":[{"x":1,"usage":null}]}', '{"b":[{"x":1,"usage":null}]}'),
        ('{"a":"\\"usage\\":null","usage":null}', '{"a":"\\"usage\\":null"}'),
        ('{"a":"],\\"usage\\":null}","usage":null,"c":"}]"}', '{"a":"],\\"usage\\":null}","c":"}]"}'),
        ('{"a":1,"usage":null,"c":"}"}', '{"a":1,"c":"}"}'),
        # Not ours to touch: nested, or not found with certainty.
        ('{"a":{"x":1,"usage":null},"us\\u0061ge":null}', None),
        ('{"a":[{"usage":null}],"usage":0}', None),
        ('{"a":["usage"],"b":{"y":"usage"},"usa\\u0067e":null}', None),
    ],
)
def test_a_null_usage_is_cut_out_and_nothing_else(frame: str, want: str | None):
    found = without_null_usage(f"data: {frame}\n\n".encode())
    assert found == f"data: {frame if want is None else want}\n\n".encode()


def test_many_nested_usages_cost_no_time_without_bound():
    nested = b",".join([b'{"x":1,"usage":null}'] * 50_000)
    frame = b'data: {"usage":null,"a":[' + nested + b"]}\n\n"
    out, meter = relay([frame], strip=True)
    assert out == frame, "left as it is rather than searched through fifty thousand times"
    assert meter.malformed == 0
