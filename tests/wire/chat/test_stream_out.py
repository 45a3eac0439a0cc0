"""Canonical events written as a chat stream; OpenAI's own client reads them and agrees with what was meant."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from baseload.errors import Refusal
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
from baseload.wire.canon.fold import fold, unfold
from baseload.wire.canon.request import AnyPart, Refused, Text, Thinking, ToolCall
from baseload.wire.canon.signature import unseal
from baseload.wire.chat.stream_in import StreamIn
from baseload.wire.chat.stream_out import StreamOut
from tests.wire.recorded import RECORDED, Stream

VIEW = View(model="asked", id="call1", created_s=7, origin="anthropic/claude")
USAGE = View(model="asked", id="call1", created_s=7, origin="anthropic/claude", wants_usage=True)
METERS = {"input_uncached": 5, "cache_read": 3, "output_total": 4, "reasoning": 2}


def written(events: list[AnyEvent], view: View = VIEW) -> bytes:
    return StreamOut(view).write(events)


def chunks(body: bytes) -> list[dict[str, Any]]:
    frames = [frame for frame in body.split(b"\n\n") if frame.startswith(b"data: {")]
    return [json.loads(frame[6:]) for frame in frames]


def reply(*parts: AnyPart, **members: Any) -> list[AnyEvent]:
    return unfold(Reply(id="msg_1", model="up", answers=[Answer(parts=list(parts), **members)], meters=METERS))


def sdk_chunks(body: bytes) -> list[ChatCompletionChunk]:
    """Through OpenAI's own client: its SSE reader, its types (validated strictly here)."""
    for chunk in chunks(body):
        if "error" not in chunk:
            ChatCompletionChunk.model_validate(chunk)
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    )
    with httpx.Client(transport=transport) as http:
        client = openai.OpenAI(api_key="k", base_url="http://gateway.invalid/v1", http_client=http, max_retries=0)
        return list(client.chat.completions.create(model="m", messages=[], stream=True))


def accumulated(body: bytes) -> ChatCompletion:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in sdk_chunks(body):
        state.handle_chunk(chunk)
    return ChatCompletion.model_validate(state.current_completion_snapshot.model_dump())


