"""How much more a provider takes: attempts at once, requests and tokens a minute and a day. Pure.

In:     declared limits, what the provider's headers said, an engine's own queue; begin and end of attempts.
Out:    `full_until_ns`: 0 = there is room, else when to look again; `busy`: an owned engine has work waiting.

A minute's limit is a bucket that fills continuously and holds one minute's worth; a day's is a count from midnight UTC.
Tokens are taken by expectation at the begin and corrected at the end. Scope: one gateway process; several gateways
share a provider's limit by what its headers say.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from baseload.dispatch.policy import Limits

S = 1_000_000_000
MINUTE_NS = 60 * S
DAY_NS = 86_400 * S
SLOT_NS = S // 20  # when all slots are taken: look again so soon; a freed slot is told at once by its end
LOAD_OLD_NS = 15 * S  # what an engine said of its queue is worth nothing after that


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What a reply's headers say of one limit: what is left until an instant."""

    what: str  # "requests" | "tokens"
    remaining: int
    reset_ns: int  # wall clock; 0 = not said


class _Bucket:
    """A minute's worth, refilled continuously. Amounts are multiplied by MINUTE_NS, so that nothing is rounded."""

    __slots__ = ("_at_ns", "_left", "per_minute")

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._left = per_minute * MINUTE_NS
        self._at_ns = 0

    def _filled(self, now_ns: int) -> int:
        if now_ns <= self._at_ns:
            return self._left
        return min(self.per_minute * MINUTE_NS, self._left + (now_ns - self._at_ns) * self.per_minute)

    def take(self, now_ns: int, amount: int) -> None:
        self._left = self._filled(now_ns) - amount * MINUTE_NS
        self._at_ns = now_ns

    def room_at(self, now_ns: int, amount: int) -> int:
        """0 = now; else the instant. More than the whole bucket is let in when it is full."""
        lacking = min(amount, self.per_minute) * MINUTE_NS - self._filled(now_ns)
        return 0 if lacking <= 0 else now_ns + -(-lacking // self.per_minute)


class _Day:
    __slots__ = ("_day", "_used", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._day = -1
        self._used = 0

    def take(self, now_ns: int, amount: int) -> None:
        day = now_ns // DAY_NS
        if day != self._day:
            self._day, self._used = day, 0
        self._used += amount

    def room_at(self, now_ns: int, amount: int) -> int:
        day = now_ns // DAY_NS
        if day != self._day or self._used + min(amount, self.limit) <= self.limit:
            return 0
        return (day + 1) * DAY_NS


class Share:
    """One set of limits: of an offer, or of a credential over several offers."""

    __slots__ = ("_heard", "_requests", "_tokens", "concurrent", "in_flight", "limited", "limits", "watched")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.concurrent = limits.concurrent
        self.in_flight = 0
        self._requests: list[_Bucket | _Day] = []
        self._tokens: list[_Bucket | _Day] = []
        if limits.requests_per_minute:
            self._requests.append(_Bucket(limits.requests_per_minute))
        if limits.requests_per_day:
            self._requests.append(_Day(limits.requests_per_day))
        if limits.tokens_per_minute:
            self._tokens.append(_Bucket(limits.tokens_per_minute))
        if limits.tokens_per_day:
            self._tokens.append(_Day(limits.tokens_per_day))
        self._heard: dict[str, list[int]] = {}  # what -> [remaining, reset_ns]
        self.watched = False  # the provider has spoken of limits
        self.limited = bool(self.concurrent or self._requests or self._tokens)

    def begin(self, now_ns: int, tokens: int, requests: int = 1) -> None:
        """`requests` 0: a further attempt of a call that was counted."""
        self.in_flight += 1
        if not self.limited:
            return
        for one in self._requests:
            one.take(now_ns, requests)
        for one in self._tokens:
            one.take(now_ns, tokens)
        for what, amount in (("requests", 1), ("tokens", tokens)):
            if what in self._heard:
                self._heard[what][0] -= amount

    def end(self, now_ns: int, reserved: int, used: int) -> None:
        """`used` -1 = not known: what was reserved stays taken."""
        self.in_flight -= 1
        if used >= 0 and used != reserved:
            for one in self._tokens:
                one.take(now_ns, used - reserved)

    def heard(self, now_ns: int, said: Sequence[Heard]) -> None:
        """What the provider itself says is left; it holds until its reset, a minute at most where it names none."""
        self.watched = self.limited = True
        for one in said:
            reset = one.reset_ns if one.reset_ns > now_ns else now_ns + MINUTE_NS
            self._heard[one.what] = [one.remaining, min(reset, now_ns + DAY_NS)]

    def full_until(self, now_ns: int, tokens: int) -> int:
        """0 = there is room; else the earliest instant at which there may be."""
        if self.concurrent and self.in_flight >= self.concurrent:
            return now_ns + SLOT_NS
        until = 0
        for one in self._requests:
            until = max(until, one.room_at(now_ns, 1))
        for one in self._tokens:
            until = max(until, one.room_at(now_ns, tokens))
        if self._heard:
            for what in list(self._heard):
                left, reset = self._heard[what]
                if not now_ns < reset <= now_ns + DAY_NS:
                    del self._heard[what]
                elif left < (1 if what == "requests" else min(tokens, 1)):
                    until = max(until, reset)
        return until


class Capacity:
    """Of one offer with one credential: its own limits and the credential's."""

    __slots__ = ("_load_ns", "credential", "offer", "running", "waiting")

    def __init__(self, offer: Share, credential: Share) -> None:
        self.offer = offer
        self.credential = credential
        self.running = self.waiting = -1  # of an engine, as it says itself; -1 = not known
        self._load_ns = 0

    def begin(self, now_ns: int, tokens: int) -> None:
        self.offer.begin(now_ns, tokens)
        self.credential.begin(now_ns, tokens)

    def end(self, now_ns: int, reserved: int, used: int) -> None:
        self.offer.end(now_ns, reserved, used)
        self.credential.end(now_ns, reserved, used)

    def full_until(self, now_ns: int, tokens: int) -> int:
        """0 = there is room."""
        return max(self.offer.full_until(now_ns, tokens), self.credential.full_until(now_ns, tokens))

    def heard_load(self, now_ns: int, running: int, waiting: int) -> None:
        """What an engine says of itself, whoever its clients are."""
        self.running, self.waiting, self._load_ns = running, waiting, now_ns

    def busy(self, now_ns: int) -> bool:
        """Work waits at the engine: one more call would wait, too."""
        return self.waiting > 0 and 0 <= now_ns - self._load_ns < LOAD_OLD_NS

    def crowded(self) -> bool:
        """All its places are taken."""
        offer = self.offer
        return offer.concurrent > 0 and offer.in_flight >= offer.concurrent

    def free_slots(self) -> int:
        """Attempts that can begin at once; -1 = no limit known."""
        return self.offer.concurrent - self.offer.in_flight if self.offer.concurrent else -1

    def why_not(self, now_ns: int, tokens: int) -> str:
        """In words, "" = there is room."""
        until = self.full_until(now_ns, tokens)
        if not until:
            return ""
        for share, whose in ((self.offer, "its"), (self.credential, "its credential's")):
            if share.concurrent and share.in_flight >= share.concurrent:
                return f"{whose} {share.concurrent} places are taken"
        return f"it is at a limit of its provider for {max(1, -(-(until - now_ns) // S))} s"
