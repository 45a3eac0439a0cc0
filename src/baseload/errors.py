"""The three families of error. Every room may import this file; it imports nothing.

`Refusal`       the caller can change it. `code` is part of the API and never changes once released.
`ProviderFault` the provider failed; its class decides retry, fallback and breaker, and it knows whether a byte left.
`Defect`        our books would be wrong: stop, do not guess.
"""

from __future__ import annotations


class Refusal(Exception):
    """A call or command that cannot be served as asked, with what to change.

    code          stable machine word, e.g. `model_not_found`
    status        HTTP status a client sees (also decides the exception class of official SDKs)
    say           what is wrong, one sentence, with the numbers
    fix           what to change, one sentence ("" where nothing helps)
    param         the request member at fault, where there is one
    retry_after_s seconds until a repeat can succeed, or None
    should_retry  False: client libraries must not repeat it by themselves (sent as `x-should-retry: false`)
    """

    code: str = "refused"
    status: int = 400

    def __init__(
        self,
        say: str,
        fix: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(say)
        self.say = say
        self.fix = fix
        self.param = param
        self.retry_after_s = retry_after_s
        self.should_retry = should_retry
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        return f"{self.say} {self.fix}".strip()


class ProviderFault(Exception):
    """A provider failed. `fault` is one of `baseload.providers.faults.FAULTS`; `sent` = a request byte had left."""

    def __init__(self, fault: str, say: str, *, sent: bool = False) -> None:
        super().__init__(say)
        self.fault = fault
        self.say = say
        self.sent = sent


class Defect(Exception):
    """An invariant of ours is broken; carrying on would make the books wrong."""
