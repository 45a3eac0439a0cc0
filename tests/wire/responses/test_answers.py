"""What a Responses client gets: the order of events, whole snapshots, and an object that OpenAI's types accept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from baseload.errors import ProviderFault, Refusal
from baseload.wire.body import open_body
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
from baseload.wire.canon.request import AnyPart, Media, Refused, Text, Thinking, ToolCall
from baseload.wire.raw import ABSENT
from baseload.wire.responses import GUARDED, StreamMeter, reply_in, reply_out, request_in
from baseload.wire.responses import stream_out as module
from baseload.wire.responses.stream_in import StreamIn
from baseload.wire.responses.stream_out import KEEP_ALIVE, StreamOut
from tests.wire.responses.order import accumulate, check, events_of
from tests.wire.responses.recorded import EVERYTHING

VIEW = View(model="asked", id="c0ffee", created_s=1795562403, origin="anthropic/claude")
TARGET = Target(protocol="responses", dialect="gateway", model="asked")
METERS = {"input_uncached": 7, "cache_read": 3, "cache_write_5m": 2, "output_total": 9, "reasoning": 4}


def stream(*parts: AnyPart, reason: str = "stop", view: View = VIEW, **members: Any) -> bytes:
    return StreamOut(view).write(unfold(reply(*parts, reason=reason, **members)))


def reply(*parts: AnyPart, reason: str = "stop", **members: Any) -> Reply:
    return Reply(id="up", model="up", answers=[Answer(parts=list(parts), reason=reason, **members)], meters=METERS)


def items(*parts: AnyPart, **members: Any) -> list[dict[str, Any]]:
    found = check(stream(*parts, **members))
    assert found is not None
    return found["output"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("tier", "said"), [("standard", "default"), ("priority", "priority"), ("batch", None), ("", None)]
)
def test_a_tier_is_said_in_the_client_s_words(tier, said):
    made = reply(Text(text="a"))
    made.tier = tier
    assert json.loads(reply_out.write(made, VIEW))["service_tier"] == said


def test_the_order_of_a_plain_answer():
    kinds = [event["type"].removeprefix("response.") for event in events_of(stream(Text(text="Hi")))]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_the_terminal_event_has_all_of_it():
    final = check(stream(Text(text="Hi")))
    assert final is not None
    assert (final["id"], final["model"], final["status"], final["store"]) == (
        "resp_c0ffee",
        "asked",
        "completed",
        False,
    )
    assert final["output"] == [
        {
            "id": "msg_c0ffee_0",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
        }
    ]
    assert final["usage"] == {
        "input_tokens": 12,
        "input_tokens_details": {
            "cached_tokens": 3,
            "cache_write_tokens": 2,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 0},
        },
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 21,
    }


def test_thinking_text_and_signatures_survive():
    out = items(
        Thinking(text="exact\u00a0 thought ", signature="sig=="),
        Thinking(signature="data", redacted=True),
        Text(text="so"),
    )
    assert [item["type"] for item in out] == ["reasoning", "reasoning", "message"]
    assert out[0]["summary"] == [{"type": "summary_text", "text": "exact\u00a0 thought "}]
    assert out[1]["summary"] == []
    back = request_in.read(open_body(json.dumps({"model": "m", "input": out}).encode(), GUARDED))
    assert back.turns[0].parts == [
        Thinking(text="exact\u00a0 thought ", signature="sig==", origin="anthropic/claude"),
        Thinking(signature="data", redacted=True, origin="anthropic/claude"),
        Text(text="so"),
    ]


def test_encrypted_content_is_complete_only_when_the_item_is_done():
    frames = events_of(stream(Thinking(text="t", signature="s"), Text(text="x")))
    having = [event["type"] for event in frames if "encrypted_content" in json.dumps(event)]
    assert having == ["response.output_item.done", "response.completed"]


def test_thinking_that_is_not_to_be_shown_still_travels():
    hidden = View(model="m", id="x", created_s=1, origin="o", show_thinking=False)
    whole = stream(Thinking(text="secret", signature="s"), Text(text="x"), view=hidden)
    assert b"reasoning_summary" not in whole
    final = check(whole)
    assert final is not None
    assert final["output"][0]["summary"] == []
    back = request_in.read(open_body(json.dumps({"model": "m", "input": final["output"]}).encode(), GUARDED))
    assert back.turns[0].parts[0] == Thinking(text="secret", signature="s", origin="o")


def test_a_signature_of_the_part_that_follows_keeps_its_place():
    """Gemini's thoughtSignature on a call (protocols.md, pitfall 1)."""
    out = items(Thinking(signature="sig"), ToolCall(id="a", name="f", arguments="{}"), reason="tool")
    assert [item["type"] for item in out] == ["reasoning", "function_call"]
    back = request_in.read(open_body(json.dumps({"model": "m", "input": out}).encode(), GUARDED))
    assert back.turns[0].parts == [
        Thinking(signature="sig", origin="anthropic/claude"),
        ToolCall(id="a", name="f", arguments="{}"),
    ]


