"""Canonical events as a Gemini client's stream: order, shape, and Google's own library."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.genai import errors, types
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import ProviderFault, Refusal
from baseload.wire.canon.carry import Target, View
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
from baseload.wire.canon.fold import fold, unfold
from baseload.wire.canon.signature import unseal
from baseload.wire.chat.stream_in import StreamIn as ChatIn
from baseload.wire.gemini import StreamMeter
from baseload.wire.gemini.reply_out import write as write_reply
from baseload.wire.gemini.stream_in import StreamIn
from baseload.wire.gemini.stream_out import StreamOut
from tests.wire.gemini.order import check, check_array, check_sse, parts, texts
from tests.wire.gemini.sdk import Sdk

ORIGIN = "anthropic/claude"
VIEW = View(model="claude", id="call-1", created_s=1, origin=ORIGIN)
ARRAY = View(model="claude", id="call-1", created_s=1, origin=ORIGIN, array=True)
REFUSAL = Refusal("It broke.", "Repeat.", code="provider_failed", status=503, retry_after_s=1.2)

EVENTS: list[AnyEvent] = [
    Started(id="msg_1", model="claude-4"),
    Opened(block=0, kind="thinking"),
    Delta(block=0, text="Let me "),
    Delta(block=0, text="see\U0001f600."),
    Signed(block=0, signature="sig+/=not base64!"),
    Closed(block=0),
    Opened(block=1, kind="text"),
    Delta(block=1, text="Caf\u00e9 "),
    Beat(),
    Delta(block=1, text='"open"\n'),
    Closed(block=1),
    Opened(block=2, kind="tool", id="toolu_1", name="look"),
    Delta(block=2, text='{"n": 1234567890'),
    Delta(block=2, text='1234567890, "a": 1}'),
    Closed(block=2),
    Opened(block=3, kind="tool", id="odd id", name="look"),
    Closed(block=3),
    Finished(reason="tool"),
    Counted(meters={"input_uncached": 10, "cache_read": 4, "output_total": 9, "reasoning": 2}),
    Ended(),
]


def written(events: list[AnyEvent], view: View = VIEW, step: int = 1) -> bytes:
    out = StreamOut(view)
    return b"".join(out.write(events[i : i + step]) for i in range(0, len(events), step))


def test_the_order_is_googles():
    for step in (1, 3, len(EVENTS)):
        objects = check_sse(written(EVENTS, step=step))
        assert texts(objects) == 'Caf\u00e9 "open"\n'
        assert texts(objects, thought=True) == "Let me see\U0001f600."
        assert objects[-1]["candidates"][0]["finishReason"] == "STOP"
        assert objects[-1]["usageMetadata"] == {
            "promptTokenCount": 14,
            "candidatesTokenCount": 7,
            "cachedContentTokenCount": 4,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 23,
        }
        assert {one["modelVersion"] for one in objects} == {"claude"}
        assert {one["responseId"] for one in objects} == {"msg_1"}


def test_the_array_form_says_the_same():
    for step in (1, len(EVENTS)):
        assert check_array(written(EVENTS, ARRAY, step)) == check_sse(written(EVENTS, VIEW, step))
    assert json.loads(written([Started(), Ended()], ARRAY)) == []


def test_pitfall_05_streamed_arguments_are_complete_before_a_call_is_sent():
    out = StreamOut(VIEW)
    sent = [(event, out.write([event])) for event in EVENTS]
    calls = [event for event, data in sent if b"functionCall" in data]
    assert calls == [Closed(block=2), Closed(block=3)]
    found = [
        part["functionCall"] for part in parts(check_sse(b"".join(data for _, data in sent))) if "functionCall" in part
    ]
    assert found[0] == {"id": "toolu_1", "name": "look", "args": {"n": 12345678901234567890, "a": 1}}
    assert found[1]["args"] == {}
    assert b"12345678901234567890" in {repr(event): data for event, data in sent}[repr(Closed(block=2))]


def test_text_is_not_held_back():
    out = StreamOut(VIEW)
    for event in EVENTS[:10]:
        data = out.write([event])
        assert (b"data: " in data) == (isinstance(event, Delta)), event


def test_thinking_signatures_stand_on_the_next_part_sealed():
    found = parts(check_sse(written(EVENTS)))
    signed = [part for part in found if "thoughtSignature" in part]
    assert [part["text"] for part in signed] == ["Caf\u00e9 "]
    sealed = unseal(signed[0]["thoughtSignature"])
    assert sealed is not None
    assert (sealed.origin, sealed.signature, sealed.text) == (ORIGIN, "sig+/=not base64!", "Let me see\U0001f600.")
    base64.b64decode(signed[0]["thoughtSignature"], validate=True)


def test_signatures_without_a_part_after_them_stand_on_one_without_text():
    events: list[AnyEvent] = [
        Started(),
        Opened(block=0, kind="thinking", redacted=True),
        Signed(block=0, signature="blob"),
        Closed(block=0),
        Opened(block=1, kind="thinking"),
        Signed(block=1, signature="two"),
        Closed(block=1),
        Finished(reason="stop"),
        Ended(),
    ]
    found = parts(check_sse(written(events)))
    seals = [unseal(part["thoughtSignature"]) for part in found]
    assert [(seal.signature, seal.redacted) for seal in seals if seal] == [("blob", True), ("two", False)]
    assert [part["text"] for part in found] == ["", ""]


def test_thinking_that_is_not_wanted_is_not_shown_but_still_signed():
    view = View(model="m", id="i", created_s=1, origin=ORIGIN, show_thinking=False)
    found = parts(check_sse(written(EVENTS, view)))
    assert not any(part.get("thought") for part in found)
    assert sum("thoughtSignature" in part for part in found) == 1


def test_choices_keep_their_index():
    events: list[AnyEvent] = [
        Started(),
        Opened(choice=0, block=0, kind="text"),
        Opened(choice=1, block=0, kind="text"),
        Delta(choice=0, block=0, text="a"),
        Delta(choice=1, block=0, text="x"),
        Closed(choice=0, block=0),
        Finished(choice=0, reason="length"),
        Delta(choice=1, block=0, text="y"),
        Closed(choice=1, block=0),
        Finished(choice=1, reason="stop"),
        Counted(meters={"input_uncached": 1, "output_total": 3}),
        Ended(),
    ]
    for step in (1, 2, len(events)):
        objects = check_sse(written(events, step=step))
        assert (texts(objects, 0), texts(objects, 1)) == ("a", "xy")
        reasons = {c["index"]: c["finishReason"] for o in objects for c in o["candidates"] if "finishReason" in c}
        assert reasons == {0: "MAX_TOKENS", 1: "STOP"}


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "STOP"),
        ("stop_sequence", "STOP"),
        ("tool", "STOP"),
        ("pause", "STOP"),
        ("length", "MAX_TOKENS"),
        ("context", "MAX_TOKENS"),
        ("filter", "SAFETY"),
        ("error", "OTHER"),
    ],
)
def test_pitfall_10_stop_reasons(reason, word):
    objects = check_sse(written([Started(), Finished(reason=reason), Ended()]))
    assert objects[-1]["candidates"][0]["finishReason"] == word


def test_usage_after_the_finish_is_on_the_last_object():
    objects = check_sse(written(EVENTS))
    assert sum("usageMetadata" in one for one in objects) == 1
    late: list[AnyEvent] = [*EVENTS[:17], EVENTS[18], EVENTS[17], EVENTS[19]]
    assert check_sse(written(late)) == objects


def test_citations_and_logprobs_survive():
    events: list[AnyEvent] = [
        Started(),
        Opened(block=0, kind="text"),
        Delta(
            block=0,
            text="a",
            logprobs=Raw(b'[{"token":"a","logprob":-1.5,"top_logprobs":[{"token":"b","logprob":-2}]}]'),
        ),
        Cited(
            block=0, protocol="chat", raw=Raw(b'{"url_citation":{"url":"https://a.test","title":"A","end_index":1}}')
        ),
        Cited(block=0, protocol="messages", raw=Raw(b'{"type":"web_search_result_location","url":"https://b.test"}')),
        Cited(block=0, protocol="messages", raw=Raw(b'{"type":"char_location","document_index":0}')),
        Closed(block=0),
        Finished(reason="stop"),
        Ended(),
    ]
    objects = check_sse(written(events))
    first, last = objects[0]["candidates"][0], objects[-1]["candidates"][0]
    assert last["citationMetadata"]["citations"] == [
        {"uri": "https://a.test", "title": "A", "endIndex": 1},
        {"uri": "https://b.test"},
    ]
    assert first["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -1.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2.0}]}],
    }


def test_images_survive():
    events: list[AnyEvent] = [
        Started(),
        Opened(block=0, kind="media", name="image/png"),
        Delta(block=0, text="AA"),
        Delta(block=0, text="AA"),
        Closed(block=0),
        Finished(reason="stop"),
        Ended(),
    ]
    assert {"inlineData": {"mimeType": "image/png", "data": "AAAA"}} in parts(check_sse(written(events)))


def test_overlapping_calls_are_sent_whole():
    """A chat provider's parallel calls: their blocks overlap."""
    chunks = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]},
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]},
                }
            ]
        },
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": '{"y"'}}]},
                }
            ]
        },
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":1}'}}]}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1, "function": {"arguments": ":2}"}}]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}},
    ]
    stream = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks) + "data: [DONE]\n\n"
    chat = ChatIn(Target(protocol="chat", dialect="openai"))
    objects = check_sse(written([*chat.feed(stream.encode()), *chat.close()]))
    calls = [part["functionCall"] for part in parts(objects) if "functionCall" in part]
    assert calls == [{"id": "a", "name": "f", "args": {"x": 1}}, {"id": "b", "name": "g", "args": {"y": 2}}]
    assert objects[-1]["usageMetadata"]["totalTokenCount"] == 8


