"""What the embedded engine answers: the facts that offers, metering and the error table rely on."""

from __future__ import annotations

import http.client
import json

from tests.engines.harness import Engine, health

from baseload.engines.cards import SMOLLM2

HELLO = {"model": "smollm2", "messages": [{"role": "user", "content": "Say hello."}], "temperature": 0}


def test_health_says_when_it_serves(engine: Engine) -> None:
    assert health(engine.port) == 200


def test_chat_answers_and_reports_usage(engine: Engine) -> None:
    status, reply = engine.ask("/v1/chat/completions", {**HELLO, "max_tokens": 8})
    assert status == 200
    assert reply["model"] == SMOLLM2.name
    assert reply["choices"][0]["message"]["content"].startswith("Hello")
    usage = reply["usage"]
    assert usage["completion_tokens"] == 8
    assert usage["total_tokens"] == usage["prompt_tokens"] + 8


def test_a_repeated_prompt_reports_its_cached_tokens(engine: Engine) -> None:
    body = {**HELLO, "messages": [{"role": "user", "content": "Count the pylons of the valley."}], "max_tokens": 1}
    engine.ask("/v1/chat/completions", body)
    usage = engine.ask("/v1/chat/completions", body)[1]["usage"]
    # all but the last token, which is computed again to have something to continue from
    assert usage["prompt_tokens_details"]["cached_tokens"] == usage["prompt_tokens"] - 1


def test_a_chat_stream_reports_usage_in_a_chunk_of_its_own(engine: Engine) -> None:
    body = {**HELLO, "max_tokens": 5, "stream_options": {"include_usage": True}}
    *chunks, last, done = engine.stream("/v1/chat/completions", body)
    assert done == "[DONE]"
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 5
    assert all("usage" not in chunk for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks).startswith("Hello")


def test_a_chat_stream_reports_no_usage_unless_asked(engine: Engine) -> None:
    assert all("usage" not in chunk for chunk in engine.stream("/v1/chat/completions", {**HELLO, "max_tokens": 3})[:-1])


def test_a_completion_stream_always_reports_usage_in_its_last_chunk(engine: Engine) -> None:
    """Asked or not, and in the chunk with the finish reason: it cannot be hidden as a whole frame."""
    *_, last, done = engine.stream("/v1/completions", {"prompt": "The sky is", "max_tokens": 3})
    assert done == "[DONE]"
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["usage"]["completion_tokens"] == 3


def test_several_choices_report_the_usage_of_one(engine: Engine) -> None:
    """Two choices were generated and one is counted: the meter must not take this report for `n` above 1."""
    reply = engine.ask("/v1/chat/completions", {**HELLO, "max_tokens": 3, "n": 2})[1]
    assert len(reply["choices"]) == 2
    assert reply["usage"]["completion_tokens"] == 3


def test_no_tokens_asked_is_one_token_generated_and_reported(engine: Engine) -> None:
    reply = engine.ask("/v1/chat/completions", {**HELLO, "max_tokens": 0})[1]
    assert reply["choices"][0]["message"]["content"] != ""
    assert reply["usage"]["completion_tokens"] == 1


def test_one_server_serves_chat_and_embeddings(engine: Engine) -> None:
    status, reply = engine.ask("/v1/embeddings", {"model": "smollm2", "input": ["a river", "a river", "tax law"]})
    assert status == 200
    first, same, other = (item["embedding"] for item in reply["data"])
    assert len(first) == SMOLLM2.embedding_width
    assert sum(a * b for a, b in zip(first, same, strict=True)) > 0.999  # normalised: the cosine
    assert sum(a * b for a, b in zip(first, other, strict=True)) < 0.95
    assert reply["usage"]["prompt_tokens"] == reply["usage"]["total_tokens"] > 0


def test_a_text_too_long_to_embed_is_an_error_not_a_crash(engine: Engine) -> None:
    status, reply = engine.ask("/v1/embeddings", {"input": "word " * (SMOLLM2.embedding_input_max + 50)})
    assert (status, reply["error"]["type"]) == (500, "server_error")
    assert "too large to process" in reply["error"]["message"]
    assert health(engine.port) == 200


def test_a_prompt_beyond_the_context_is_refused_before_the_stream_starts(engine: Engine) -> None:
    long = {**HELLO, "messages": [{"role": "user", "content": "word " * (SMOLLM2.context_max + 100)}], "stream": True}
    status, reply = engine.ask("/v1/chat/completions", long)
    assert (status, reply["error"]["type"]) == (400, "exceed_context_size_error")
    assert reply["error"]["n_ctx"] == SMOLLM2.context_max  # the whole context for each call, not a share of it
    assert reply["error"]["n_prompt_tokens"] > SMOLLM2.context_max


def test_malformed_requests_get_a_400_in_the_usual_envelope(engine: Engine) -> None:
    for body in (b'{"model":', b"{}", b'{"messages":"hi"}'):
        status, reply = engine.ask("/v1/chat/completions", body)
        assert (status, reply["error"]["type"]) == (400, "invalid_request_error"), body


def test_the_requests_model_name_is_not_checked(engine: Engine) -> None:
    """So the gateway must check it: an unknown model would be answered, and billed, as this one."""
    status, reply = engine.ask("/v1/chat/completions", {**HELLO, "model": "gpt-5", "max_tokens": 1})
    assert (status, reply["model"]) == (200, "smollm2")


def test_tokenize_counts_a_text(engine: Engine) -> None:
    assert engine.ask("/tokenize", {"content": "Hello world"}) == (200, {"tokens": [19556, 905]})


def test_closing_a_stream_frees_its_place(engine: Engine) -> None:
    """The engine stops generating when the client leaves: else two endless replies would block every later call."""
    endless = {**HELLO, "stream": True, "max_tokens": 4000, "ignore_eos": True}
    for _ in range(SMOLLM2.parallel):
        connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=60)
        connection.request("POST", "/v1/chat/completions", json.dumps(endless).encode())
        assert connection.getresponse().readline().startswith(b"data: ")
        connection.close()
    assert engine.ask("/v1/chat/completions", {**HELLO, "max_tokens": 1})[0] == 200


def test_other_peoples_prompts_are_not_shown(engine: Engine) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=5)
    for path in ("/slots", "/"):
        connection.request("GET", path)
        reply = connection.getresponse()
        assert reply.status in (404, 501), path
        reply.read()
        connection.close()


def test_a_web_page_of_another_origin_may_not_read_answers(engine: Engine) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=5)
    connection.request("GET", "/v1/models", headers={"origin": "http://elsewhere.example"})
    assert connection.getresponse().getheader("access-control-allow-origin", "") == ""