def test_parallel_tool_calls_survive():
    out = items(
        Text(text="ok"),
        ToolCall(id="a", name="f", arguments='{"b":9007199254740993,"a":1}'),
        ToolCall(id="b", name="g"),
        ToolCall(id="functions.x y:0", name="h", arguments="{}"),
        ToolCall(id="c", name="patch", arguments="*** x", kind="custom"),
        reason="tool",
    )
    assert [(item["type"], item.get("call_id")) for item in out] == [
        ("message", None),
        ("function_call", "a"),
        ("function_call", "b"),
        ("function_call", "blid_ZnVuY3Rpb25zLnggeTow"),
        ("custom_tool_call", "c"),
    ]
    assert out[1]["arguments"] == '{"b":9007199254740993,"a":1}'
    assert out[2]["arguments"] == "{}"
    assert out[4]["input"] == "*** x"


def test_pitfall_05_streamed_arguments_of_interleaved_calls():
    """Chat's calls overlap; here each item is whole before the next begins."""
    out = StreamOut(VIEW)
    events: list[AnyEvent] = [
        Started(),
        Opened(block=0, kind="tool", id="a", name="f"),
        Opened(block=1, kind="tool", id="b", name="g"),
        Delta(block=0, text='{"x"'),
        Delta(block=1, text='{"y":'),
        Delta(block=0, text=":1}"),
        Delta(block=1, text="2}"),
        Closed(block=0),
        Closed(block=1),
        Finished(reason="tool"),
        Ended(),
    ]
    final = check(b"".join([out.write([event]) for event in events]))
    assert final is not None
    assert [item["arguments"] for item in final["output"]] == ['{"x":1}', '{"y":2}']
    assert final["usage"] is None


def test_refusals_citations_and_logprobs_survive():
    native = {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "https://example.org", "title": "t"}
    chats = {"type": "url_citation", "url_citation": {k: native[k] for k in native if k != "type"}}
    anthropics = {"type": "web_search_result_location", "url": "https://example.org", "title": "t", "cited_text": "x"}
    pages = {"type": "page_location", "document_index": 0, "start_page_number": 1}
    logprobs = [{"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": []}]
    for protocol, raw, want in (
        ("responses", native, [native]),
        ("chat", chats, [native]),
        ("messages", anthropics, [native]),
        ("messages", pages, []),
    ):
        cited = Text(text="Hi", citations=(Raw(json.dumps(raw).encode()),), citations_of=protocol)
        [message] = items(cited, Refused(text="no"), logprobs=Raw(json.dumps(logprobs).encode()))
        text, refusal = message["content"]
        assert (text["annotations"], text["logprobs"]) == (want, logprobs)
        assert refusal == {"type": "refusal", "refusal": "no"}


def test_logprobs_that_come_before_the_text_are_not_lost():
    found = items(
        Thinking(text="t"), Text(text="Hi"), logprobs=Raw(b'[{"token":"a","logprob":-1,"bytes":[],"top_logprobs":[]}]')
    )
    assert found[1]["content"][0]["logprobs"][0]["token"] == "a"


def test_pictures_are_results_of_image_generation():
    [item] = items(Media(kind="image", mime="image/png", data="iVBO"))
    assert (item["type"], item["result"], item["status"]) == ("image_generation_call", "iVBO", "completed")
    assert items(Media(kind="audio", mime="audio/wav", data="UklG"), Text(text="x"))[0]["type"] == "message"


