"""Refusals as the official clients of all three vendors read them: the right status and exception, one that names what
to change, and no blind repeats."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types as google_types

from baseload.errors import Refusal
from baseload.wire import refusals
from baseload.wire.canon.carry import Uncarried
from baseload.wire.envelope import (
    error_body,
    error_headers,
    headers,
    openai_error,
    openai_stream_error,
    status_of,
    stream_error,
)

EACH: dict[str, Refusal] = {
    "invalid_api_key": refusals.InvalidKey(),
    "account_disabled": refusals.AccountDisabled("acme"),
    "model_not_allowed": refusals.ModelNotAllowed("gpt"),
    "model_not_found": refusals.ModelNotFound("gpt"),
    "endpoint_not_served": refusals.EndpointNotServed("gpt", "embeddings"),
    "too_many_choices": refusals.TooManyChoices("gpt", 2, 1),
    "unpriced_model": refusals.Unpriced("gpt", "cache_read"),
    "context_length_exceeded": refusals.ContextTooLong(9000, 8192),
    "insufficient_quota": refusals.BudgetShort("Account acme has 1 USD free; this call may cost up to 2 USD."),
    "rate_limit_exceeded": refusals.RateLimited("60 calls a minute are allowed.", 2.5),
    "body_too_large": refusals.BodyTooLarge(1000),
    "head_too_large": refusals.HeadTooLarge(1000),
    "wrong_content_type": refusals.WrongContentType("text/plain"),
    "bad_request": refusals.BadRequest("The chunk size is no number."),
    "request_timeout": refusals.RequestTimeout(30),
    "route_not_found": refusals.RouteNotFound("/v2"),
    "method_not_allowed": refusals.MethodNotAllowed("PUT", "/v1/models", "GET"),
    "call_not_found": refusals.CallNotFound("c1"),
    "previous_response_not_found": refusals.StateNotKept("resp_1"),
    "state_not_supported": refusals.StateUnsupported("gpt", "background"),
    "conversation_not_kept": refusals.ConversationNotKept("conv_1"),
    "response_not_found": refusals.ResponseNotFound("resp_1"),
    "invalid_request": refusals.ProviderRefused("", param="n"),
    "no_provider": refusals.NoProvider("gpt"),
    "overloaded": refusals.NoneNow("gpt", 3.0),
    "funds_unknown": refusals.FundsUnknown("the budget month of account acme"),
    "no_offer_fits": refusals.NoOfferFits("gpt", [("its region is cn, and regions allows eu", 2)]),
    "draining": refusals.Draining(),
}
MORE: dict[str, Refusal] = {  # of other rooms
    "unsupported_after_translation": Uncarried("seed cannot be carried.", "Leave out seed.", param="seed"),
    "provider_timeout": Refusal("Late.", "Again.", code="provider_timeout", status=504, retry_after_s=5),
    "provider_error": Refusal("Broken.", "Again.", code="provider_error", status=502, retry_after_s=5),
    "no_provider_available": Refusal(
        "None.", "Another model.", code="no_provider_available", status=503, retry_after_s=30, should_retry=False
    ),
    "request_too_large": refusals.ProviderRefused("Request exceeds the maximum size", status=413),
}
ALL = EACH | MORE
STATUS = {
    "invalid_api_key": 401,
    "account_disabled": 403,
    "model_not_allowed": 403,
    "model_not_found": 404,
    "endpoint_not_served": 400,
    "too_many_choices": 400,
    "unpriced_model": 400,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "rate_limit_exceeded": 429,
    "body_too_large": 413,
    "head_too_large": 431,
    "wrong_content_type": 415,
    "bad_request": 400,
    "request_timeout": 408,
    "route_not_found": 404,
    "method_not_allowed": 405,
    "call_not_found": 404,
    "previous_response_not_found": 400,
    "state_not_supported": 400,
    "conversation_not_kept": 400,
    "response_not_found": 404,
    "invalid_request": 400,
    "no_provider": 503,
    "overloaded": 503,
    "funds_unknown": 503,
    "no_offer_fits": 400,
    "draining": 503,
}
OPENAI = ("chat", "completions", "embeddings", "responses", "rerank", "images", "speech", "transcriptions", "other")
ANTHROPIC = ("messages", "messages_count")
GEMINI = ("gemini", "gemini_count", "gemini_embed", "gemini_embed_batch")
PROTOCOLS = (*OPENAI, *ANTHROPIC, *GEMINI)


def test_every_refusal_of_the_gateway_is_looked_at_here():
    classes = {cls for _, cls in inspect.getmembers(refusals, inspect.isclass) if issubclass(cls, Refusal)} - {Refusal}
    assert classes == {type(refusal) for refusal in EACH.values()}
    assert EACH.keys() == STATUS.keys()


@pytest.mark.parametrize("code", EACH)
def test_a_refusal_says_what_to_change(code: str):
    refusal = EACH[code]
    assert (refusal.code, refusal.status) == (code, STATUS[code])
    body = json.loads(openai_error(refusal, "call-7"))
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert refusal.fix
    assert body["error"]["message"] == f"{refusal.say} {refusal.fix} (call call-7)"
    assert (body["error"]["code"], body["error"]["param"]) == (code, refusal.param)
    assert body["error"]["type"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", ALL)
def test_every_refusal_has_every_protocols_shape(code: str, protocol: str):
    refusal = ALL[code]
    body = json.loads(error_body(protocol, refusal, "call-7"))
    status = status_of(protocol, refusal)
    assert 400 <= status <= 599
    assert body["error"]["message"].startswith(refusal.say)  # what a program matches comes first
    verbatim = isinstance(refusal, refusals.ProviderRefused) and refusal.verbatim
    assert body["error"]["message"].endswith("(call call-7)") != verbatim
    if protocol in ANTHROPIC:
        assert body["type"] == "error"
        assert body["request_id"] == "call-7"
        assert body["error"]["type"] in TYPES_OF_ANTHROPIC
        assert body["error"]["details"]["error_code"] == refusal.code
    elif protocol in GEMINI:
        assert body["error"]["code"] == status
        assert body["error"]["status"] in WORDS_OF_GOOGLE
        assert body["error"]["details"][0]["metadata"] == {"call": "call-7"}
    else:
        assert status == refusal.status
        assert {"message", "type", "param", "code"} <= set(body["error"])
        assert body["error"]["code"] == refusal.code


TYPES_OF_ANTHROPIC = {
    "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
    "conflict_error", "request_too_large", "rate_limit_error", "api_error", "timeout_error", "overloaded_error",
}  # fmt: skip
WORDS_OF_GOOGLE = {
    "INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "ABORTED", "RESOURCE_EXHAUSTED",
    "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED",
}  # fmt: skip

# The table "What a client must see for the gateway's own refusals" (protocols.md, section 8), row by row:
# code -> (status, type, code) of OpenAI, (status, type) of Anthropic, (status, word) of Gemini.
MUST_SEE = {
    "invalid_api_key": (
        (401, "invalid_request_error", "invalid_api_key"),
        (401, "authentication_error"),
        (401, "UNAUTHENTICATED"),
    ),
    "insufficient_quota": (
        (429, "insufficient_quota", "insufficient_quota"),
        (402, "billing_error"),
        (429, "RESOURCE_EXHAUSTED"),
    ),
    "rate_limit_exceeded": (
        (429, "rate_limit_exceeded", "rate_limit_exceeded"),
        (429, "rate_limit_error"),
        (429, "RESOURCE_EXHAUSTED"),
    ),
    "model_not_found": (
        (404, "invalid_request_error", "model_not_found"),
        (404, "not_found_error"),
        (404, "NOT_FOUND"),
    ),
    "context_length_exceeded": (
        (400, "invalid_request_error", "context_length_exceeded"),
        (400, "invalid_request_error"),
        (400, "INVALID_ARGUMENT"),
    ),
    "no_provider": ((503, "server_error", "no_provider"), (529, "overloaded_error"), (503, "UNAVAILABLE")),
    "no_provider_available": (
        (503, "server_error", "no_provider_available"),
        (529, "overloaded_error"),
        (503, "UNAVAILABLE"),
    ),
    "funds_unknown": ((503, "server_error", "funds_unknown"), (529, "overloaded_error"), (503, "UNAVAILABLE")),
    "overloaded": ((503, "server_error", "overloaded"), (529, "overloaded_error"), (503, "UNAVAILABLE")),
    "unsupported_after_translation": (
        (400, "invalid_request_error", "unsupported_after_translation"),
        (400, "invalid_request_error"),
        (400, "INVALID_ARGUMENT"),
    ),
    "body_too_large": (
        (413, "invalid_request_error", "body_too_large"),
        (413, "request_too_large"),
        (413, "INVALID_ARGUMENT"),
    ),
    "request_too_large": (
        (413, "invalid_request_error", "invalid_request"),
        (413, "request_too_large"),
        (413, "INVALID_ARGUMENT"),
    ),
    "provider_timeout": (
        (504, "server_error", "provider_timeout"),
        (504, "timeout_error"),
        (504, "DEADLINE_EXCEEDED"),
    ),
    "provider_error": ((502, "server_error", "provider_error"), (502, "api_error"), (502, "UNAVAILABLE")),
    "account_disabled": (
        (403, "permission_error", "account_disabled"),
        (403, "permission_error"),
        (403, "PERMISSION_DENIED"),
    ),
}


@pytest.mark.parametrize("code", MUST_SEE)
def test_what_a_client_must_see(code: str):
    refusal = ALL[code]
    chat = json.loads(error_body("chat", refusal, ""))["error"]
    messages = json.loads(error_body("messages", refusal, ""))["error"]
    gemini = json.loads(error_body("gemini", refusal, ""))["error"]
    assert (
        (status_of("chat", refusal), chat["type"], chat["code"]),
        (status_of("messages", refusal), messages["type"]),
        (status_of("gemini", refusal), gemini["status"]),
    ) == MUST_SEE[code]


def test_a_translation_that_loses_something_names_the_member():
    refusal = MORE["unsupported_after_translation"]
    assert json.loads(error_body("responses", refusal, ""))["error"]["param"] == "seed"
    details = json.loads(error_body("gemini", refusal, ""))["error"]["details"]
    assert {"field": "seed", "description": "seed cannot be carried."} in details[1]["fieldViolations"]


def test_a_rate_limit_of_gemini_says_when_in_the_details():
    def delays(refusal: Refusal) -> list[str]:
        details = json.loads(error_body("gemini", refusal, ""))["error"]["details"]
        return [item["retryDelay"] for item in details if item["@type"] == "type.googleapis.com/google.rpc.RetryInfo"]

    assert delays(EACH["rate_limit_exceeded"]) == ["3s"]
    assert delays(EACH["no_provider"]) == ["1s"]
    assert delays(EACH["insufficient_quota"]) == []  # no time brings money
    assert delays(MORE["no_provider_available"]) == []


@pytest.mark.parametrize(
    ("code", "want"),
    [
        ("invalid_api_key", []),
        ("insufficient_quota", [("x-should-retry", "false")]),
        ("rate_limit_exceeded", [("retry-after", "3")]),
        ("no_provider", [("retry-after", "1"), ("x-should-retry", "true")]),
    ],
)
def test_whether_and_when_a_client_repeats(code: str, want: list[tuple[str, str]]):
    assert headers(EACH[code]) == want
    for protocol in (*OPENAI, *GEMINI):
        assert error_headers(protocol, EACH[code], "call-7") == want
    assert error_headers("messages", EACH[code], "call-7") == [*want, ("request-id", "call-7")]
    assert error_headers("messages", EACH[code]) == want


WORDS = "prompt is too long: 210000 tokens > 200000 maximum"
TOLD = refusals.ProviderRefused(
    WORDS, code="context_length_exceeded", provider_type="invalid_request_error", provider_code="input_too_long"
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_providers_own_words_stand_alone(protocol: str):
    """Agents parse them to the end; the call's id is elsewhere."""
    assert json.loads(error_body(protocol, TOLD, "call-7"))["error"]["message"] == WORDS
    frame = stream_error(protocol, TOLD, "call-7")
    assert json.loads(frame.split(b"data: ")[1])["error"]["message"] == WORDS


