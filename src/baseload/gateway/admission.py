"""Calls that wait for a place: every offer that could serve them is at its limit. They are admitted fairly.

In:     a course without a free offer. Out: it goes on when a place is free; or a refusal that says when to repeat.

Nothing is held or asked for a call that waits, so nothing is billed if its client leaves. How long one waits:
`Limits.wait_s`, six times as long for the priority `batch`, never beyond the call's deadline. What could not be served
within that is refused at once: an overload is told early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baseload.dispatch.fair import FairQueue, Job
from baseload.errors import Refusal
from baseload.wire import refusals

if TYPE_CHECKING:
    from baseload.gateway.core import Gateway
    from baseload.gateway.course import Course
    from baseload.gateway.downstream import Downstream

BATCH = 6  # a batch call waits so many times as long
ROUND_MAX = 32  # calls admitted in one turn of the loop


class Waiting:
    """Serves a client's connection while its call waits."""

    __slots__ = ("_admission", "course", "down", "job")

    def __init__(self, admission: Admission, course: Course, down: Downstream) -> None:
        self._admission = admission
        self.course = course
        self.down = down
        self.job: Job | None = None

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def client_left(self) -> None:
        if self.job is not None:
            self._admission.queue.drop(self.job)


class Admission:
    def __init__(self, gateway: Gateway) -> None:
        self._gw = gateway
        self.queue = FairQueue(gateway.limits.waiting_max)
        self._woken = False
        gateway.wheel.every_step.append(self._step)

    def enter(self, course: Course, down: Downstream, tokens: int, soonest_ns: int) -> None:
        """The call waits from now on. Raises Refusal where it cannot, or would wait for too long."""
        gw, account = self._gw, course.asked.key.account
        now_ns = gw.clock_ns()
        patience_ns = round(gw.limits.wait_s * 1e9) * (BATCH if account.priority == "batch" else 1)
        limit_ns = now_ns + patience_ns
        if course.deadline_ns:
            limit_ns = min(limit_ns, course.deadline_ns)
        model = course.asked.ask.model
        if not patience_ns or gw.draining or soonest_ns > limit_ns:
            raise course.merit.none_eligible()
        waiting = Waiting(self, course, down)
        job = waiting.job = Job(
            account.id, tokens, waiting, weight=account.weight, priority=account.priority, limit_ns=limit_ns,
            size=course.asked.size,
        )  # fmt: skip
        why = self.queue.put(job)
        if why:  # an account that fills half of the queue floods; a full one is everybody's overload
            raise refusals.NoneNow(model, gw.limits.wait_s, limited=why == "account")
        down.served = waiting
        if not soonest_ns:
            self.wake()  # those before it may wait for other places

    def wake(self) -> None:
        """A place may be free."""
        if self.queue and not self._woken:
            self._woken = True
            self._gw.loop.call_soon(self._admit)

    def _admit(self) -> None:
        self._woken = False
        for _ in range(ROUND_MAX):
            if self.queue.take(self._begin) is None:
                return
        self.wake()

    def _begin(self, job: Job) -> bool:
        """True = the job is dealt with: it has begun, or its client has been told why it cannot."""
        waiting: Waiting = job.payload
        course, down = waiting.course, waiting.down
        try:
            return course.admitted(down)
        except Refusal as refusal:
            self._tell(waiting, refusal)
            return True

    def _step(self, now: float) -> None:
        if not self.queue:
            return
        gw = self._gw
        if gw.draining:
            for job in self.queue.expire(1 << 63):
                self._tell(job.payload, refusals.Draining())
            return
        for job in self.queue.expire(gw.clock_ns()):
            waiting: Waiting = job.payload
            self._tell(waiting, refusals.NoneNow(waiting.course.asked.ask.model, gw.limits.wait_s))
        self.wake()  # minutes refill by themselves

    def _tell(self, waiting: Waiting, refusal: Refusal) -> None:
        waiting.down.served = None
        self._gw.refuse(waiting.down, waiting.down.head, refusal, model=waiting.course.asked.ask.model)
