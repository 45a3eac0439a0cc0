"""The gateway's own refusals, each with its code and what to change. `envelope.py` writes them for a client.

Codes never change once released. A status decides the exception class of the official client libraries, and whether
they repeat a call by themselves (408, 409, 429 and 5xx, unless `should_retry` says otherwise).
"""

from __future__ import annotations

from baseload.errors import Refusal


class InvalidKey(Refusal):
    code, status = "invalid_api_key", 401

    def __init__(self, say: str = "") -> None:
        super().__init__(
            say or "The request carries no key that this gateway knows.",
            "Send a key made with `baseload keys create` as: Authorization: Bearer KEY.",
        )


class AccountDisabled(Refusal):
    code, status = "account_disabled", 403

    def __init__(self, account: str) -> None:
        super().__init__(f"Account {account} is disabled.", "Ask whoever runs this gateway to enable it.")


class ModelNotAllowed(Refusal):
    code, status = "model_not_allowed", 403

    def __init__(self, model: str) -> None:
        super().__init__(
            f"This key may not use model {_short(model)}.",
            "Use a model of GET /v1/models, or another key.",
            param="model",
        )


class ModelNotFound(Refusal):
    code, status = "model_not_found", 404

    def __init__(self, model: str) -> None:
        super().__init__(
            f"There is no model {_short(model)} here.", "GET /v1/models lists the models of this key.", param="model"
        )


class EndpointNotServed(Refusal):
    code, status = "endpoint_not_served", 400

    def __init__(self, model: str, endpoint: str) -> None:
        super().__init__(
            f"Model {_short(model)} does not serve {endpoint}.",
            "Use another endpoint, or a model that serves this one.",
            param="model",
        )


class TooManyChoices(Refusal):
    """Some engines report usage for one choice only, whatever number they generate: that could not be billed."""

    code, status = "too_many_choices", 400

    def __init__(self, model: str, asked: int, limit: int) -> None:
        super().__init__(
            f"Model {_short(model)} serves {limit} choice or prompt a call; {asked} were asked for.",
            "Send as many calls instead.",
            param="n",
        )


class Unpriced(Refusal):
    code, status = "unpriced_model", 400

    def __init__(self, model: str, missing: str = "") -> None:
        what = f" ({missing})" if missing else ""
        super().__init__(
            f"Model {_short(model)} has no price in force{what}; nothing is served without one.",
            "Whoever runs this gateway can see what is missing with `baseload prices check`.",
            param="model",
        )


class ContextTooLong(Refusal):
    code, status = "context_length_exceeded", 400

    def __init__(self, needs: int, limit: int, param: str = "messages") -> None:
        super().__init__(
            f"The call needs about {needs} tokens; the model takes {limit}.",
            "Shorten the input or lower max_tokens.",
            param=param,
        )


class BudgetShort(Refusal):
    """429 because OpenAI's libraries know `insufficient_quota` under it; they are told not to repeat it."""

    code, status = "insufficient_quota", 429

    def __init__(self, say: str, fix: str = "") -> None:
        super().__init__(say, fix or "Lower max_tokens, or have the account's budget raised.", should_retry=False)


class RateLimited(Refusal):
    code, status = "rate_limit_exceeded", 429

    def __init__(self, say: str, retry_after_s: float) -> None:
        super().__init__(say, f"Repeat in {retry_after_s:.0f} s, or send fewer calls.", retry_after_s=retry_after_s)


class BodyTooLarge(Refusal):
    code, status = "body_too_large", 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.", "Send a smaller body, or have the limit raised.")


class HeadTooLarge(Refusal):
    code, status = "head_too_large", 431

    def __init__(self, limit: int) -> None:
        super().__init__(f"The request's head is larger than {limit} bytes.", "Send fewer or shorter headers.")


class WrongContentType(Refusal):
    code, status = "wrong_content_type", 415

    def __init__(self, got: str = "") -> None:
        found = f"content-type is {_short(got)}" if got else "There is no content-type"
        super().__init__(f"{found}; this endpoint takes JSON.", "Send: content-type: application/json.")


class BadRequest(Refusal):
    """The HTTP request itself is broken."""

    code, status = "bad_request", 400

    def __init__(self, say: str, fix: str = "Send a well-formed HTTP/1.1 request.") -> None:
        super().__init__(say, fix)


class RequestTimeout(Refusal):
    code, status = "request_timeout", 408

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"The request was not whole after {limit_s:g} s.", "Send head and body without pauses.")


class RouteNotFound(Refusal):
    code, status = "route_not_found", 404

    def __init__(self, path: str) -> None:
        super().__init__(
            f"There is no route {_short(path)}.",
            "Use /v1/chat/completions, /v1/completions, /v1/embeddings or /v1/models.",
        )


class MethodNotAllowed(Refusal):
    code, status = "method_not_allowed", 405

    def __init__(self, method: str, path: str, allowed: str) -> None:
        super().__init__(f"{_short(path)} does not take {_short(method)}.", f"Use {allowed}.")


class CallNotFound(Refusal):
    code, status = "call_not_found", 404

    def __init__(self, call_id: str) -> None:
        super().__init__(
            f"There is no call {_short(call_id)} of this key's account.", "Use the x-baseload-call-id of a reply."
        )


class NoProvider(Refusal):
    """Also for a provider's bad key or empty balance: ours to mend, and its text is not the client's to see."""

    code, status = "no_provider", 503

    def __init__(self, model: str, retry_after_s: float = 1.0) -> None:
        super().__init__(
            f"No provider of model {_short(model)} is available.",
            f"Repeat in {retry_after_s:.0f} s, or use another model.",
            retry_after_s=retry_after_s,
            should_retry=True,
        )


class Draining(Refusal):
    code, status = "draining", 503

    def __init__(self, retry_after_s: float = 1.0) -> None:
        super().__init__(
            "This gateway is shutting down.",
            "Repeat on a new connection.",
            retry_after_s=retry_after_s,
            should_retry=True,
        )


def _short(text: str) -> str:
    """A client's own words in a message, bounded and without control characters."""
    return repr(text if len(text) <= 100 else text[:100] + "...")