def test_the_order_of_a_stream():
    body = written(reply(Text(text="Hi")), USAGE)
    assert body.endswith(b"data: [DONE]\n\n")
    found = chunks(body)
    assert [(chunk["choices"][0]["delta"] if chunk["choices"] else None) for chunk in found] == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hi"},
        {},
        None,
    ]
    assert {(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in found} == {
        ("msg_1", 7, "asked", "chat.completion.chunk")
    }
    assert [chunk["usage"] is None for chunk in found] == [True, True, True, False]
    assert found[2]["choices"][0]["finish_reason"] == "stop"
    assert found[3]["usage"]["prompt_tokens"] == 8


def test_lesson_05_usage_is_shown_only_to_those_who_asked():
    found = chunks(written(reply(Text(text="Hi"))))
    assert all("usage" not in chunk for chunk in found)
    assert len(found) == 3


def test_pitfall_22_the_client_sees_the_model_it_asked_for():
    assert {chunk["model"] for chunk in chunks(written([Started(id="x", model="other"), Ended()]))} == {"asked"}


def test_a_reply_without_an_id_gets_the_calls():
    assert chunks(written([Started()]))[0]["id"] == "chatcmpl-call1"


def test_parallel_tool_calls_survive():
    """Fragments may alternate; a call without any argument is an empty object."""
    body = written(
        [
            Started(id="x"),
            Opened(block=0, kind="tool", id="toolu_1", name="f"),
            Delta(block=0, text='{"x":'),
            Opened(block=1, kind="tool", id="functions.g:0", name="g"),
            Delta(block=0, text="1}"),
            Closed(block=0),
            Closed(block=1),
            Finished(reason="tool"),
            Ended(),
        ]
    )
    calls = [chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks(body)]
    assert calls[1:-1] == [
        [{"index": 0, "id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"x":'}}],
        [{"index": 1, "id": calls[3][0]["id"], "type": "function", "function": {"name": "g", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": "1}"}}],
        [{"index": 1, "function": {"arguments": "{}"}}],
    ]
    message = accumulated(body).choices[0].message
    assert [(call.function.name, call.function.arguments) for call in message.tool_calls or []] == [  # type: ignore[union-attr]
        ("f", '{"x":1}'),
        ("g", "{}"),
    ]
    assert accumulated(body).choices[0].finish_reason == "tool_calls"


def test_custom_calls():
    body = written(reply(ToolCall(id="a", name="c", arguments="x y", kind="custom"), reason="tool"))
    calls = [call for chunk in chunks(body) for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert calls == [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "c", "input": ""}},
        {"index": 0, "custom": {"input": "x y"}},
    ]


def test_pitfall_01_thinking_signatures_survive():
    events = reply(
        Thinking(text="I think", signature="SIG"),
        Thinking(signature="DATA", redacted=True),
        Text(text="so"),
    )
    message = accumulated(written(events)).choices[0].message.model_dump()
    assert (message["content"], message["reasoning_content"]) == ("so", "I think")
    first, second = message["reasoning_details"]
    assert (first["type"], first["text"], first["index"]) == ("reasoning.text", "I think", 0)
    assert (second["type"], second["index"]) == ("reasoning.encrypted", 1)
    for sealed, signature, redacted in ((first["signature"], "SIG", False), (second["data"], "DATA", True)):
        found = unseal(sealed)
        assert found is not None
        assert (found.origin, found.signature, found.redacted) == ("anthropic/claude", signature, redacted)


def test_thinking_is_shown_only_where_it_may_be():
    view = View(model="m", id="c", created_s=1, show_thinking=False)
    body = written(reply(Thinking(text="secret", signature="SIG"), Text(text="so")), view)
    assert b"secret" not in body
    assert b"reasoning" not in body
    assert accumulated(body).choices[0].message.content == "so"


def test_summaries_are_written_as_such():
    body = written(reply(Thinking(text="sum", summary=True, signature="ENC", id="rs_1"), Text(text="a")))
    (entry,) = accumulated(body).choices[0].message.model_dump()["reasoning_details"]
    assert (entry["type"], entry["summary"], entry["id"]) == ("reasoning.summary", "sum", "rs_1")


def test_refusals_survive():
    message = accumulated(written(reply(Refused(text="I cannot."), reason="filter"))).choices[0]
    assert (message.message.refusal, message.finish_reason) == ("I cannot.", "content_filter")


def test_logprobs_survive():
    one = Raw(b'[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]')
    body = written([Started(), Opened(block=0, kind="text"), Delta(block=0, text="a", logprobs=one), Ended()])
    logprobs = sdk_chunks(body)[1].choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert (logprobs.content[0].token, logprobs.content[0].logprob) == ("a", -0.5)


@pytest.mark.parametrize(
    ("protocol", "raw", "want"),
    [
        (
            "messages",
            b'{"type":"web_search_result_location","url":"https://x.example","title":"t","cited_text":"a"}',
            {"url": "https://x.example", "title": "t", "start_index": 0, "end_index": 5},
        ),
        (
            "responses",
            b'{"type":"url_citation","url":"https://x.example","title":"t","start_index":1,"end_index":2}',
            {"url": "https://x.example", "title": "t", "start_index": 1, "end_index": 2},
        ),
        (
            "gemini",
            b'{"web":{"uri":"https://x.example","title":"t"}}',
            {"url": "https://x.example", "title": "t", "start_index": 0, "end_index": 5},
        ),
    ],
)
def test_citations_survive_where_they_have_urls(protocol: str, raw: bytes, want: dict[str, Any]):
    body = written(reply(Text(text="hello", citations=(Raw(raw), Raw(raw)), citations_of=protocol)))
    notes = accumulated(body).choices[0].message.annotations or []
    assert [note.url_citation.model_dump() for note in notes] == [want, want]


def test_a_citation_without_a_url_is_left_out():
    location = Cited(block=0, protocol="messages", raw=Raw(b'{"type":"char_location","document_index":0}'))
    assert b"annotations" not in written([Started(), Opened(block=0, kind="text"), location, Closed(block=0), Ended()])


@pytest.mark.parametrize(
    ("reason", "want"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool", "tool_calls"),
        ("filter", "content_filter"),
        ("stop_sequence", "stop"),
        ("context", "length"),
        ("pause", "stop"),
    ],
)
def test_pitfall_10_finish_reasons(reason: str, want: str):
    assert accumulated(written(reply(Text(text="a"), reason=reason))).choices[0].finish_reason == want


def test_n_choices_interleave():
    events = unfold(Reply(answers=[Answer(parts=[Text(text="a")]), Answer(parts=[Text(text="b")], reason="length")]))
    found = accumulated(written(events))
    assert [(choice.message.content, choice.finish_reason) for choice in found.choices] == [
        ("a", "stop"),
        ("b", "length"),
    ]


def test_pitfall_24_a_beat_is_a_comment():
    body = written([Beat(), Started(), Beat(), Ended()])
    assert body.startswith(b": keep-alive\n\ndata: ")
    assert len(sdk_chunks(body)) == 1


def test_pitfall_20_a_failure_ends_the_stream_with_an_error():
    out = StreamOut(VIEW)
    body = out.write([Started(), Opened(block=0, kind="text"), Delta(block=0, text="a")])
    body += out.fail(Refusal("The provider died.", code="provider_cut", status=502), "call1")
    assert out.write([Finished(reason="stop"), Ended()]) == b"", "no normal end after it"
    with pytest.raises(openai.APIError, match="The provider died"):
        sdk_chunks(body)


def test_a_choice_that_failed_in_generating_is_no_normal_end():
    body = written([Started(), Finished(reason="error", native="MALFORMED_FUNCTION_CALL"), Ended()])
    assert b"[DONE]" not in body
    with pytest.raises(openai.APIError, match="MALFORMED_FUNCTION_CALL"):
        sdk_chunks(body)


def test_usage_comes_with_its_tier():
    body = written([Started(), Counted(meters=METERS, tier="standard"), Ended()], USAGE)
    last = sdk_chunks(body)[-1]
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.service_tier) == (8, 4, "default")


def test_no_usage_is_made_up():
    assert all(chunk["usage"] is None for chunk in chunks(written([Started(), Ended()], USAGE)))


def test_where_events_are_cut_cannot_change_the_bytes():
    events = reply(Thinking(text="t", signature="S"), Text(text="a"), ToolCall(id="a", name="f", arguments="{}"))
    whole = written(events, USAGE)
    out = StreamOut(USAGE)
    assert b"".join(out.write([event]) for event in events) == whole


WHOLE = [stream for stream in RECORDED if not stream.facts.error]


@pytest.mark.parametrize("stream", WHOLE, ids=lambda stream: stream.name)
def test_every_recorded_stream_is_read_by_openais_client(stream: Stream):
    reader = StreamIn(Target(protocol="chat", dialect="compatible"))
    events = reader.feed(stream.bytes) + reader.close()
    found = accumulated(written(events, USAGE))
    meant = fold(events)
    for choice, answer in zip(found.choices, meant.answers, strict=True):
        texts = [part.text for part in answer.parts if isinstance(part, Text)]
        calls = [(part.name, part.arguments) for part in answer.parts if isinstance(part, ToolCall)]
        assert (choice.message.content or "") == "".join(texts)
        assert [
            (call.function.name, call.function.arguments)  # type: ignore[union-attr]
            for call in choice.message.tool_calls or []
        ] == calls


WORDS = st.text(min_size=1, max_size=6)
ARGUMENTS = st.sampled_from(["{}", '{"x": 12345678901234567890}', "{", "[1]", '{"b":1,"a":"\u00e9"}'])
PARTS = st.one_of(
    st.builds(Text, text=WORDS),
    st.builds(Thinking, text=WORDS, signature=st.sampled_from(["", "SIG"])),
    st.builds(Thinking, signature=st.just("G")),
    st.builds(Thinking, signature=st.just("DATA"), redacted=st.just(True)),
    st.builds(
        ToolCall, id=st.uuids().map(lambda id_: f"call_{id_.hex}"), name=st.sampled_from("fg"), arguments=ARGUMENTS
    ),
    st.builds(Refused, text=WORDS),
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(PARTS, max_size=6))
def test_chat_to_chat_keeps_what_was_meant(parts: list[AnyPart]):
    """Written and read again by our own reader: the same thinking, text, refusals and calls, each in its order."""
    view = View(model="m", id="c", created_s=1, origin="")
    body = written(unfold(Reply(id="x", model="m", answers=[Answer(parts=parts)], meters=METERS)), view)
    reader = StreamIn(Target(protocol="chat"))
    found = fold(reader.feed(body) + reader.close()).answers[0].parts

    def of(kind: type, given: list[AnyPart]) -> list[Any]:
        return [part for part in given if isinstance(part, kind)]

    assert "".join(part.text for part in of(Text, found)) == "".join(part.text for part in of(Text, parts))
    assert "".join(part.text for part in of(Refused, found)) == "".join(part.text for part in of(Refused, parts))
    assert of(ToolCall, found) == of(ToolCall, parts)
    assert "".join(part.text for part in of(Thinking, found)) == "".join(part.text for part in of(Thinking, parts))


def test_signed_thinking_is_written_before_what_follows():
    events = [
        Started(),
        Opened(block=0, kind="thinking"),
        Delta(block=0, text="t"),
        Signed(block=0, signature="S"),
        Closed(block=0),
        Opened(block=1, kind="text"),
        Delta(block=1, text="a"),
        Closed(block=1),
        Finished(reason="stop"),
        Ended(),
    ]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(written(events))]
    assert [list(delta) for delta in deltas[1:4]] == [
        ["reasoning_content", "reasoning_details"],
        ["reasoning_details"],
        ["content"],
    ]
