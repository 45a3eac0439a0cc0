"""A provider's failure is the exception that the client's own library has for it, and names nobody's account.

What may be repeated is repeated by the libraries, and only that.
"""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google

from tests.clients.asks import ASKS
from tests.clients.grid import DOORS, NAMES, Grid
from tests.vendors import Fault, kinds
from tests.vendors.failures import ENDPOINTS, failure

HELLO = "hello there"
OVERLOADED = 529  # what Anthropic's clients know as "come back later"
# a class of failure -> exceptions of openai and anthropic, statuses there and at Google
FAILURES: dict[str, tuple[type[openai.APIStatusError], type[anthropic.APIStatusError], int, int, int]] = {
    "bad_request": (openai.BadRequestError, anthropic.BadRequestError, 400, 400, 400),
    "too_long": (openai.BadRequestError, anthropic.BadRequestError, 400, 400, 400),
    "filtered": (openai.BadRequestError, anthropic.BadRequestError, 400, 400, 400),
    "rate_limited": (openai.RateLimitError, anthropic.RateLimitError, 429, 429, 429),
    "bad_key": (openai.InternalServerError, anthropic.InternalServerError, 503, OVERLOADED, 503),
    "no_money": (openai.InternalServerError, anthropic.InternalServerError, 503, OVERLOADED, 503),
    "not_found": (openai.InternalServerError, anthropic.InternalServerError, 503, OVERLOADED, 503),
    "overloaded": (openai.InternalServerError, anthropic.InternalServerError, 503, OVERLOADED, 503),
}
FILTER_IN_REPLY = ("anthropic", "gemini", "vertex", "bedrock")  # theirs is no failure: test_finishes.py


def documented(name: str, kind: str) -> list[str]:
    """The faces of a class of failure at a door, as its vendor documents them."""
    vendor, door, _ = DOORS[name]
    if kind == "filtered" and vendor in FILTER_IN_REPLY:
        return []
    known = ENDPOINTS[door] if door in ENDPOINTS else kinds(vendor)
    return [each for each in known if each.partition("/")[0] == kind]


CASES = [(name, kind, face) for name in NAMES for kind in FAILURES for face in documented(name, kind)]


@pytest.mark.parametrize(("name", "kind", "face"), CASES, ids=[f"{name}-{face}" for name, _, face in CASES])
def test_a_failure_is_the_librarys_own_exception(grid: Grid, name: str, kind: str, face: str):
    for_openai, for_anthropic, status, status_anthropic, status_google = FAILURES[kind]
    vendor = grid.vendors[name]
    said = failure(DOORS[name][0], face, DOORS[name][1])[1].decode()
    for client, ask in ASKS.items():
        for stream in (False, True):
            vendor.script(face)
            if client == "gemini":
                with pytest.raises(google.APIError) as at_google:
                    ask(grid, name, HELLO, stream=stream)
                assert at_google.value.code == status_google
                assert isinstance(at_google.value, google.ClientError if status_google < 500 else google.ServerError)
                told = str(at_google.value)
            elif client == "messages":
                with pytest.raises(for_anthropic) as at_anthropic:
                    ask(grid, name, HELLO, stream=stream)
                assert at_anthropic.value.status_code == status_anthropic
                told = str(at_anthropic.value)
            else:
                with pytest.raises(for_openai) as at_openai:
                    ask(grid, name, HELLO, stream=stream)
                assert type(at_openai.value) is for_openai
                assert at_openai.value.status_code == status
                told = str(at_openai.value)
            assert "sk-provider" not in told
            if kind in ("bad_key", "no_money"):
                assert not any(word in told for word in ("arrears", "Spend limit", "API key not valid", "Insufficient"))
            if face == "too_long" and "prompt is too long" in said:
                assert "prompt is too long: 210000 tokens > 200000 maximum" in told  # its clients match the wording


SECRETS = {
    "organization": "org-AbCdEfGh12345678",
    "project": "proj_Zx9Yw8Vu7Ts6Rq5P",
    "key": "sk-proj-aBcDeFgHiJkLmNoP1234",
    "person": "jane.doe@provider.example",
    "cloud account": "arn:aws:iam::123456789012:role/operator",
    "Google project": "projects/my-secret-project-1/locations/global",
}
NAMING = "temperature is wrong: " + ", ".join(f"{what} {secret}" for what, secret in SECRETS.items())


def naming(name: str) -> bytes:
    """A refusal of the request, in its vendor's form, with names in it that are nobody's business."""
    status, body, _ = failure(DOORS[name][0], "bad_request", DOORS[name][1])
    assert status == 400
    value = json.loads(body)
    holder = value.get("error", value)
    holder["message"] = NAMING
    return json.dumps(value).encode()