def test_a_providers_own_code_has_a_field():
    chat = json.loads(error_body("chat", TOLD, ""))["error"]
    assert chat["code"] == "context_length_exceeded"
    assert chat["provider_error"] == {"type": "invalid_request_error", "code": "input_too_long"}
    exact = refusals.ProviderRefused("no", provider_code="unsupported_value")
    assert json.loads(error_body("responses", exact, ""))["error"]["code"] == "unsupported_value"
    assert json.loads(error_body("messages", TOLD, ""))["error"]["details"] == {"error_code": "input_too_long"}
    details = json.loads(error_body("gemini", TOLD, ""))["error"]["details"]
    assert details[0]["metadata"] == {"providerCode": "input_too_long"}
    assert details[0]["reason"] == "CONTEXT_LENGTH_EXCEEDED"


def test_the_gateways_own_context_limit_speaks_the_words_that_agents_know():
    message = json.loads(error_body("messages", EACH["context_length_exceeded"], "c"))["error"]["message"]
    assert message.startswith("prompt is too long: 9000 tokens > 8192 maximum")
    assert "maximum context length is 8192 tokens" in message


def test_the_route_that_is_not_there_names_those_that_are():
    fix = EACH["route_not_found"].fix
    for route in (
        "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", ":generateContent",
        ":streamGenerateContent", ":countTokens", ":embedContent", ":batchEmbedContents", "/v1/completions",
        "/v1/embeddings", "/v1/rerank", "/v1/images/generations", "/v1/audio/speech", "/v1/audio/transcriptions",
        "/v1/models",
    ):  # fmt: skip
        assert route in fix


