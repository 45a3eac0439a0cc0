"""The health of an offer and of a credential: which failures take what out of service, for how long. Pure.

In:     how attempts ended, by class of failure (`providers.faults`), at an instant that the caller gives.
Out:    `out_until_ns`, which a decision compares with the clock, and the reason in words.

| class | takes out | until |
|---|---|---|
| bad_key, no_money, plan_used | the credential, at all offers of its provider | growing waits, then one probe |
| rate_limited | the offer with this credential | the provider's word, else growing waits |
| overloaded | the offer with this credential | the provider's word, else growing waits |
| not_found | the offer with this credential | growing waits, then one probe |
| unavailable, timeout, cut, garbage, refused_connection, unknown | the offer, if they repeat | growing waits, a probe |
| filtered, too_long, bad_request | nothing: the request's own affair | |

A class that was told by the HTTP status alone never takes a credential out: it counts like `unavailable`.
After a wait the next call is the probe; while it runs nobody else comes. A success ends everything.
What is out is asked all the same when nothing else could serve (`last_resort`), unless the provider itself said when to
come back: a client of a single offer must never be worse off than without a gateway.
Scope: one gateway process. A clock that jumps back blocks nothing longer than the longest wait from now.
"""

from __future__ import annotations

from collections.abc import Iterable

from baseload.dispatch.latency import Spread, moved

S = 1_000_000_000
FAILURES_IN_A_ROW = 3  # open the breaker
WINDOW_NS = 30 * S
WINDOW_MIN = 8  # attempts in a window before its share of failures counts
PROBE_NS = 60 * S  # how long a probe keeps others away, at most
WAIT_MAX_NS = 3600 * S

# class -> (first wait, longest wait), growing twofold
WAITS: dict[str, tuple[int, int]] = {
    "bad_key": (30 * S, 600 * S),
    "no_money": (30 * S, 600 * S),
    "plan_used": (60 * S, 1800 * S),
    "rate_limited": (1 * S, 60 * S),
    "overloaded": (1 * S, 30 * S),
    "not_found": (30 * S, 600 * S),
    "broken": (2 * S, 60 * S),
}
OF_CREDENTIAL = frozenset(("bad_key", "no_money", "plan_used"))
AT_ONCE = frozenset(("rate_limited", "overloaded", "not_found"))
NO_FAULT = frozenset(("", "filtered", "too_long", "bad_request"))
SAY = {
    "bad_key": "its credential is refused",
    "no_money": "its account at the provider is out of money",
    "plan_used": "its plan at the provider is used up",
    "rate_limited": "the provider asks to slow down",
    "overloaded": "the provider is overloaded",
    "not_found": "the provider does not know the model",
    "broken": "it keeps failing",
}


