"""Native DashScope replies, whole and streamed, into the canonical form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import (
    AnyEvent,
    Beat,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Started,
)
from baseload.wire.canon.fold import fold
from baseload.wire.canon.request import Media, Text, Thinking, ToolCall
from baseload.wire.qwen import StreamMeter, read_reply
from baseload.wire.qwen.reply_in import read
from baseload.wire.qwen.stream_in import StreamIn
from baseload.wire.raw import ABSENT
from baseload.wire.usage import normalise
from tests.wire.qwen.recorded import STREAM, WHOLE, frame, reply, usage

TARGET = Target(protocol="qwen", dialect="dashscope", model="qwen-plus")

EXPECTED = [
    Started(id="req-1"),
    Opened(block=0, kind="thinking"),
    Delta(block=0, text="嗯，"),
    Counted(meters={"input_uncached": 20, "output_total": 1, "reasoning": 1}),
    Delta(block=0, text="two cities."),
    Closed(block=0),
    Opened(block=1, kind="text"),
    Delta(block=1, text="Let me "),
    Delta(block=1, text="see: 🌍"),
    Closed(block=1),
    Opened(block=2, kind="tool", id="call_a", name="weather"),
    Delta(block=2, text='{"city": "Par'),
    Delta(block=2, text='is", "n": 12345678901234567890}'),
    Opened(block=3, kind="tool", id="call_b", name="now"),
    Delta(block=3, text="{}"),
    Closed(block=2),
    Closed(block=3),
    Finished(reason="tool", native="tool_calls"),
    Counted(meters={"input_uncached": 20, "output_total": 10, "reasoning": 2}),
    Ended(),
]


def events(*pieces: bytes) -> list[AnyEvent]:
    stream = StreamIn(TARGET)
    found = [made for piece in pieces for made in stream.feed(piece)]
    return found + stream.close()


def metered(*pieces: bytes) -> StreamMeter:
    meter = StreamMeter()
    for piece in pieces:
        meter.feed(piece)
    meter.close()
    return meter


def facts(meter: StreamMeter) -> dict[str, object]:
    return {name: getattr(meter, name) for name in StreamMeter.__slots__ if not name.startswith("_")}


def test_a_stream_with_thinking_text_and_tools():
    assert events(STREAM) == EXPECTED


def test_where_the_network_cuts_cannot_change_events_or_reading():
    expected = facts(metered(STREAM))
    assert events(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EXPECTED
    assert facts(metered(*(STREAM[at : at + 1] for at in range(len(STREAM))))) == expected
    for cut in range(0, len(STREAM), 3):
        assert events(STREAM[:cut], STREAM[cut:]) == EXPECTED, f"cut at byte {cut}"
        assert facts(metered(STREAM[:cut], STREAM[cut:])) == expected, f"cut at byte {cut}"


def test_a_lost_connection_gives_a_beginning_of_the_events_and_no_end():
    last = STREAM.index(b"id:10")
    for cut in range(0, last, 11):
        found = [made for made in events(STREAM[:cut]) if not isinstance(made, Beat)]
        assert found == EXPECTED[: len(found)]
    for cut in range(last, len(STREAM) - 2):
        assert Ended() not in events(STREAM[:cut]), f"cut at byte {cut}"
    assert events(STREAM[:-2]) == EXPECTED, "only the blank line is missing"


def test_a_stream_and_a_whole_reply_say_the_same():
    assert fold(events(STREAM)) == read(json.dumps(reply(WHOLE, 10, "tool_calls")).encode(), TARGET)


def test_parallel_tool_calls_survive_with_their_arguments_byte_for_byte():
    answer = read(json.dumps(reply(WHOLE, 10, "stop")).encode(), TARGET).answers[0]
    assert answer.parts == [
        Thinking(text="嗯，two cities."),
        Text(text="Let me see: 🌍"),
        ToolCall(id="call_a", name="weather", arguments='{"city": "Paris", "n": 12345678901234567890}'),
        ToolCall(id="call_b", name="now", arguments="{}"),
    ]
    assert (answer.reason, answer.native) == ("tool", "stop"), "older models say stop beside calls"


def test_vision_models_send_lists():
    content = [{"text": "a "}, {"text": "cat"}, {"image": "https://example.org/x.png"}]
    parts = read(json.dumps(reply({"content": content}, 3, "stop")).encode(), TARGET).answers[0].parts
    assert parts == [Text(text="a cat"), Media(kind="image", url="https://example.org/x.png")]
    stream = frame(1, reply({"content": content}, 3)) + frame(2, reply({"content": []}, 3, "stop", None))
    assert fold(events(stream)).answers[0].parts == [
        Text(text="a cat"),
        Media(kind="image", url="https://example.org/x.png"),
    ]


def test_the_older_form():
    body = json.dumps({"output": {"text": "Hi", "finish_reason": "stop"}, "usage": usage(1)}).encode()
    assert read(body, TARGET).answers[0].parts == [Text(text="Hi")]
    assert events(frame(1, {"output": {"text": "Hi", "finish_reason": "stop"}, "usage": usage(1)}))[-1] == Ended()


def test_arguments_as_an_object():
    call = {"id": "a", "function": {"name": "f", "arguments": {"n": 1}}}
    answer = read(json.dumps(reply({"content": "", "tool_calls": [call]}, 1, "tool_calls")).encode(), TARGET).answers[0]
    assert answer.parts == [ToolCall(id="a", name="f", arguments='{"n": 1}')]


def test_a_call_without_an_id_gets_one():
    call = {"function": {"name": "f", "arguments": "{}"}}
    answer = read(json.dumps(reply({"content": None, "tool_calls": [call]}, 1, "tool_calls")).encode(), TARGET).answers[
        0
    ]
    assert isinstance(answer.parts[0], ToolCall)
    assert answer.parts[0].id.startswith("call_")


@pytest.mark.parametrize(
    "stream",
    [
        STREAM.replace(b"\n", b"\r\n"),
        STREAM.replace(b"\n", b"\r"),
        STREAM.replace(b"data:{", b"data: {"),
        STREAM.replace(b"data:{", b"data:{\ndata:"),
        b"".join(b"data:" + part.split(b"\ndata:")[1] + b"\n\n" for part in STREAM.split(b"\n\n")[:-1]),
        STREAM.rstrip(b"\n"),
        STREAM.replace(b"\n\n", b"\n\n\n"),
    ],
)
def test_other_forms_of_the_same_frames(stream: bytes):
    assert [made for made in events(stream) if not isinstance(made, Beat)] == EXPECTED
    assert [made for made in events(*stream.splitlines(keepends=True)) if not isinstance(made, Beat)] == EXPECTED
    assert facts(metered(stream)) == facts(metered(STREAM))


def test_n_choices_are_told_apart():
    stream = b"".join(
        [
            frame(1, reply({"content": "a"}, 1, index=0)),
            frame(2, reply({"content": "x"}, 2, index=1)),
            frame(3, reply({"content": "b"}, 3, "stop", index=0)),
            frame(4, reply({"content": "y"}, 4, "length", index=1)),
        ]
    )
    answers = fold(events(stream)).answers
    assert [(answer.parts, answer.reason) for answer in answers] == [
        ([Text(text="ab")], "stop"),
        ([Text(text="xy")], "length"),
    ]
    meter = StreamMeter()
    assert meter.feed(stream[: stream.index(b"id:4")]) == stream[: stream.index(b"id:4")]
    assert (meter.finished, meter.done) == (True, False)
    meter.feed(stream[stream.index(b"id:4") :])
    assert meter.done


def test_logprobs_survive():
    data = reply({"content": "a"}, 1, "stop")
    data["output"]["choices"][0]["logprobs"] = {"content": [{"token": "a", "logprob": -0.5}]}
    raw = Raw(b'[{"token": "a", "logprob": -0.5}]')
    assert read(json.dumps(data).encode(), TARGET).answers[0].logprobs == raw
    deltas = [made for made in events(frame(1, data)) if isinstance(made, Delta)]
    assert len(deltas) == 1
    assert deltas[0].logprobs is not ABSENT


def test_pitfall_24_comments_are_beats_and_no_first_token():
    stream = b":keepalive\n\n" + STREAM
    assert events(stream) == [Beat(), *EXPECTED]
    meter = StreamMeter()
    meter.feed(b":keepalive\n\n" + frame(1, reply({"content": ""}, 0)))
    assert (meter.first_token, meter.frames) == (False, 0)


def test_usage_is_cumulative_the_last_counts():
    meter = metered(STREAM)
    found = normalise("dashscope-native", "dashscope", meter.usages)
    assert found.meters == {"input_uncached": 20, "output_total": 10, "reasoning": 2}
    assert len(meter.usages) == 2, "bounded, however long the stream"


def test_the_facts_of_a_stream():
    meter = metered(STREAM)
    said = "嗯，two cities.Let me see: 🌍" + "weathernownow" + '{"city": "Paris", "n": 12345678901234567890}{}'
    assert (meter.done, meter.finished, meter.finish) == (True, True, "tool_calls")
    assert (meter.text_bytes, meter.frames, meter.malformed) == (len(said.encode()), 9, 0)


FAILURE = {
    "code": "DataInspectionFailed",
    "message": "Output data may contain inappropriate content.",
    "request_id": "r",
}


def test_pitfall_20_a_failure_inside_a_stream():
    stream = frame(1, reply({"content": "par"}, 1)) + frame(2, FAILURE, 400)
    meter = metered(stream)
    assert json.loads(meter.error) == FAILURE
    assert (meter.done, meter.text_bytes) == (False, 3)
    assert [type(made) for made in events(stream + STREAM)] == [Started, Opened, Delta, Counted]


def test_pitfall_21_a_failure_in_a_200_body():
    found = read_reply(json.dumps(FAILURE).encode())
    assert json.loads(found.error) == FAILURE
    with pytest.raises(ProviderFault):
        read(json.dumps(FAILURE).encode(), TARGET)


def test_facts_of_a_reply():
    found = read_reply(json.dumps(reply(WHOLE, 10, "tool_calls") | {"code": "", "message": ""}).encode())
    assert (found.id, found.finish_reasons, found.error, found.malformed) == ("req-1", ("tool_calls",), b"", False)
    assert json.loads(found.usage)["output_tokens"] == 10


def test_facts_of_garbage():
    assert read_reply(b"<html>").malformed
    assert read_reply(b'{"output":{"choices":3},"request_id":"x"}').text_bytes > 0


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"output":{}}', b'{"output":{"choices":[1]}}', b"\xff"])
def test_what_is_no_reply_is_garbage(raw: bytes):
    with pytest.raises(ProviderFault) as caught:
        read(raw, TARGET)
    assert caught.value.fault == "garbage"


def test_pitfall_28_half_of_a_surrogate_pair_breaks_nothing():
    body = json.dumps(reply({"content": "a\ud83d"}, 1, "stop"))
    assert read(body.encode(), TARGET).answers[0].reason == "stop"
    assert events(b"data:" + body.encode() + b"\n\n")[-1] == Ended()
    assert metered(b"data:" + body.encode() + b"\n\n").malformed == 0
    assert not read_reply(body.encode()).malformed


def test_endless_choices_are_garbage():
    with pytest.raises(ProviderFault, match="number 1000000"):
        events(frame(1, reply({"content": "a"}, 1, index=1_000_000)))


NAMES = ["output", "choices", "message", "content", "text", "usage", "tool_calls", "function", "arguments", "index"]
ANY = st.recursive(
    st.one_of(st.none(), st.integers(-2, 70), st.text(max_size=4), st.sampled_from(["stop", "null"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*NAMES, "finish_reason", "code", "reasoning_content"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(st.lists(st.one_of(ANY.map(lambda value: json.dumps(value).encode()), st.binary(max_size=30)), max_size=5))
def test_fuzz_any_stream(payloads: list[bytes]):
    stream = b"".join(b"id:1\ndata:" + payload.replace(b"\n", b"") + b"\n\n" for payload in payloads)
    found: list[AnyEvent] = []
    fault = "garbage"
    try:
        found = events(stream)
    except ProviderFault as why:
        fault = why.fault
    assert fault == "garbage"
    metered(stream)
    for payload in payloads:
        read_reply(payload)
    fold(found)
