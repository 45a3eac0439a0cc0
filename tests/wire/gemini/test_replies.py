"""Whole replies, in and out."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target, View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import Media, Refused, Text, Thinking, ToolCall
from baseload.wire.gemini import error_body, reply_in, reply_out
from baseload.wire.refusals import BudgetShort, InvalidKey, ModelNotFound, NoProvider
from tests.wire.gemini.order import check
from tests.wire.gemini.recorded import SIGNATURE, STREAM, USAGE, as_array, piece
from tests.wire.gemini.sdk import Sdk

TARGET = Target(protocol="gemini", dialect="gemini", model="g")
VIEW = View(model="asked", id="call-1", created_s=1, origin="openai/gpt")


def read(body: object) -> Reply:
    return reply_in.read(json.dumps(body).encode(), TARGET)


def test_a_reply():
    reply = read(
        piece(
            {"text": "hm", "thought": True},
            {"text": "hi"},
            {"functionCall": {"id": "x", "name": "f", "args": {"b": 1, "a": 2}}, "thoughtSignature": SIGNATURE},
            finish="STOP",
            usageMetadata=USAGE[1],
        )
    )
    assert (reply.id, reply.model) == ("r_1", "gemini-3-pro-preview")
    assert reply.answers == [
        Answer(
            parts=[
                Thinking(text="hm"),
                Text(text="hi"),
                Thinking(signature=SIGNATURE),
                ToolCall(id="x", name="f", arguments='{"b": 1, "a": 2}'),
            ],
            reason="tool",
            native="STOP",
        )
    ]
    assert reply.meters == {"input_uncached": 24, "cache_read": 16, "output_total": 51, "reasoning": 30}


def test_a_reply_in_the_pieces_of_a_stream():
    reply = reply_in.read(as_array(STREAM), TARGET)
    assert len(reply.answers[0].parts) == 6


def test_pitfall_23_a_blocked_prompt_is_an_answer_without_parts():
    reply = read({"promptFeedback": {"blockReason": "JAILBREAK"}, "usageMetadata": USAGE[0]})
    assert reply.answers == [Answer(parts=[], reason="filter", native="JAILBREAK")]
    assert reply.meters == {"input_uncached": 40, "output_total": 0}


def test_usage_that_is_absent_is_not_zero():
    assert read(piece({"text": "a"}, finish="STOP")).meters is None


def test_a_reply_without_a_finish_reason_is_whole_all_the_same():
    assert read(piece({"text": "a"})).answers[0].reason == "stop"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"candidates":[]}', b'{"error":{"code":500}}', b"7", b"[" * 9999]
)
def test_garbage(body):
    with pytest.raises(ProviderFault) as fault:
        reply_in.read(body, TARGET)
    assert fault.value.fault == "garbage"


def test_several_answers_go_out():
    reply = Reply(
        id="",
        answers=[
            Answer(parts=[Text(text="a"), Refused(text="no"), Media(kind="image", mime="image/png", data="AAAA")]),
            Answer(parts=[], reason="length"),
            Answer(parts=[], reason="filter"),
        ],
        meters={"input_uncached": 1, "output_total": 2},
    )
    body = reply_out.write(reply, VIEW)
    found = json.loads(body)
    check([found])
    assert found["responseId"] == "call-1"
    assert found["modelVersion"] == "asked"
    assert [candidate["index"] for candidate in found["candidates"]] == [0, 1, 2]
    assert [candidate["finishReason"] for candidate in found["candidates"]] == ["STOP", "MAX_TOKENS", "SAFETY"]
    assert found["candidates"][0]["content"]["parts"] == [
        {"text": "a"},
        {"text": "no"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]
    assert "content" not in found["candidates"][2]
    sdk = Sdk(body)
    assert sdk.whole().candidates is not None


def test_invalid_arguments_of_a_model_do_not_crash():
    reply = Reply(answers=[Answer(parts=[ToolCall(id="a", name="f", arguments='{"x": ')], reason="tool")])
    found = json.loads(reply_out.write(reply, VIEW))
    check([found])
    assert found["candidates"][0]["content"]["parts"][0]["functionCall"]["args"] == {"arguments": '{"x": '}


def test_logprobs_and_citations_go_out():
    content = Raw(b'[{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[]}]')
    cited = Raw(b'{"type":"url_citation","url":"https://a.test","start_index":0,"end_index":1,"title":"A"}')
    reply = Reply(
        answers=[Answer(parts=[Text(text="a", citations=(cited,), citations_of="responses")], logprobs=content)]
    )
    candidate = json.loads(reply_out.write(reply, VIEW))["candidates"][0]
    assert candidate["logprobsResult"]["chosenCandidates"] == [{"token": "a", "logProbability": -1.0}]
    assert candidate["citationMetadata"] == {
        "citations": [{"uri": "https://a.test", "title": "A", "startIndex": 0, "endIndex": 1}]
    }


@pytest.mark.parametrize(
    ("refusal", "status", "word"),
    [
        (InvalidKey(), 401, "UNAUTHENTICATED"),
        (BudgetShort("No money."), 429, "RESOURCE_EXHAUSTED"),
        (ModelNotFound("m"), 404, "NOT_FOUND"),
        (NoProvider("m"), 503, "UNAVAILABLE"),
    ],
)
def test_refusals_in_googles_envelope(refusal, status, word):
    from google.genai import errors

    body = error_body(refusal, "c")
    error = json.loads(body)["error"]
    assert (error["code"], error["status"]) == (status, word)
    with pytest.raises(errors.APIError) as raised:
        Sdk(body, status).whole()
    assert (raised.value.code, raised.value.status) == (status, word)
    assert isinstance(raised.value, errors.ServerError if status >= 500 else errors.ClientError)