@pytest.mark.parametrize("client", ASKS)
@pytest.mark.parametrize("name", NAMES)
def test_no_upstream_account_is_named(grid: Grid, name: str, client: str):
    _, _, more = failure(DOORS[name][0], "bad_request", DOORS[name][1])
    grid.vendors[name].script(Fault(status=400, body=naming(name), headers=more))
    with pytest.raises((openai.BadRequestError, anthropic.BadRequestError, google.ClientError)) as refused:
        ASKS[client](grid, name, HELLO)
    told = str(refused.value)
    assert "temperature is wrong" in told
    for secret in SECRETS.values():
        assert secret not in told
    assert "my-secret-project-1" not in told
    assert "123456789012" not in told


BREAKS = {"an error": Fault(error_after=2), "cut": Fault(cut_at=900)}
# DeepSeek says it by a finish reason, which its own clients read where it is forwarded; Gemini has a word for it.
TOLD_BY_FINISH = {("deepseek", "chat"): "insufficient_system_resource", ("deepseek", "gemini"): "OTHER"}


@pytest.mark.parametrize("client", ASKS)
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in NAMES for kind in BREAKS])
def test_a_stream_that_breaks_raises_and_never_ends_well(grid: Grid, name: str, kind: str, client: str):
    fault = BREAKS[kind]
    if kind == "an error" and (name, client) in TOLD_BY_FINISH:
        grid.vendors[name].script(fault)
        assert ASKS[client](grid, name, "words=200", stream=True).finish == TOLD_BY_FINISH[name, client]
        return
    grid.vendors[name].script(fault)
    with pytest.raises((openai.APIError, anthropic.APIStatusError, google.APIError)) as broken:
        ASKS[client](grid, name, "words=200", stream=True)
    assert "sk-provider" not in str(broken.value)


def slow_down(name: str) -> Fault:
    """A rate limit as the vendor says it, and that it is over soon."""
    status, body, more = failure(DOORS[name][0], "rate_limited", DOORS[name][1])
    kept = [(header, value) for header, value in more if not header.startswith("retry-after")]
    body = body.replace(b'"37s"', b'"0.1s"')
    return Fault(status=status, body=body, headers=(*kept, ("retry-after", "0"), ("retry-after-ms", "10")))


# few: a library waits for a second before it repeats
REPEATS = [
    ("chat", "chat", True), ("messages", "chat", False), ("responses", "responses", True),
    ("chat", "responses", False), ("messages", "messages", True), ("converse", "messages", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "client", "stream"), REPEATS)
def test_the_libraries_repeat_what_may_be_repeated(grid: Grid, name: str, client: str, stream: bool):
    vendor = grid.vendors[name]
    before = len(vendor.requests)
    vendor.script(slow_down(name))
    assert ASKS[client](grid, name, HELLO, stream=stream, retries=2).text == f"echo {HELLO}"
    assert len(vendor.requests) == before + 2


@pytest.mark.parametrize("kind", ["bad_request", "bad_key", "no_money", "too_long", "not_found"])
@pytest.mark.parametrize("client", ["chat", "responses", "messages"])
def test_they_do_not_repeat_what_no_repeat_helps(grid: Grid, client: str, kind: str):
    """Three of these are 503 for a client, which a library repeats unless `x-should-retry` says no."""
    for name in ("chat", "messages", "gemini", "converse"):
        if not documented(name, kind):
            continue
        vendor = grid.vendors[name]
        before = len(vendor.requests)
        vendor.script(kind)
        with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as refused:
            ASKS[client](grid, name, HELLO, retries=2)
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert len(vendor.requests) == before + 1


def test_a_wrong_key_is_each_librarys_authentication_error(grid: Grid):
    wrong: Any = "sk-bl-wrongwrongwrongwrongwrongwrongwr"
    with pytest.raises(openai.AuthenticationError):
        grid.openai().with_options(api_key=wrong).chat.completions.create(
            model="chat", messages=[{"role": "user", "content": HELLO}]
        )
    with pytest.raises(anthropic.AuthenticationError):
        grid.anthropic().with_options(api_key=wrong).messages.create(
            model="messages", max_tokens=9, messages=[{"role": "user", "content": HELLO}]
        )


@pytest.mark.parametrize("client", ASKS)
def test_an_unknown_model_is_each_librarys_not_found(grid: Grid, client: str):
    with pytest.raises((openai.NotFoundError, anthropic.NotFoundError, google.ClientError)) as refused:
        ASKS[client](grid, "no-such-model", HELLO)
    assert "no-such-model" in str(refused.value)
