"""The gateway's own refusals, each with its code and what to change. `envelope.py` writes them for a client.

Codes never change once released. A status decides the exception class of the official client libraries, and whether
they repeat a call by themselves (408, 409, 429 and 5xx, unless `should_retry` says otherwise).
"""

from __future__ import annotations

from collections.abc import Collection

from baseload.errors import Refusal

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "gemini_embed": "/v1beta/models/{model}:embedContent",
    "rerank": "/v1/rerank",
    "images": "/v1/images/generations",
    "speech": "/v1/audio/speech",
    "transcriptions": "/v1/audio/transcriptions",
}
"""Endpoints by the paths that clients know."""


class InvalidKey(Refusal):
    code, status = "invalid_api_key", 401

    def __init__(self, say: str = "") -> None:
        super().__init__(
            say or "The request carries no key that this gateway knows.",
            "Send a key made with `baseload keys create` as Authorization: Bearer KEY "
            "(or x-api-key: KEY, x-goog-api-key: KEY).",
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

    def __init__(self, model: str, endpoint: str, served: Collection[str] = ()) -> None:
        paths = ", ".join(path for name, path in PATHS.items() if name in served)
        where = f"Call it at {paths}" if paths else "Use another endpoint"
        say = f"Model {_short(model)} does not serve {PATHS.get(endpoint, endpoint)}."
        super().__init__(say, f"{where}, or use a model that serves this one.", param="model")


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
            # Coding agents shorten a conversation by themselves when they read the first words (Anthropic's) or the
            # others (OpenAI's, and every engine's).
            f"prompt is too long: {needs} tokens > {limit} maximum.",
            f"This model's maximum context length is {limit} tokens, and the request needs about {needs}: shorten the "
            "input or lower max_tokens.",
            param=param,
        )


class BudgetShort(Refusal):
    """429 because OpenAI's libraries know `insufficient_quota` under it; they are told not to repeat it."""

    code, status = "insufficient_quota", 429

    def __init__(self, say: str, fix: str = "") -> None:
        super().__init__(say, fix or "Lower max_tokens, or have the account's budget raised.", should_retry=False)


class FundsUnknown(Refusal):
    """The lease is used up and the control plane did not say in time whether there is more: never guessed."""

    code, status = "funds_unknown", 503

    def __init__(self, purses: str) -> None:
        super().__init__(
            f"Whether {purses} has money left could not be learned in time.",
            "Repeat in a second.",
            retry_after_s=1.0,
            should_retry=True,
        )


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

    def __init__(self, got: str = "", wanted: str = "application/json") -> None:
        found = f"content-type is {_short(got)}" if got else "There is no content-type"
        takes = "JSON" if wanted == "application/json" else wanted
        super().__init__(f"{found}; this endpoint takes {takes}.", f"Send: content-type: {wanted}.")


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

    def __init__(self, path: str, meant: str = "") -> None:
        fix = (
            "Use /v1/chat/completions, /v1/responses, /v1/messages, /v1/messages/count_tokens, "
            "/v1beta/models/{model}:generateContent (or :streamGenerateContent, :countTokens, :embedContent, "
            ":batchEmbedContents), /v1/completions, /v1/embeddings, /v1/rerank, /v1/images/generations, "
            "/v1/audio/speech, /v1/audio/transcriptions or /v1/models."
        )
        if meant:  # most wrong paths come of a wrong base URL
            where = "A base URL ends with /v1 for OpenAI's clients, and before it for Anthropic's and Google's."
            fix = f"Did you mean {_short(meant)}? {where}"
        super().__init__(f"There is no route {_short(path)}.", fix)


class MethodNotAllowed(Refusal):
    code, status = "method_not_allowed", 405

    def __init__(self, method: str, path: str, allowed: str) -> None:
        super().__init__(f"{_short(path)} does not take {_short(method)}.", f"Use {allowed}.")


class StateNotKept(Refusal):
    """No reply of that id can be continued here. 400 and the code are OpenAI's own for an unknown previous response.

    Another account's reply is unknown in the same words: whether it exists is not this caller's business.
    """

    code, status = "previous_response_not_found", 400

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id {_short(response_id)} not found.",
            "Continue from a reply of this account that was made with store, or send the whole conversation as input.",
            param="previous_response_id",
        )


class StateUnsupported(Refusal):
    """The request asks that a reply be kept, or a kept one continued, and no provider of the model keeps any."""

    code, status = "state_not_supported", 400

    def __init__(self, model: str, param: str) -> None:
        super().__init__(
            f"{param} needs a provider that keeps replies; none of model {_short(model)} does.",
            f"Leave out {param} and send the whole conversation, or use a model whose provider keeps replies.",
            param=param,
        )


class ConversationNotKept(Refusal):
    """Conversations live in one account at one provider: the gateway could not say whose they are."""

    code, status = "conversation_not_kept", 400

    def __init__(self, conversation: str = "") -> None:
        named = f" {_short(conversation)}" if conversation else ""
        super().__init__(
            f"This gateway keeps no conversation{named}.",
            "Leave out conversation: continue with previous_response_id, or send the whole conversation as input.",
            param="conversation",
        )


class ResponseNotFound(Refusal):
    """For GET, DELETE and cancel of a stored reply."""

    code, status = "response_not_found", 404

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Response with id {_short(response_id)} not found.",
            "Use the id of a reply of this account that was made with store.",
        )


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


class NoneNow(Refusal):
    """Every offer that could serve is out of service, or at a limit of its provider, for a known time."""

    code, status = "overloaded", 503

    def __init__(self, model: str, retry_after_s: float, *, limited: bool = False) -> None:
        super().__init__(
            f"Every offer of model {_short(model)} is out of service or at its limit.",
            f"Repeat in {max(1, -(-retry_after_s // 1)):.0f} s, or use another model.",
            code="rate_limit_exceeded" if limited else "overloaded",
            status=429 if limited else 503,
            retry_after_s=retry_after_s,
            should_retry=True,
        )


class NoOfferFits(Refusal):
    """Policies or the request itself leave no offer; `reasons`: each with the number of offers it excludes."""

    code, status = "no_offer_fits", 400

    def __init__(self, model: str, reasons: list[tuple[str, int]]) -> None:
        told = "; ".join(f"{why} ({number})" if number > 1 else why for why, number in reasons[:4])
        super().__init__(
            f"No offer of model {_short(model)} may serve this call: {told}.",
            "Loosen that limit or ask for another model; POST /v1/dispatch/explain shows every offer and its reason.",
        )


class ProviderRefused(Refusal):
    """A provider refused what the client sent, so its own words are what the client must read.

    `say` is the provider's text, masked, alone and unchanged where it gave one (`verbatim`): coding agents match it.
    `provider_type` and `provider_code` are its own words for the failure, "" where they are none or not safe to show.
    """

    code, status = "invalid_request", 400

    def __init__(
        self,
        words: str,
        *,
        plain: str = "The provider refused the request.",
        fix: str = "Correct the request.",
        code: str = "invalid_request",
        status: int = 400,
        param: str | None = None,
        provider_type: str = "",
        provider_code: str = "",
    ) -> None:
        super().__init__(
            words or plain, "" if words else fix, code=code, status=status, param=param, should_retry=False
        )
        self.verbatim = bool(words)
        self.provider_type = provider_type
        self.provider_code = provider_code


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