@pytest.mark.parametrize(
    ("reason", "status", "incomplete", "message"),
    [
        ("stop", "completed", None, "completed"),
        ("stop_sequence", "completed", None, "completed"),
        ("pause", "completed", None, "completed"),
        ("length", "incomplete", {"reason": "max_output_tokens"}, "incomplete"),
        ("context", "incomplete", {"reason": "max_output_tokens"}, "incomplete"),
        ("filter", "incomplete", {"reason": "content_filter"}, "incomplete"),
        ("error", "failed", None, "completed"),
    ],
)
def test_pitfall_10_stop_reasons(reason: str, status: str, incomplete: dict[str, str] | None, message: str):
    final = check(stream(Text(text="x"), reason=reason))
    assert final is not None
    assert (final["status"], final["incomplete_details"]) == (status, incomplete)
    assert final["output"][0]["status"] == message
    assert (final["error"] is not None) == (status == "failed")


def test_a_call_that_was_cut_off_is_incomplete():
    [item] = items(ToolCall(id="a", name="f", arguments='{"x":'), reason="length")
    assert (item["status"], item["arguments"]) == ("incomplete", '{"x":')


def test_pitfall_24_keep_alives():
    out = StreamOut(VIEW)
    assert out.write([Beat()]) == KEEP_ALIVE
    rest = out.write(unfold(reply(Text(text="x"))))
    assert check(KEEP_ALIVE + rest) is not None


def test_pitfall_20_a_stream_that_fails_ends_with_an_error_and_response_failed():
    out = StreamOut(VIEW)
    events = unfold(reply(ToolCall(id="a", name="f"), Text(text="half")))
    begun = out.write([*events[:6], Counted(meters=METERS)])
    failed = out.fail(Refusal("The provider broke off.", code="provider_error", status=502), "c0ffee")
    assert out.write(events[6:]) == b"", "nothing comes after it"
    assert out.fail(Refusal("again"), "c0ffee") == b""
    final = check(begun + failed)
    assert final is not None
    assert final["status"] == "failed"
    assert final["error"] == {"code": "server_error", "message": "The provider broke off. (call c0ffee)"}
    assert [item["type"] for item in final["output"]] == ["function_call"]
    assert final["usage"]["output_tokens"] == 9
    meter = StreamMeter()
    meter.feed(begun + failed)
    assert (meter.done, bool(meter.error)) == (True, True)
    accumulate(begun + failed)


def test_a_failure_before_anything_is_a_whole_stream():
    out = StreamOut(VIEW)
    final = check(out.fail(Refusal("Too long.", "Shorten it.", code="context_length_exceeded"), ""))
    assert final is not None
    assert final["error"] == {"code": "context_length_exceeded", "message": "Too long. Shorten it."}


def test_only_the_first_choice_is_told():
    out = StreamOut(VIEW)
    events: list[AnyEvent] = [Started(), Opened(choice=1, block=0, kind="text"), Delta(choice=1, block=0, text="no")]
    events += [Closed(choice=1, block=0), Finished(choice=1, reason="length"), Finished(reason="stop"), Ended()]
    final = check(out.write(events))
    assert final is not None
    assert (final["output"], final["status"]) == ([], "completed")


def test_what_is_kept_for_the_terminal_event_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "REPLY_MAX", 10_000)
    out = StreamOut(VIEW)
    out.write([Started(), Opened(block=0, kind="text"), Delta(block=0, text="x" * 9_000)])
    with pytest.raises(ProviderFault) as caught:
        out.write([Delta(block=0, text="x" * 1_000)])
    assert caught.value.fault == "garbage"
    failed = out.fail(Refusal("The reply is too large.", status=502), "c")
    assert failed.startswith(b"event: error\ndata: ")
    assert b"\n\nevent: response.failed\ndata: " in failed
    many = StreamOut(VIEW)
    with pytest.raises(ProviderFault):
        many.write([event for at in range(500) for event in (Opened(block=at, kind="text"), Closed(block=at))])
    signed = StreamOut(VIEW)
    with pytest.raises(ProviderFault):
        signed.write([Opened(block=0, kind="thinking"), Signed(block=0, signature="s" * 20_000)])
    cited = StreamOut(VIEW)
    with pytest.raises(ProviderFault):
        cited.write([Opened(block=0, kind="text"), *[Cited(block=0, protocol="chat", raw=Raw(b"{}"))] * 200])