# --- the official clients

_BY_STATUS: dict[int, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
}
_OPENAI_CLASS = _BY_STATUS | {502: "InternalServerError", 503: "InternalServerError", 504: "InternalServerError"}
_ANTHROPIC_CLASS = _BY_STATUS | {
    402: "PaymentRequiredError",
    408: "RequestTimeoutError",
    413: "ContentTooLargeError",
    431: "RequestHeaderFieldsTooLargeError",
    502: "InternalServerError",
    504: "GatewayTimeoutError",
    529: "OverloadedError",
}


def answering(lib: Any, status: int, sent: list[tuple[str, str]], body: bytes) -> tuple[Any, list[Any]]:
    """A client of `lib` (httpx or httpx2) without a network, and the requests it made."""
    seen: list[Any] = []

    def answer(request: Any) -> Any:
        seen.append(request)
        return lib.Response(status, headers=sent, content=body)

    return lib.Client(transport=lib.MockTransport(answer)), seen


def openai_client(http: Any, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url="http://gateway.invalid/v1", http_client=http, max_retries=retries)


def anthropic_client(http: Any, retries: int = 0) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", base_url="http://gateway.invalid", http_client=http, max_retries=retries)


def google_client(http: Any) -> genai.Client:
    options = google_types.HttpOptions(base_url="http://gateway.invalid", httpx_client=http)
    return genai.Client(api_key="k", http_options=options)


