"""The course of one call: its attempts, one after another, until one reaches the client.

In:     an understood request, its `Merit`; how attempts fail.
Out:    `Relay`s, each an attempt with a hold and a reading of its own, all under one call id; the answer when none is
        left.

Before the client has seen a byte a failed attempt is invisible to it: another offer is asked, by the rules of
`dispatch.failover`. After that nothing is begun again: the stream ends with an error in its protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from baseload.dispatch.failover import ATTEMPTS_MAX, may_bill_twice, rule_of, wait_until
from baseload.dispatch.hedge import delay_ns
from baseload.errors import Refusal
from baseload.gateway.funds import Short
from baseload.gateway.relay import Relay
from baseload.gateway.routing import GENERATION
from baseload.providers.faults import Fault, client_view
from baseload.wire import refusals

if TYPE_CHECKING:
    import asyncio

    from baseload.gateway.asked import Asked
    from baseload.gateway.call import Call
    from baseload.gateway.core import Gateway
    from baseload.gateway.dispatching import Choice, Merit
    from baseload.gateway.downstream import Downstream
    from baseload.gateway.funds import Taken

# Which of several failures a client can do most with; others: the last one.
_TELLING = ("too_long", "rate_limited", "overloaded")


class Course:
    __slots__ = (
        "_down",
        "_faults",
        "_racing",
        "_timer",
        "_waits",
        "asked",
        "attempts",
        "deadline_ns",
        "funded",
        "gw",
        "id",
        "merit",
    )

    def __init__(self, gw: Gateway, down: Downstream, asked: Asked, merit: Merit) -> None:
        self.gw = gw
        self.asked = asked
        self.merit = merit
        self.id = gw.new_id()
        self.attempts = 0
        limit = merit.bound.deadline_ns
        self.deadline_ns = down.accepted_ns + limit if limit else 0
        self.funded = False  # the control plane was asked for money, once
        self._faults: list[Fault] = []
        self._waits = 0
        self._racing: tuple[Call, ...] = ()  # two attempts, until one has reached the client
        self._timer: asyncio.TimerHandle | None = None
        self._down: Downstream | None = None  # while it waits

    def begin(self, down: Downstream) -> None:
        """The first attempt, now or when there is a place. Raises Refusal where no offer is eligible."""
        gw, merit = self.gw, self.merit
        gw.dispatcher.retries.call()
        choice = merit.next(self.id)
        if choice is not None and not choice.offer.capacity.crowded() and not (gw.admission.queue and choice.limited):
            self._try(down, choice)
        elif choice is not None:  # an owned engine whose places are taken, or one for which others wait
            gw.admission.enter(self, down, choice.expected_tokens, 0)
        else:
            soonest_ns = merit.full_until_ns()
            if not soonest_ns:
                raise merit.why_none()
            gw.admission.enter(self, down, self.asked.size // 4, soonest_ns)

    def admitted(self, down: Downstream) -> bool:
        """A waiting call is looked at again: True = it has begun. Raises Refusal where it never can."""
        choice = self.merit.next(self.id)
        if choice is None:
            if not self.merit.full_until_ns():
                raise self.merit.why_none()
            return False
        if choice.offer.capacity.crowded():
            return False
        self._try(down, choice)
        return True

    def _try(self, down: Downstream, choice: Choice) -> None:
        self.attempts += 1
        call = Relay(self, down, choice)
        down.served = call  # before it begins: a call may be over when `begin` returns
        try:
            call.begin()
        except Short as short:  # nothing was held for it
            self.attempts -= 1
            if self.funded:
                raise
            self.gw.bank.enter(down, short, lambda answered: self._again_with_money(down, choice, answered))
            return
        except Refusal:
            self.attempts -= 1
            raise
        if self.attempts > 1:
            self.gw.metrics.failovers += 1
        if self.merit.bound.hedge and self.attempts == 1:
            self._plan_hedge(call)

    # -- money

    def take(self, nano: int, least: int, at_ns: int, now_ns: int) -> Taken:
        """Holds money for an attempt: what is usual, or what there is after the control plane was asked. Or Short."""
        funds, purses = self.gw.funds, self.asked.key.purses
        if self.funded:
            taken = funds.take_rest(purses, nano, least, at_ns, now_ns)
            if taken is not None:
                return taken
        taken = funds.take(purses, nano, least, at_ns, now_ns)
        self.gw.bank.nudge()
        return taken

    def _again_with_money(self, down: Downstream, choice: Choice, answered: bool) -> None:
        self.funded = True
        gw, failed = self.gw, self.attempts > 0
        try:
            if gw.draining or not gw.journal.accepting:
                raise refusals.Draining() if gw.draining else gw.journal.refusal()
            try:
                self._try(down, choice)
            except Short as short:
                raise gw.bank.short_of(short, answered=answered) from short
        except Refusal as refusal:
            if failed:
                self._give_up(down, refusal)
            else:
                down.served = None
                gw.refuse(down, down.head, refusal, model=self.asked.ask.model)

    # -- two attempts at once

    def _plan_hedge(self, call: Call) -> None:
        """A second attempt when the first is later than is usual at its offer (`dispatch.hedge`)."""
        gw, asked = self.gw, self.asked
        if not asked.ask.stream or asked.pinned is not None or asked.route.endpoint not in GENERATION:
            return  # how late a whole reply is says how long it is
        gw.dispatcher.hedges.call()
        wait_ns = delay_ns(call.offer.health.spread)
        if wait_ns:
            gw.loop.call_later(wait_ns / 1e9, self._hedge, call)

    def _hedge(self, call: Call) -> None:
        gw, down = self.gw, call.down
        if call.settled or call.started or down is None or gw.draining or not gw.journal.accepting:
            return
        second = self._second(call, down)
        if second is None:
            self.merit.asked_no_more()
            return
        self._racing = (call, second)
        call.rival, second.rival = second, call
        down.served = self

    def _second(self, call: Call, down: Downstream) -> Call | None:
        """The other attempt of a hedged call, begun; None where there is none to begin."""
        self.merit.asking(call.offer)
        try:
            choice = self.merit.next(self.id, "hedge")
        except Refusal:
            return None
        if choice is None or not self.gw.dispatcher.hedges.take():
            return None
        self.attempts += 1
        second = Relay(self, down, choice)
        try:
            second.begin()
        except Refusal:
            self.attempts -= 1
            return None
        self.gw.metrics.hedges += 1
        return second

    def won(self, call: Call) -> None:
        """This attempt reaches the client first: the other is stopped, or read to its end, as its provider bills."""
        loser, call.rival = call.rival, None
        assert loser is not None
        self._racing = ()
        loser.rival = None
        if call.down is not None:
            call.down.served = call
        charged = self.merit.bound.policy.failed_attempts == "account"
        loser.flags = ("hedge_lost",) if charged else ("hedge_lost", "not_charged")
        loser.client_left()

    def left_to(self, rival: Call) -> Callable[[Downstream], None]:
        """One of two has failed: the other one is the call's only attempt now."""
        self._racing = ()
        self.merit.asked_no_more()

        def alone(down: Downstream) -> None:
            rival.rival = None
            down.served = rival

        return alone

    def patience_s(self, call: Call, limit_s: float) -> float:
        """How long an attempt may take to its first byte: under a deadline half of what is left, if another offer could
        serve in the other half, else all of it."""
        if not self.deadline_ns:
            return limit_s
        left_s = max((self.deadline_ns - self.gw.clock_ns()) / 1e9, 0.01)
        more = self.attempts < self._attempts_max() and self.merit.another(call.offer)
        return min(limit_s, left_s / 2 if more else left_s)

    def _attempts_max(self) -> int:
        return self.merit.bound.attempts_max or ATTEMPTS_MAX

    def failed(self, call: Call, fault: Fault) -> None:
        """Remembers a failure, and that its offer is not to be asked again."""
        self._faults.append(fault)
        self.merit.failed(call.offer, fault.kind, larger=rule_of(fault.kind).larger)

    def follow(self, call: Call, fault: Fault) -> Callable[[Downstream], None] | None:
        """What comes after an attempt that failed before its client saw a byte; None = nothing, the client is told."""
        gw, rule = self.gw, rule_of(fault.kind)
        if not rule.elsewhere or self.attempts >= self._attempts_max() or not gw.journal.accepting:
            return None
        now_ns = gw.clock_ns()
        if self.deadline_ns and now_ns >= self.deadline_ns:
            return None
        try:
            choice = self.merit.next(self.id, fault.kind)
        except Refusal:
            choice = None
        if choice is not None:
            if not gw.dispatcher.retries.retry():
                return None
            found = choice
            return lambda down: self._go_on(down, found)
        if not rule.again:
            return None
        until_ns = wait_until(now_ns, self._waits, self.deadline_ns, fault.retry_after_s, gw.jitter())
        if not until_ns or not gw.dispatcher.retries.retry():
            return None
        self._waits += 1
        return lambda down: self._wait(down, until_ns - now_ns)

    def flags_of(self, fault: str, *, sent: bool) -> tuple[str, ...]:
        """Of the reading of an attempt that another one follows."""
        flags = ["superseded"]
        if may_bill_twice(fault, sent):
            flags.append("may_bill_twice")
        if self.merit.bound.policy.failed_attempts != "account":
            flags.append("not_charged")
        return tuple(flags)

    def told(self, fault: Fault, *, started: bool) -> Fault:
        """The failure that the client is told of when nothing is left."""
        if started:
            return fault
        for kind in _TELLING:
            known = [one for one in self._faults if one.kind == kind]
            if known:
                return min(known, key=lambda one: one.retry_after_s or 0.0)
        return fault

    def _go_on(self, down: Downstream, choice: Choice) -> None:
        while True:
            try:
                self._try(down, choice)
                return
            except Short as short:  # asked for once already: another offer would cost as much
                self._give_up(down, self.gw.bank.short_of(short, answered=True))
                return
            except Refusal as refusal:  # it cannot even be held for: this offer is out for this call
                self.merit.failed(choice.offer, refusal.code, larger=False)
                found = self.merit.next(self.id, choice.why)
                if found is None:
                    self._give_up(down, client_view(self.told(self._faults[-1], started=False)))
                    return
                choice = found

    def _give_up(self, down: Downstream, refusal: Refusal) -> None:
        down.served = None
        self.gw.answer_refusal(down, refusal, self.id, None)

    def _wait(self, down: Downstream, wait_ns: int) -> None:
        """Nothing is held or asked meanwhile; a client that leaves ends it."""
        down.served = self
        self._down = down
        self.gw.pausing.add(self)
        self._timer = self.gw.loop.call_later(wait_ns / 1e9, self._again, down)

    def _again(self, down: Downstream) -> None:
        self.cancel()
        merit = self.merit
        if self.gw.draining or not self.gw.journal.accepting:
            self._give_up(down, refusals.Draining() if self.gw.draining else self.gw.journal.refusal())
            return
        merit.tried = {
            key: why for key, why in merit.tried.items() if not rule_of(why.removeprefix("it failed: ")).again
        }
        why = self._faults[-1].kind
        choice = merit.next(self.id, why)
        soonest_ns = merit.soonest_ns() if choice is None else 0
        if choice is None and not soonest_ns:
            choice = merit.next(self.id, why)  # its time came between the two looks
        if choice is not None:
            self._go_on(down, choice)
        elif 0 < soonest_ns < self.deadline_ns:  # it is out for a little longer than was waited
            self._wait(down, max(soonest_ns - self.gw.clock_ns(), 1_000_000))  # timers know milliseconds
        else:
            self._give_up(down, client_view(self.told(self._faults[-1], started=False)))

    # -- what the client's connection says while nothing runs, or two attempts do

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_left(self) -> None:
        self.cancel()
        racing, self._racing = self._racing, ()
        for call in racing:
            call.rival = None
            call.client_left()

    def cancel(self) -> None:
        """It waits no longer."""
        self.gw.pausing.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """The gateway stops: a call that waits is told so."""
        down = self._down
        self.cancel()
        if down is not None and down.served is self:
            self._give_up(down, refusals.Draining())