@pytest.mark.parametrize("view", [VIEW, ARRAY])
def test_pitfall_20_a_failure_ends_a_begun_stream(view):
    out = StreamOut(view)
    body = out.write(EVENTS[:8]) + out.fail(REFUSAL, "call-1")
    assert out.write(EVENTS[8:]) == b""
    assert out.fail(REFUSAL, "call-1") == b""
    objects = check_array(body) if view.array else check_sse(body)
    error = objects[-1]["error"]
    assert (error["code"], error["status"]) == (503, "UNAVAILABLE")
    assert "It broke. Repeat. (call call-1)" in error["message"]
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"} in error["details"]
    assert json.loads(StreamOut(ARRAY).fail(REFUSAL, ""))[0]["error"]["code"] == 503


def test_pitfall_24_keep_alives_are_what_googles_library_takes():
    events: list[AnyEvent] = [Beat(), EVENTS[0], Beat(), *EVENTS[1:]]
    for view in (VIEW, ARRAY):
        out = StreamOut(view)
        data = [out.write([event]) for event in events]
        assert [each for each, event in zip(data, events, strict=True) if isinstance(event, Beat)][-1] == b"\n"
    sdk = Sdk(b"".join(StreamOut(VIEW).write([event]) for event in [Beat()]) + written(events))
    assert "".join(chunk.text or "" for chunk in sdk.stream()) == 'Caf\u00e9 "open"\n'