OPENAI_CALLS: dict[str, Callable[[openai.OpenAI], object]] = {
    "chat": lambda made: made.chat.completions.create(model="m", messages=[]),
    "completions": lambda made: made.completions.create(model="m", prompt="x"),
    "embeddings": lambda made: made.embeddings.create(model="m", input="x"),
    "responses": lambda made: made.responses.create(model="m", input="x"),
}


@pytest.mark.parametrize("protocol", OPENAI_CALLS)
@pytest.mark.parametrize("code", ALL)
def test_openais_client_raises_its_own_exception(code: str, protocol: str):
    refusal = ALL[code]
    status = status_of(protocol, refusal)
    body = error_body(protocol, refusal, "call-7")
    http, _ = answering(httpx, status, error_headers(protocol, refusal, "call-7"), body)
    with pytest.raises(openai.APIStatusError) as caught:
        OPENAI_CALLS[protocol](openai_client(http))
    assert type(caught.value).__name__ == _OPENAI_CLASS.get(status, "APIStatusError")
    assert caught.value.code == refusal.code
    assert refusal.say in str(caught.value)


@pytest.mark.parametrize("code", ALL)
def test_anthropics_client_raises_its_own_exception(code: str):
    refusal = ALL[code]
    status = status_of("messages", refusal)
    body = error_body("messages", refusal, "call-7")
    http, _ = answering(httpx2, status, error_headers("messages", refusal, "call-7"), body)
    for call in (
        lambda made: made.messages.create(model="m", max_tokens=1, messages=[]),
        lambda made: made.messages.count_tokens(model="m", messages=[]),
    ):
        with pytest.raises(anthropic.APIStatusError) as caught:
            call(anthropic_client(http))
        assert type(caught.value).__name__ == _ANTHROPIC_CLASS.get(status, "APIStatusError")
        assert caught.value.type in TYPES_OF_ANTHROPIC
        assert caught.value.error_code == refusal.code
        assert caught.value.request_id == "call-7"
        assert (caught.value.api_message or "").startswith(refusal.say)