def test_no_event_waits_for_another():
    out = StreamOut(VIEW)
    for event in unfold(reply(Thinking(text="t"), Text(text="a"), ToolCall(id="c", name="f", arguments="{}"))):
        sent = out.write([event])
        if isinstance(event, Delta | Opened | Ended):
            assert sent, event


# Whole conversations, generated.

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
parts = st.lists(
    st.one_of(
        st.builds(Text, text=words),
        st.builds(Refused, text=words),
        st.builds(Thinking, text=words, signature=words, redacted=st.booleans(), summary=st.booleans()),
        st.builds(
            ToolCall,
            id=st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True),
            name=st.just("f"),
            arguments=st.sampled_from(['{"a":9007199254740993}', "", '{"broken":', "7"]),
        ),
        st.builds(ToolCall, id=words.filter(bool), name=words, arguments=words, kind=st.just("custom")),
        st.builds(Media, kind=st.just("image"), mime=st.just("image/png"), data=st.just("iVBO")),
    ),
    max_size=6,
    unique_by=lambda part: part.id if isinstance(part, ToolCall) else object(),
)
reasons = st.sampled_from(["stop", "length", "tool", "filter", "stop_sequence", "context", "pause"])


def sealed_away(found: list[AnyPart]) -> list[tuple[object, ...]]:
    return [
        (type(part).__name__, getattr(part, "text", getattr(part, "arguments", "")) or "", getattr(part, "id", ""))
        for part in found
        if not isinstance(part, Thinking | Media)
    ]


@settings(max_examples=80, deadline=None)
@given(parts, reasons, st.booleans())
def test_any_answer_is_in_order_and_the_sdk_agrees(said: list[AnyPart], reason: str, show: bool):
    view = View(model="m", id="x", created_s=1, origin="o", show_thinking=show)
    answer = reply(*said, reason=reason)
    sent = StreamOut(view).write(unfold(answer))
    final = check(sent)
    assert final is not None
    theirs = accumulate(sent)
    if final["status"] == "completed":
        assert theirs.output_text == "".join(part.text for part in said if isinstance(part, Text))
        assert [item.id for item in theirs.output] == [item["id"] for item in final["output"]]
    assert json.loads(reply_out.write(answer, view)) == final
    # and our own reader understands what our writer says, streamed and whole, with the same numbers
    back = fold(StreamIn(TARGET).feed(sent))
    whole = reply_in.read(reply_out.write(answer, view), TARGET)
    assert back.meters == whole.meters == METERS
    assert sealed_away(back.answers[0].parts) == sealed_away(whole.answers[0].parts)
    kept = [part for part in said if not (isinstance(part, Text | Refused) and not part.text)]
    told = [(kind, text if kind != "ToolCall" or text.strip() else "{}") for kind, text, _ in sealed_away(kept)]
    heard = [(kind, text) for kind, text, _ in sealed_away(back.answers[0].parts)]
    assert [kind for kind, _ in heard] == [kind for kind, _ in told]


@settings(max_examples=60, deadline=None)
@given(parts, st.data())
def test_how_events_are_grouped_changes_no_byte(said: list[AnyPart], data: st.DataObject):
    events = unfold(reply(*said))
    cut = data.draw(st.integers(0, len(events)))
    out = StreamOut(VIEW)
    assert out.write(events[:cut]) + out.write(events[cut:]) == StreamOut(VIEW).write(events)


def test_a_native_stream_translated_and_back_keeps_its_meaning():
    """Responses -> canonical -> Responses: what a gateway in between does for two dialects."""
    first = fold(StreamIn(TARGET).feed(EVERYTHING))
    sent = StreamOut(VIEW).write(StreamIn(TARGET).feed(EVERYTHING))
    check(sent)
    again = fold(StreamIn(TARGET).feed(sent))
    assert again.meters == first.meters
    assert sealed_away(again.answers[0].parts) == sealed_away(first.answers[0].parts)
    assert bytes(again.answers[0].logprobs) == bytes(first.answers[0].logprobs) != bytes(ABSENT)
    assert bytes(again.answers[0].parts[1].citations[0]) == bytes(first.answers[0].parts[1].citations[0])  # type: ignore[union-attr]