class _Gate:
    """Closed for a while, then open for one probe."""

    __slots__ = ("_longest_ns", "_probe_until_ns", "_step", "out_until_ns", "said", "why")

    def _changed(self) -> None:
        """`out_until_ns` has another value."""

    def __init__(self, longest_ns: int = WAIT_MAX_NS) -> None:
        """`longest_ns`: no failure takes it out for longer; 0 = none does."""
        self._longest_ns = longest_ns
        self.out_until_ns = 0  # 0 = in service
        self.said = False  # the provider itself named the instant
        self.why = ""  # key of WAITS
        self._step = 0
        self._probe_until_ns = 0

    def _shut(self, why: str, now_ns: int, retry_after_s: float | None, jitter: float) -> None:
        first, longest = WAITS[why]
        if why != self.why:
            self._step = 0
        wait = min(first << min(self._step, 20), longest)
        self._step += 1
        self.said = retry_after_s is not None
        if retry_after_s is not None:
            wait = max(round(retry_after_s * S), S // 100)
        wait = min(wait, self._longest_ns)
        if not wait:
            return
        self.why = why
        self._probe_until_ns = 0
        self.out_until_ns = now_ns + wait + round(wait * 0.1 * jitter)
        self._changed()

    def last_resort(self, now_ns: int) -> bool:
        """May it be asked although it is out, because nothing else can serve?"""
        return not self.said or self.out_until_ns <= now_ns

    def _open(self) -> None:
        self.out_until_ns = self._step = self._probe_until_ns = 0
        self.said = False
        self.why = ""
        self._changed()

    def probing(self, now_ns: int) -> None:
        """A call goes through the gate after its wait: it is the probe, others wait for what it finds."""
        if self.why and self.out_until_ns <= now_ns:
            self.out_until_ns = self._probe_until_ns = now_ns + PROBE_NS
            self._changed()

    def probed(self) -> None:
        """The probe found out nothing (its client left): the next call is one."""
        if self._probe_until_ns:
            self.out_until_ns, self._probe_until_ns = 1, 0
            self._changed()

    def why_not(self, now_ns: int) -> str:
        """In words, "" = in service."""
        if not self.why or self.out_until_ns <= now_ns:
            return ""
        if self._probe_until_ns:
            return f"{SAY[self.why]}; one call is trying it"
        left = self.out_until_ns - now_ns
        if left > WAIT_MAX_NS + WAIT_MAX_NS // 10:  # the clock was set back
            self.out_until_ns = now_ns + WAITS[self.why][0]
            self._changed()
            left = WAITS[self.why][0]
        return f"{SAY[self.why]}; tried again in {max(1, round(left / S))} s"


class CredentialHealth(_Gate):
    """Of one credential of a provider, over all its offers."""

    __slots__ = ("_offers",)

    def __init__(self, longest_ns: int = WAIT_MAX_NS) -> None:
        super().__init__(longest_ns)
        self._offers: list[OfferHealth] = []

    def covers(self, offers: Iterable[OfferHealth]) -> None:
        """These offers go by this credential, and no others."""
        self._offers = list(offers)
        for offer in self._offers:
            offer.access = self
        self._changed()

    def _changed(self) -> None:
        for offer in self._offers:
            offer._changed()

    def end(self, now_ns: int, fault: str, *, by: str, retry_after_s: float | None = None, jitter: float = 0.0) -> None:
        if fault in OF_CREDENTIAL and by != "status":
            self._shut(fault, now_ns, retry_after_s, jitter)
        elif self.why and fault in ("", "filtered", "too_long", "bad_request", "rate_limited", "overloaded"):
            self._open()  # the provider has let it in
        else:
            self.probed()


class OfferHealth(_Gate):
    """Of one offer with one credential. What a decision reads at every call stands here, ready."""

    __slots__ = (
        "_failed", "_row", "_seen", "_window_ns", "access", "first_token_ns", "gate_ns", "in_flight", "milli", "spread",
        "tokens_per_s_milli",
    )  # fmt: skip

    def __init__(self, longest_ns: int = WAIT_MAX_NS, milli: int = 4000) -> None:
        super().__init__(longest_ns)
        self.access: CredentialHealth | None = None
        self.gate_ns = 0  # out until then, by its own failures or its credential's
        self.milli = milli  # thousandths of a byte of request a token of input takes
        self._row = 0  # failures in a row
        self._seen = self._failed = 0  # in the window
        self._window_ns = 0
        self.in_flight = 0
        self.first_token_ns = 0  # moving average, 0 = not known
        self.tokens_per_s_milli = 0  # tokens in a thousand seconds, 0 = not known
        self.spread = Spread()

    def _changed(self) -> None:
        self.gate_ns = max(self.out_until_ns, self.access.out_until_ns if self.access is not None else 0)

    def begin(self, now_ns: int) -> None:
        """An attempt begins."""
        self.in_flight += 1
        if self.why:
            self.probing(now_ns)

    def first(self, waited_ns: int) -> None:
        """The first text came so long after the request was sent."""
        if waited_ns > 0:
            self.first_token_ns = moved(self.first_token_ns, waited_ns)
            self.spread.add(waited_ns)

    def generated(self, tokens: int, took_ns: int) -> None:
        """So many tokens came in the time after the first one."""
        if tokens >= 8 and took_ns > 1_000_000:  # a shorter one measures the network
            self.tokens_per_s_milli = moved(self.tokens_per_s_milli, tokens * 1000 * S // took_ns)

    def end(
        self, now_ns: int, fault: str, *, by: str = "", retry_after_s: float | None = None, jitter: float = 0.0,
        told: bool = True,
    ) -> None:  # fmt: skip
        """An attempt is over. `told` False: it found out nothing of the offer (its client left, it was never sent)."""
        self.in_flight -= 1
        if not told:
            self.probed()
            return
        if fault in NO_FAULT:
            self._row = 0
            self._count(now_ns, 0)
            if self.why:
                self._open()
            return
        if fault in OF_CREDENTIAL and by != "status":
            self.probed()  # the credential's affair
            return
        if fault in AT_ONCE:
            self._shut(fault, now_ns, retry_after_s, jitter)
            return
        self._row += 1
        self._count(now_ns, 1)
        probed = self.why != "" and self._probe_until_ns != 0
        often = self._seen >= WINDOW_MIN and self._failed * 2 >= self._seen
        if probed or self._row >= FAILURES_IN_A_ROW or often:
            self._shut("broken", now_ns, retry_after_s, jitter)

    def _count(self, now_ns: int, failed: int) -> None:
        if not 0 <= now_ns - self._window_ns < WINDOW_NS:
            self._window_ns, self._seen, self._failed = now_ns, 0, 0
        self._seen += 1
        self._failed += failed