@pytest.mark.parametrize("code", ALL)
def test_googles_client_raises_its_own_exception(code: str):
    refusal = ALL[code]
    status = status_of("gemini", refusal)
    http, _ = answering(httpx, status, error_headers("gemini", refusal), error_body("gemini", refusal, "call-7"))
    client = google_client(http)
    for call in (
        lambda: client.models.generate_content(model="m", contents="x"),
        lambda: list(client.models.generate_content_stream(model="m", contents="x")),
        lambda: client.models.count_tokens(model="m", contents="x"),
        lambda: client.models.embed_content(model="m", contents="x"),
    ):
        with pytest.raises(google_errors.APIError) as caught:
            call()
        assert type(caught.value) is (google_errors.ClientError if status < 500 else google_errors.ServerError)
        assert caught.value.code == status
        assert caught.value.status in WORDS_OF_GOOGLE
        assert (caught.value.message or "").startswith(refusal.say)


def test_anthropics_client_has_a_class_for_the_providers_own_code():
    refusal = refusals.ProviderRefused("no", provider_type="rate_limit_error", provider_code="organization_on_hold")
    http, _ = answering(httpx2, 400, [], error_body("messages", refusal, ""))
    with pytest.raises(anthropic.BadRequestError) as caught:
        anthropic_client(http).messages.create(model="m", max_tokens=1, messages=[])
    assert type(caught.value).__name__ == "OrganizationOnHoldError"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_api_key", openai.AuthenticationError),
        ("model_not_allowed", openai.PermissionDeniedError),
        ("model_not_found", openai.NotFoundError),
        ("unpriced_model", openai.BadRequestError),
        ("insufficient_quota", openai.RateLimitError),
        ("no_provider_available", openai.InternalServerError),
        ("previous_response_not_found", openai.BadRequestError),
    ],
)
def test_openais_client_does_not_repeat_what_no_repeat_helps(code: str, kind: type[Exception]):
    """Two of these are a 429 and a 5xx, which it would repeat by itself and pay twice for."""
    refusal = ALL[code]
    http, seen = answering(httpx, refusal.status, error_headers("chat", refusal), error_body("chat", refusal, "c"))
    with pytest.raises(kind):
        openai_client(http, retries=1).chat.completions.create(model="m", messages=[])
    assert len(seen) == 1


@pytest.mark.parametrize("code", ["insufficient_quota", "no_provider_available", "invalid_api_key"])
def test_anthropics_client_does_not_repeat_what_no_repeat_helps(code: str):
    refusal = ALL[code]
    status = status_of("messages", refusal)
    http, seen = answering(httpx2, status, error_headers("messages", refusal), error_body("messages", refusal, "c"))
    with pytest.raises(anthropic.APIStatusError):
        anthropic_client(http, retries=1).messages.create(model="m", max_tokens=1, messages=[])
    assert len(seen) == 1


def test_the_official_clients_repeat_where_a_repeat_can_help():
    refusal = refusals.Draining()
    refusal.retry_after_s = 0  # else the clients would sleep a whole second here
    assert ("retry-after", "0") in error_headers("chat", refusal)
    http, seen = answering(httpx, 503, error_headers("chat", refusal), error_body("chat", refusal, "c"))
    with pytest.raises(openai.InternalServerError):
        openai_client(http, retries=1).chat.completions.create(model="m", messages=[])
    assert len(seen) == 2
    http, seen = answering(httpx2, 529, error_headers("messages", refusal), error_body("messages", refusal, "c"))
    with pytest.raises(anthropic.OverloadedError):
        anthropic_client(http, retries=1).messages.create(model="m", max_tokens=1, messages=[])
    assert len(seen) == 2


# --- inside a stream

SSE = [("content-type", "text/event-stream")]
CUT = Refusal('The provider "x" stopped.', "Send again.", code="upstream_cut", status=502)