def test_googles_library_reads_the_stream():
    chunks = Sdk(written(EVENTS)).stream()
    assert "".join(chunk.text or "" for chunk in chunks) == 'Caf\u00e9 "open"\n'
    calls = [call for chunk in chunks for call in chunk.function_calls or ()]
    assert next((call.id, call.name, call.args) for call in calls) == (
        "toolu_1",
        "look",
        {"n": 12345678901234567890, "a": 1},
    )
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count == 23


def test_googles_library_raises_its_own_error_in_a_stream():
    out = StreamOut(VIEW)
    sdk = Sdk(out.write(EVENTS[:8]) + out.fail(REFUSAL, "c"))
    with pytest.raises(errors.ServerError) as raised:
        sdk.stream()
    assert (raised.value.code, raised.value.status) == (503, "UNAVAILABLE")


def test_googles_chat_keeps_the_turn_and_sends_it_back_whole():
    """Its history keeps what we sent; the next request must bring thinking, signature and call ids again."""
    from baseload.wire.body import open_body
    from baseload.wire.canon.request import Text, Thinking, ToolCall, ToolResult
    from baseload.wire.gemini import GUARDED, request_in

    sdk = Sdk(written(EVENTS))
    chat = sdk.client.chats.create(model="m")
    list(chat.send_message_stream("hello"))
    sdk.answer = written(
        [Started(), Opened(block=0, kind="text"), Delta(block=0, text="x"), Finished(reason="stop"), Ended()]
    )
    answer = types.Part.from_function_response(name="look", response={"output": "seen"})
    list(chat.send_message_stream([answer]))
    request = request_in.read(open_body(sdk.bodies[1], GUARDED), "m", True)
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user"]
    said = request.turns[1].parts
    assert said[0] == Thinking(text="Let me see\U0001f600.", signature="sig+/=not base64!", origin=ORIGIN)
    assert said[1] == Text(text='Caf\u00e9 "open"\n')
    calls = [part for part in said if isinstance(part, ToolCall)]
    assert [call.id for call in calls] == ["toolu_1", "odd id"]
    result = request.turns[2].parts[0]
    assert isinstance(result, ToolResult)
    assert (result.id, result.content) == ("toolu_1", [Text(text="seen")])


