"""Whole chat replies: read in every vendor's variant, written for OpenAI's client; thinking that comes back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from openai.types.chat import ChatCompletion

from baseload.errors import ProviderFault
from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.fold import fold, unfold
from baseload.wire.canon.request import AnyPart, Media, Refused, Text, Thinking, ToolCall
from baseload.wire.canon.signature import unseal
from baseload.wire.chat import reply_in, reply_out, request_in
from baseload.wire.chat.stream_in import StreamIn
from baseload.wire.chat.stream_out import StreamOut
from tests.wire.chat.test_stream_out import accumulated

TARGET = Target(protocol="chat", dialect="compatible")
VIEW = View(model="asked", id="call1", created_s=7, origin="anthropic/claude")


def body(message: Any, finish: Any = "stop", **members: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    choice |= {name.removeprefix("choice_"): members.pop(name) for name in list(members) if name.startswith("choice_")}
    return json.dumps({"id": "c1", "model": "up", "choices": [choice], **members}).encode()


def parts(**message: Any) -> list[AnyPart]:
    return reply_in.read(body({"role": "assistant", **message}), TARGET).answers[0].parts


def tool(id_: str | None = "a", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_reply():
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert reply_in.read(body({"content": "Hi"}, usage=usage, service_tier="flex"), TARGET) == Reply(
        id="c1",
        model="up",
        answers=[Answer(parts=[Text(text="Hi")], native="stop")],
        meters={"input_uncached": 5, "cache_read": 4, "output_total": 2},
        tier="flex",
    )


def test_absent_usage_is_none():
    assert reply_in.read(body({"content": "Hi"}), TARGET).meters is None
    assert reply_in.read(body({"content": "Hi"}, usage=None), TARGET).meters is None


def test_pitfall_13_usage_within_a_choice():
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert reply_in.read(body({"content": "Hi"}, choice_usage=usage), TARGET).meters == {
        "input_uncached": 9,
        "output_total": 2,
    }


def test_parallel_tool_calls_survive():
    calls = [tool(), tool("b", "g", ""), tool(None, "h", {"x": 1})]
    reply = reply_in.read(body({"content": None, "tool_calls": calls}, "stop"), TARGET)
    first, second, third = reply.answers[0].parts
    assert (first, second) == (ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="g"))
    assert isinstance(third, ToolCall)
    assert third.id
    assert (third.name, json.loads(third.arguments)) == ("h", {"x": 1})
    assert reply.answers[0].reason == "tool", "forced calls end with stop at OpenAI"


def test_pitfall_01_thinking_comes_first():
    detail = {"type": "reasoning.text", "text": "t", "signature": "S", "index": 0}
    assert parts(content="a", reasoning_content="t") == [Thinking(text="t"), Text(text="a")]
    assert parts(content="a", reasoning="t", reasoning_details=[detail]) == [
        Thinking(text="t", signature="S"),
        Text(text="a"),
    ]


def test_variants_of_content():
    assert parts(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]) == [Text(text="ab")]
    assert parts(content="", refusal="no") == [Refused(text="no")]
    assert parts(content=None) == []
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    assert parts(content="a", images=[image]) == [Text(text="a"), Media(kind="image", mime="image/png", data="QUJD")]
    assert parts(audio={"id": "au", "data": "QUJD", "transcript": "hey"}) == [
        Media(kind="audio", data="QUJD", file="au", text="hey")
    ]


def test_half_a_surrogate_in_a_reply():
    raw = b'{"choices":[{"index":0,"message":{"content":"a\\ud83d b"},"finish_reason":"stop"}]}'
    assert reply_in.read(raw, TARGET).answers[0].parts == [Text(text="a\ufffd b")]


def test_choices_come_by_their_index():
    raw = b'{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}'
    assert [answer.parts for answer in reply_in.read(raw, TARGET).answers] == [[Text(text="a")], [Text(text="b")]]


def test_the_stop_sequence_that_matched():
    answer = reply_in.read(body({"content": "a"}, choice_stop_reason="END"), TARGET).answers[0]
    assert (answer.reason, answer.stop_sequence) == ("stop_sequence", "END")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"choices":[]}', b'{"choices":"x"}', b'{"error":{}}'])
def test_garbage_is_a_fault_of_the_provider(raw: bytes):
    with pytest.raises(ProviderFault) as caught:
        reply_in.read(raw, TARGET)
    assert caught.value.fault == "garbage"


def written(*given: AnyPart, view: View = VIEW, **answer: Any) -> dict[str, Any]:
    reply = Reply(id="msg_1", model="up", answers=[Answer(parts=list(given), **answer)], meters={"output_total": 1})
    found: dict[str, Any] = json.loads(reply_out.write(reply, view))
    return found


def sdk(*given: AnyPart, **answer: Any) -> Any:
    usage = {"input_uncached": 3, "cache_write_5m": 4, "output_total": 1}
    reply = Reply(id="msg_1", answers=[Answer(parts=list(given), **answer)], meters=usage)
    return ChatCompletion.model_validate_json(reply_out.write(reply, VIEW))


def test_openais_types_read_what_is_written():
    one = Raw(b'[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]')
    found = sdk(Text(text="a"), ToolCall(id="x", name="f", arguments='{"b":1}'), reason="tool", logprobs=one)
    assert (found.id, found.model, found.created, found.object) == ("msg_1", "asked", 7, "chat.completion")
    choice = found.choices[0]
    assert (choice.message.content, choice.finish_reason, choice.message.refusal) == ("a", "tool_calls", None)
    assert choice.message.tool_calls[0].function.arguments == '{"b":1}'
    assert choice.logprobs.content[0].token == "a"
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (7, 8)
    assert found.usage.prompt_tokens_details.cache_write_tokens == 4


def test_content_is_null_beside_calls_and_empty_without():
    assert written(ToolCall(id="x", name="f"))["choices"][0]["message"]["content"] is None
    assert written()["choices"][0]["message"]["content"] == ""
    assert sdk(Refused(text="no"), reason="filter").choices[0].message.refusal == "no"
    custom = sdk(ToolCall(id="x", name="c", arguments="free", kind="custom")).choices[0].message.tool_calls[0]
    assert (custom.type, custom.custom.input) == ("custom", "free")


def test_citations_survive():
    raw = Raw(b'{"type":"web_search_result_location","url":"https://x.example","title":"t"}')
    message = sdk(Text(text="ab"), Text(text="cde", citations=(raw,), citations_of="messages")).choices[0].message
    note = message.annotations[0].url_citation
    assert (note.url, note.start_index, note.end_index) == ("https://x.example", 2, 5)


def test_a_failed_answer_is_a_fault():
    with pytest.raises(ProviderFault, match="MALFORMED"):
        written(reason="error", native="MALFORMED_FUNCTION_CALL")


def test_no_thinking_for_whom_it_is_not():
    hidden = View(model="m", id="c", created_s=1, show_thinking=False)
    message = written(Thinking(text="t", signature="S"), Text(text="a"), view=hidden)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "a", "refusal": None}


INTERLEAVED: list[list[AnyPart]] = [
    [Thinking(text="t", signature="S"), Text(text="a"), ToolCall(id="x", name="f", arguments="{}")],
    [Thinking(text="t", signature="S"), Text(text="a"), Thinking(text="u", signature="T"), Text(text="b")],
    [Text(text="a"), Thinking(text="t", signature="S"), ToolCall(id="x", name="f", arguments="{}")],
    [
        ToolCall(id="x", name="f", arguments="{}"),
        Thinking(text="t", signature="S"),
        Thinking(signature="D", redacted=True),
        ToolCall(id="y", name="f", arguments="{}"),
    ],
    [Thinking(signature="G"), ToolCall(id="x", name="f", arguments="{}"), ToolCall(id="y", name="g", arguments="{}")],
    [Text(text="a"), Thinking(signature="G")],
    [Thinking(text="s", summary=True, signature="E", id="rs_1"), Text(text="a")],
    [Refused(text="no")],
]


def sent_back(message: dict[str, Any]) -> list[AnyPart]:
    """What our own reader makes of an assistant message that a client sends back as it got it."""
    body = {"model": "m", "messages": [{"role": "user", "content": "q"}, message]}
    return request_in.read(open_body(json.dumps(body).encode())).turns[1].parts


def origin_of(given: list[AnyPart]) -> list[AnyPart]:
    for part in given:
        if isinstance(part, Thinking) and part.signature:
            part.origin = VIEW.origin
    return given


@pytest.mark.parametrize("place", range(len(INTERLEAVED)))
@pytest.mark.parametrize("streamed", [False, True])
def test_pitfall_01_a_whole_turn_comes_back_as_it_was(place: int, streamed: bool):
    """Interleaved thinking, signatures between calls, Gemini's signature alone: order, text and signature are exact."""
    given = INTERLEAVED[place]
    reply = Reply(id="m", answers=[Answer(parts=given)])
    if streamed:
        message = accumulated(StreamOut(VIEW).write(unfold(reply))).choices[0].message.model_dump(exclude_none=True)
    else:
        message = json.loads(reply_out.write(reply, VIEW))["choices"][0]["message"]
    want = origin_of([_copy(part) for part in given])
    assert sent_back(message) == want