def test_openais_client_raises_on_an_error_inside_a_stream():
    first = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    for frame in (openai_stream_error('The provider "x" stopped.', "upstream_cut"), stream_error("chat", CUT, "c")):
        http, _ = answering(httpx, 200, SSE, first + frame)
        texts = []
        with pytest.raises(openai.APIError, match="stopped") as caught:  # noqa: PT012 - the loop is what raises
            for chunk in openai_client(http).chat.completions.create(model="m", messages=[], stream=True):
                texts.append(chunk.choices[0].delta.content)
        assert (texts, caught.value.code) == (["a"], "upstream_cut")


def test_openais_client_raises_on_an_error_inside_a_stream_of_responses():
    delta = {"type": "response.output_text.delta", "delta": "a", "item_id": "m", "output_index": 0, "content_index": 0}
    first = f"event: response.output_text.delta\ndata: {json.dumps(delta | {'sequence_number': 0, 'logprobs': []})}\n\n"
    http, _ = answering(httpx, 200, SSE, first.encode() + stream_error("responses", CUT, "c", 1))
    texts = []
    with pytest.raises(openai.APIError, match="stopped") as caught:  # noqa: PT012
        for event in openai_client(http).responses.create(model="m", input="x", stream=True):
            assert event.type == "response.output_text.delta"
            texts.append(event.delta)
    assert (texts, caught.value.code) == (["a"], "upstream_cut")


def test_an_error_event_of_responses_has_the_members_of_the_reference():
    frame = stream_error("responses", CUT, "call-7", 41)
    kind, _, data = frame.partition(b"\n")
    assert kind == b"event: error"
    event = json.loads(data.removeprefix(b"data: "))
    assert (event["type"], event["code"], event["param"], event["sequence_number"]) == (
        "error",
        "upstream_cut",
        None,
        41,
    )
    assert event["message"] == 'The provider "x" stopped. Send again. (call call-7)'
    assert event["error"]["message"] == event["message"]


def test_anthropics_client_raises_on_an_error_inside_a_stream():
    start = {
        "type": "message_start",
        "message": {
            "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
            "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    }  # fmt: skip
    first = f"event: message_start\ndata: {json.dumps(start)}\n\n".encode()
    for refusal, kind in ((CUT, "api_error"), (EACH["draining"], "overloaded_error"), (TOLD, "invalid_request_error")):
        http, _ = answering(httpx2, 200, SSE, first + stream_error("messages", refusal, "call-7"))
        events = []
        with pytest.raises(anthropic.APIStatusError) as caught:  # noqa: PT012
            for event in anthropic_client(http).messages.create(model="m", max_tokens=1, messages=[], stream=True):
                events.append(event.type)
        assert events == ["message_start"]
        assert caught.value.type == kind
        assert refusal.say in (caught.value.api_message or "")


def test_googles_client_raises_on_an_error_inside_a_stream():
    first = b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]}}]}\n\n'
    http, _ = answering(httpx, 200, SSE, first + stream_error("gemini", EACH["no_provider"], "call-7"))
    texts = []
    with pytest.raises(google_errors.ServerError) as caught:  # noqa: PT012
        for chunk in google_client(http).models.generate_content_stream(model="m", contents="x"):
            texts.append(chunk.text)
    assert texts == ["a"]
    assert caught.value.code == 503


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", ALL)
def test_a_frame_is_one_sse_event_of_one_line(code: str, protocol: str):
    frame = stream_error(protocol, ALL[code], "call-7", 3)
    assert frame.endswith(b"\n\n")
    lines = frame[:-2].split(b"\n")
    assert len(lines) == (2 if protocol in (*ANTHROPIC, "responses") else 1)
    assert lines[-1].startswith(b"data: {")
    assert json.loads(lines[-1][6:])["error"]


def test_a_clients_own_words_are_bounded_and_printable_in_a_message():
    message = str(refusals.ModelNotFound("x\r\n\x1b[31m" + "y" * 10_000))
    assert len(message) < 300
    assert message.isprintable()
    for refusal in (
        refusals.StateNotKept("r" * 10_000),
        refusals.ResponseNotFound("\r\n" * 100),
        refusals.ConversationNotKept("c" * 10_000),
    ):
        assert len(str(refusal)) < 500
        assert str(refusal).isprintable()


def test_another_accounts_reply_is_unknown_in_the_words_for_none_at_all():
    """The refusal takes no more than the id: nothing can tell a caller whether one that is not its own exists."""
    assert list(inspect.signature(refusals.StateNotKept).parameters) == ["response_id"]
    assert "account" not in refusals.StateNotKept("resp_1").say
