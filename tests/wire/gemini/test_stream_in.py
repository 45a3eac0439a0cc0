"""A generateContent stream as canonical events."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
from baseload.wire.canon.request import Media, Text, Thinking, ToolCall
from baseload.wire.gemini import StreamMeter
from baseload.wire.gemini.finish import reason_of
from baseload.wire.gemini.stream_in import StreamIn
from tests.wire.gemini.recorded import LAST, SIGNATURE, STREAM, USAGE, as_array, piece, sse

TARGET = Target(protocol="gemini", dialect="gemini", model="gemini-3-pro-preview")


def read(*pieces: bytes) -> list[AnyEvent]:
    stream = StreamIn(TARGET)
    events = [event for each in pieces for event in stream.feed(each)] + stream.close()
    for number, event in enumerate(event for event in events if isinstance(event, Opened) and event.kind == "tool"):
        assert event.id, "a call without an id gets one"
        if event.id.startswith("call_"):
            event.id = f"invented {number}"
    return events


METERS = {"input_uncached": 24, "cache_read": 16, "output_total": 51, "reasoning": 30}
EXPECTED: list[AnyEvent] = [
    Started(id="r_1", model="gemini-3-pro-preview"),
    Counted(meters={"input_uncached": 40, "output_total": 0}),
    Opened(block=0, kind="thinking"),
    Delta(block=0, text="Let me "),
    Delta(block=0, text="think \U0001f600."),
    Closed(block=0),
    Opened(block=1, kind="text"),
    Delta(block=1, text="The caf\u00e9 "),
    Delta(block=1, text='is "open".\n'),
    Closed(block=1),
    Opened(block=2, kind="thinking"),
    Signed(block=2, signature=SIGNATURE),
    Closed(block=2),
    Opened(block=3, kind="tool", id="invented 0", name="look"),
    Delta(block=3, text='{"b": 12345678901234567890, "a": "}{"}'),
    Closed(block=3),
    Opened(block=4, kind="tool", id="fc_2", name="look"),
    Delta(block=4, text="{}"),
    Closed(block=4),
    Opened(block=5, kind="thinking"),
    Signed(block=5, signature=LAST),
    Closed(block=5),
    Finished(reason="tool", native="STOP"),
    Counted(meters=METERS),
    Ended(),
]


def test_where_the_network_cuts_cannot_change_the_events():
    for cut in range(len(STREAM) + 1):
        assert read(STREAM[:cut], STREAM[cut:]) == EXPECTED, f"cut at byte {cut}"
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == EXPECTED


def test_the_array_form_gives_the_same_events():
    array = as_array(STREAM)
    for cut in range(0, len(array) + 1, 3):
        found = read(array[:cut], array[cut:])
        for event in found:
            if isinstance(event, Delta) and event.text.startswith("{"):
                event.text = json.dumps(json.loads(event.text))  # it was indented
        assert found == EXPECTED


def test_frames_of_the_meter_give_the_same_events():
    meter, stream = StreamMeter(), StreamIn(TARGET)
    events: list[AnyEvent] = []
    for i in range(0, len(STREAM), 7):
        events += stream.feed(meter.feed(STREAM[i : i + 7]))
    events += stream.feed(meter.close()) + stream.close()
    assert fold(events).answers[0].parts[1:3] == fold(EXPECTED).answers[0].parts[1:3]
    assert events[-1] == Ended()


def test_a_stream_that_broke_off_has_no_end():
    for cut in range(len(STREAM) - 3):
        events = read(STREAM[:cut])
        assert Ended() not in events, f"connection lost at byte {cut}"
        assert not any(isinstance(event, Finished) for event in events)
        told = [each for each in events if not isinstance(each, Counted | Closed)]
        assert told == [each for each in EXPECTED if not isinstance(each, Counted | Closed)][: len(told)]


def test_nothing_follows_an_error():
    error = {"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}
    events = read(STREAM + sse(error) + STREAM)
    assert Ended() not in events
    assert not any(isinstance(event, Finished) for event in events)


@pytest.mark.parametrize("data", [b"data: nonsense\n\n", b'data: {"candidates":\n\n', b"data: [7]\n\n"])
def test_a_frame_that_is_no_object_is_garbage(data):
    with pytest.raises(ProviderFault) as fault:
        read(STREAM, data)
    assert fault.value.fault == "garbage"


def parts_of(*objects: dict[str, Any]) -> list:
    return fold(read(sse(*objects))).answers[0].parts


def test_tool_arguments_in_pieces():
    def call(**more: Any) -> dict[str, Any]:
        return piece({"functionCall": more})

    pieces = [
        {"jsonPath": "$.brief", "stringValue": "Wa", "willContinue": True},
        {"jsonPath": "$.brief", "stringValue": "rm \U0001f600"},
        {"jsonPath": "$.size.n", "numberValue": 12},
        {"jsonPath": "$.size['odd name']", "boolValue": True},
        {"jsonPath": "$.list[0].x", "nullValue": "NULL_VALUE"},
        {"jsonPath": '$.list[1]["y"]', "stringValue": ""},
        {"jsonPath": "$.list[1].y", "stringValue": "z"},
    ]
    stream = [call(name="light", willContinue=True)]
    stream += [call(partialArgs=[one], willContinue=True) for one in pieces]
    stream += [call(), piece({"functionCall": {"name": "next", "args": {}}}, finish="STOP")]
    events = read(sse(*stream))
    assert fold(events).answers[0].parts == [
        ToolCall(
            id="invented 0",
            name="light",
            arguments='{"brief":"Warm \U0001f600","size":{"n":12,"odd name":true},"list":[{"x":null},{"y":"z"}]}',
        ),
        ToolCall(id="invented 1", name="next", arguments="{}"),
    ]
    assert fold(events).answers[0].reason == "tool"


@pytest.mark.parametrize(
    "path", ["$", "", "$.a[9]", "$.a.b.c[1]", "$..a", "$[0]", "$.a['x", "$" + ".a" * 100, "$." + "x" * 5000]
)
def test_a_path_that_leads_nowhere_is_garbage(path):
    call = {"name": "f", "partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": path}]}
    with pytest.raises(ProviderFault) as fault:
        read(sse(piece({"functionCall": call})))
    assert fault.value.fault == "garbage"


def test_arguments_that_never_end_are_bounded(monkeypatch):
    monkeypatch.setattr("baseload.wire.gemini.partial.ARGUMENTS_MAX", 1000)
    stream = StreamIn(TARGET)
    one = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x" * 50}], "willContinue": True}}
    stream.feed(sse(piece({"functionCall": {"name": "f", "willContinue": True}})))
    with pytest.raises(ProviderFault):
        [stream.feed(sse(piece(one))) for _ in range(100)]


def test_a_signature_on_text_and_on_a_thought():
    assert parts_of(
        piece({"text": "a"}),
        piece({"text": "b", "thoughtSignature": "QUJD"}),
        piece({"text": "c"}),
        piece({"text": "t", "thought": True, "thoughtSignature": "REVG"}, finish="STOP"),
    ) == [
        Text(text="a"),
        Thinking(signature="QUJD"),
        Text(text="bc"),
        Thinking(text="t", signature="REVG"),
    ]


def test_media_in_a_reply():
    assert parts_of(
        piece({"inlineData": {"mimeType": "image/png", "data": "__7_"}}),
        piece({"fileData": {"mimeType": "image/png", "fileUri": "https://a.test/x"}}, finish="STOP"),
    ) == [
        Media(kind="image", mime="image/png", data="//7/"),
        Media(kind="image", mime="image/png", url="https://a.test/x"),
    ]


def test_candidates_interleave():
    reply = fold(
        read(
            sse(
                piece({"text": "a"}),
                piece({"text": "x"}, index=1),
                piece({"text": "b"}, finish="STOP"),
                piece({"text": "y"}, finish="MAX_TOKENS", index=1),
            )
        )
    )
    assert [(answer.parts, answer.reason) for answer in reply.answers] == [
        ([Text(text="ab")], "stop"),
        ([Text(text="xy")], "length"),
    ]


def test_a_finish_reason_on_every_object_ends_it_once():
    events = read(sse(piece({"text": "a"}, finish="STOP"), piece({"text": "b"}, finish="STOP")))
    assert [event for event in events if isinstance(event, Finished)] == [Finished(reason="stop", native="STOP")]
    assert fold(events).answers[0].parts == [Text(text="ab")]


def test_a_blocked_prompt_is_an_answer():
    events = read(sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE[0]}))
    assert events == [
        Started(),
        Counted(meters={"input_uncached": 40, "output_total": 0}),
        Finished(reason="filter", native="SAFETY"),
        Ended(),
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "filter"),
        ("PROHIBITED_CONTENT", "filter"),
        ("ESCALATION", "filter"),
        ("IMAGE_RECITATION", "filter"),
        ("MODEL_ARMOR", "filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("UNEXPECTED_TOOL_CALL", "error"),
        ("TOO_MANY_TOOL_CALLS", "error"),
        ("MISSING_THOUGHT_SIGNATURE", "error"),
        ("OTHER", "error"),
        ("SOMETHING_NEW", "error"),
    ],
)
def test_pitfall_10_stop_reasons(word, reason):
    events = read(sse(piece({"text": "a"}, finish=word)))
    assert Finished(reason=reason, native=word) in events
    assert reason_of(word, called=True) == ("tool" if reason == "stop" else reason)


def test_logprobs_survive():
    result = {
        "chosenCandidates": [{"token": "a", "tokenId": 1, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }
    one = piece({"text": "a"}, finish="STOP")
    one["candidates"][0]["logprobsResult"] = result
    answer = fold(read(sse(one))).answers[0]
    assert json.loads(bytes(answer.logprobs)) == [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -1.5, "bytes": [98]}],
        }
    ]


def test_citations_survive():
    one = piece({"text": "a"}, finish="STOP")
    one["candidates"][0]["citationMetadata"] = {"citations": [{"uri": "https://a.test", "endIndex": 1}]}
    cited = [event for event in read(sse(one)) if isinstance(event, Cited)]
    assert [(event.protocol, json.loads(bytes(event.raw))) for event in cited] == [
        ("gemini", {"uri": "https://a.test", "endIndex": 1})
    ]


def test_keep_alives_are_beats():
    assert read(b": ping\n\n", b"\n", b": ping\n\n: ping\n\n", sse(piece({"text": "a"})))[:3] == [
        Beat(),
        Beat(),
        Beat(),
    ]


@pytest.mark.parametrize("index", [-1, 128, 10**12])
def test_an_index_nobody_asked_for_is_garbage(index):
    with pytest.raises(ProviderFault):
        read(sse(piece({"text": "a"}, index=index)))