def _copy(part: AnyPart) -> AnyPart:
    return copy.copy(part)


WORDS = st.text(min_size=1, max_size=6)
SAID = st.lists(
    st.one_of(
        st.builds(Text, text=WORDS),
        st.builds(Thinking, text=WORDS, signature=st.text("ABC", max_size=3)),
        st.builds(Thinking, signature=st.just("D"), redacted=st.just(True)),
    ),
    max_size=5,
)
CALLED = st.lists(st.builds(Thinking, text=WORDS, signature=st.just("S")) | st.just("call"), max_size=4)


@settings(max_examples=200, deadline=None)
@given(said=SAID, called=CALLED)
def test_any_turn_comes_back(said: list[Any], called: list[Any]):
    """Text and thinking in any order, then calls with thinking between: nothing moves, however it was generated."""
    given: list[AnyPart] = list(said)
    for at, one in enumerate([*called, "call"]):
        given.append(ToolCall(id=f"c{at}", name="f", arguments="{}") if one == "call" else one)
    message = json.loads(reply_out.write(Reply(answers=[Answer(parts=given, reason="tool")]), VIEW))["choices"][0][
        "message"
    ]
    assert joined(sent_back(message)) == joined(origin_of([_copy(part) for part in given]))


def joined(given: list[AnyPart]) -> list[AnyPart]:
    """Neighbouring texts as one: chat has one content."""
    found: list[AnyPart] = []
    for part in given:
        if found and isinstance(part, Text) and isinstance(found[-1], Text):
            found[-1] = Text(text=found[-1].text + part.text)
        else:
            found.append(part)
    return found


@settings(max_examples=100, deadline=None)
@given(said=SAID)
def test_whole_and_streamed_say_the_same(said: list[Any]):
    reply = Reply(id="m", model="m", answers=[Answer(parts=said)], meters={"input_uncached": 1, "output_total": 2})
    reader = StreamIn(TARGET)
    streamed = fold(reader.feed(StreamOut(VIEW).write(unfold(reply))) + reader.close())
    whole = reply_in.read(reply_out.write(reply, VIEW), TARGET)
    text = "".join(part.text for part in said if isinstance(part, Text))
    signatures = [part.signature for part in said if isinstance(part, Thinking) and part.signature]
    for found in (streamed, whole):
        assert "".join(part.text for part in found.answers[0].parts if isinstance(part, Text)) == text
        sealed = [part.signature for part in found.answers[0].parts if isinstance(part, Thinking) and part.signature]
        seals = [unseal(signature) for signature in sealed]  # still sealed: the next gateway's are not ours to open
        assert [seal.signature for seal in seals if seal is not None] == signatures
