"""Refusals as OpenAI's clients read them: the right status, one that names what to change, and no blind repeats."""

from __future__ import annotations

import inspect
import json

import httpx
import openai
import pytest

from baseload.errors import Refusal
from baseload.wire import refusals
from baseload.wire.envelope import headers, openai_error, openai_stream_error

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
    "draining": refusals.Draining(),
}
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
    "draining": 503,
}


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


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_api_key", "invalid_request_error"),
        ("insufficient_quota", "insufficient_quota"),
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("model_not_found", "invalid_request_error"),
        ("context_length_exceeded", "invalid_request_error"),
        ("no_provider", "server_error"),
    ],
)
def test_types_as_openai_names_them(code: str, kind: str):
    assert json.loads(openai_error(EACH[code], ""))["error"]["type"] == kind


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


def client(refusal: Refusal) -> tuple[openai.OpenAI, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(refusal.status, headers=headers(refusal), content=openai_error(refusal, "c"))

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway.invalid/v1", http_client=http, max_retries=1), seen


@pytest.mark.parametrize(
    ("code", "kind", "calls"),
    [
        ("invalid_api_key", openai.AuthenticationError, 1),
        ("model_not_allowed", openai.PermissionDeniedError, 1),
        ("model_not_found", openai.NotFoundError, 1),
        ("unpriced_model", openai.BadRequestError, 1),
        ("insufficient_quota", openai.RateLimitError, 1),
    ],
)
def test_the_official_client_raises_the_right_exception_and_does_not_repeat(
    code: str, kind: type[Exception], calls: int
):
    """Two of these are a 429 and a 5xx, which it would repeat by itself and pay twice for."""
    made, seen = client(EACH[code])
    with pytest.raises(kind) as caught:
        made.chat.completions.create(model="m", messages=[])
    assert isinstance(caught.value, openai.APIStatusError)
    assert (caught.value.code, len(seen)) == (code, calls)
    assert EACH[code].fix in str(caught.value)


def test_the_official_client_repeats_where_a_repeat_can_help():
    refusal = refusals.Draining(retry_after_s=0.01)
    refusal.retry_after_s = None  # else the client would sleep a whole second here
    made, seen = client(refusal)
    with pytest.raises(openai.InternalServerError):
        made.chat.completions.create(model="m", messages=[])
    assert len(seen) == 2


def test_the_official_client_raises_on_an_error_inside_a_stream():
    whole = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n' + openai_stream_error(
        'The provider "x" stopped.', "upstream_cut"
    )
    http = httpx.Client(
        transport=httpx.MockTransport(
            lambda _: httpx.Response(200, headers={"content-type": "text/event-stream"}, content=whole)
        )
    )
    made = openai.OpenAI(api_key="k", base_url="http://gateway.invalid/v1", http_client=http)
    texts = []
    with pytest.raises(openai.APIError, match="stopped") as caught:  # noqa: PT012 - the loop is what raises
        for chunk in made.chat.completions.create(model="m", messages=[], stream=True):
            texts.append(chunk.choices[0].delta.content)
    assert (texts, caught.value.code) == (["a"], "upstream_cut")


def test_a_clients_own_words_are_bounded_and_printable_in_a_message():
    message = str(refusals.ModelNotFound("x\r\n\x1b[31m" + "y" * 10_000))
    assert len(message) < 300
    assert message.isprintable()