def test_unfinished_arguments_are_bounded(monkeypatch):
    monkeypatch.setattr("baseload.wire.gemini.scribe.ARGUMENTS_MAX", 1000)
    out = StreamOut(VIEW)
    out.write([Started(), Opened(block=0, kind="tool", id="a", name="f")])
    with pytest.raises(ProviderFault):
        [out.write([Delta(block=0, text="x" * 50)]) for _ in range(100)]


def test_a_long_thought_is_sealed_without_its_text(monkeypatch):
    monkeypatch.setattr("baseload.wire.gemini.scribe.THOUGHT_MAX", 10)
    found = parts(check_sse(written(EVENTS)))
    sealed = unseal(next(part["thoughtSignature"] for part in found if "thoughtSignature" in part))
    assert sealed is not None
    assert sealed.text is None


def test_a_call_that_was_never_closed_is_still_sent():
    events = [event for event in EVENTS if not isinstance(event, Closed)]
    calls = [part["functionCall"]["name"] for part in parts(check_sse(written(events))) if "functionCall" in part]
    assert calls == ["look", "look"]


def test_a_whole_reply_says_what_the_stream_says():
    whole = json.loads(write_reply(fold(EVENTS), VIEW))
    check([whole])
    streamed = parts(check_sse(written(EVENTS)))
    assert texts([whole]) == 'Caf\u00e9 "open"\n'
    assert [part for part in parts([whole]) if "functionCall" in part] == [
        part for part in streamed if "functionCall" in part
    ]
    assert whole["usageMetadata"]["totalTokenCount"] == 23
    sdk = Sdk(write_reply(fold(EVENTS), VIEW))
    reply = sdk.whole()
    assert reply.text == 'Caf\u00e9 "open"\n'
    assert reply.response_id == "msg_1"


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
arguments = st.dictionaries(text, st.integers(-(2**70), 2**70) | text | st.none(), max_size=3).map(json.dumps)


@st.composite
def event_lists(draw: Any) -> list[AnyEvent]:
    """Replies that Gemini can say: text, thoughts, calls; no two blocks of text or thoughts in a row."""
    events: list[AnyEvent] = [Started(id="r", model="claude")]
    kinds = draw(st.lists(st.sampled_from(["text", "thinking", "tool"]), max_size=5))
    called, before = False, ""
    block = 0
    for kind in kinds:
        if kind == before and kind != "tool":
            continue
        before = kind
        if kind == "tool":
            called = True
            events.append(Opened(block=block, kind=kind, id=f"id{block}", name=draw(text)))
            events.append(Delta(block=block, text=draw(arguments)))
        else:
            events.append(Opened(block=block, kind=kind))
            events += [Delta(block=block, text=each) for each in draw(st.lists(text, min_size=1, max_size=3))]
        events.append(Closed(block=block))
        block += 1
    events.append(Finished(reason="tool" if called else "stop", native="STOP"))
    events.append(
        Counted(meters={"input_uncached": draw(st.integers(0, 99)), "output_total": draw(st.integers(0, 99))})
    )
    return [*events, Ended()]


@given(event_lists())
def test_round_trip_out_and_in_keeps_the_meaning(events):
    stream = written(events)
    check_sse(stream)
    back = StreamIn(Target(protocol="gemini", dialect="gemini", model="m"))
    found = fold([*back.feed(stream), *back.close()])
    expected = fold(events)
    assert found.answers[0].reason == expected.answers[0].reason
    assert found.meters == expected.meters
    assert len(found.answers[0].parts) == len(expected.answers[0].parts)
    for part, wanted in zip(found.answers[0].parts, expected.answers[0].parts, strict=True):
        assert type(part) is type(wanted)
        if hasattr(part, "arguments"):
            assert json.loads(part.arguments) == json.loads(wanted.arguments)
            assert (part.id, part.name) == (wanted.id, wanted.name)
        else:
            assert part == wanted
    meter = StreamMeter()
    meter.feed(stream)
    assert meter.finished
    assert not meter.malformed
    assert unfold(found)[-1] == Ended()
