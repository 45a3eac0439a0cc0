"""What to do when an attempt has failed and the client has not seen a byte. Pure: one table, one decision.

In:     the class of the failure, what was tried, the policy, the clock as an argument.
Out:    `Step`: another offer now, the same ones again after a wait, or the end.

| class | another offer | again after a wait | may bill twice |
|---|---|---|---|
| rate_limited, overloaded | yes | yes | no |
| bad_key, no_money, plan_used, not_found | yes | no | no |
| refused_connection | yes | yes | no |
| unavailable, unknown, garbage | yes | yes | if it was sent |
| timeout, cut | yes | yes | if it was sent |
| too_long | with a larger context | no | no |
| filtered, bad_request | no: the provider's words are for the client | no | no |

A wait honours the provider's `retry-after`, is jittered, and happens only under a policy with a deadline: clients have
retries of their own, and a call that is held back without being asked for would only hide the provider's answer.
"""

from __future__ import annotations

from typing import NamedTuple

S = 1_000_000_000
ATTEMPTS_MAX = 8  # of one call, where the policy says nothing
_FIRST_WAIT_NS = S // 4
_WAIT_MAX_NS = 8 * S


class Rule(NamedTuple):
    elsewhere: bool  # another offer, or another credential of the same
    larger: bool  # only one with a larger context
    again: bool  # those that failed, after a wait
    twice: bool  # the failed attempt may be billed although it brought nothing


RULES: dict[str, Rule] = {
    "rate_limited": Rule(True, False, True, False),
    "overloaded": Rule(True, False, True, False),
    "bad_key": Rule(True, False, False, False),
    "no_money": Rule(True, False, False, False),
    "plan_used": Rule(True, False, False, False),
    "not_found": Rule(True, False, False, False),
    "refused_connection": Rule(True, False, True, False),
    "unavailable": Rule(True, False, True, True),
    "unknown": Rule(True, False, True, True),
    "garbage": Rule(True, False, True, True),
    "timeout": Rule(True, False, True, True),
    "cut": Rule(True, False, True, True),
    "too_long": Rule(True, True, False, False),
    "filtered": Rule(False, False, False, False),
    "bad_request": Rule(False, False, False, False),
}
FINAL = Rule(False, False, False, False)


def rule_of(fault: str) -> Rule:
    return RULES.get(fault, FINAL)


def may_bill_twice(fault: str, sent: bool) -> bool:
    """Could the provider bill an attempt that failed so?"""
    return sent and rule_of(fault).twice


def wait_until(now_ns: int, waits: int, deadline_ns: int, retry_after_s: float | None, jitter: float) -> int:
    """When to try again what has failed; 0 = not before the deadline. `waits`: how many there were before."""
    if not deadline_ns:
        return 0
    if retry_after_s is not None:
        wait = round(retry_after_s * S)
        wait += round(min(wait, S) * 0.2 * jitter)  # never earlier than the provider asked
    else:
        wait = min(_FIRST_WAIT_NS << min(waits, 16), _WAIT_MAX_NS)
        wait = wait // 2 + round(wait / 2 * jitter)
    until = now_ns + max(wait, S // 100)
    return until if until < deadline_ns else 0


class RetryBudget:
    """Second attempts at most half as many as first ones over time, with a floor: a storm is not multiplied.

    Every call earns half an attempt; the purse holds PURSE_MAX, so that a quiet hour does not pay for a flood.
    """

    __slots__ = ("_halves",)
    PURSE_MAX = 200

    def __init__(self) -> None:
        self._halves = self.PURSE_MAX

    def call(self) -> None:
        if self._halves < self.PURSE_MAX:
            self._halves += 1

    def retry(self) -> bool:
        """Takes one second attempt; False = there is none left."""
        if self._halves < 2:
            return False
        self._halves -= 2
        return True
