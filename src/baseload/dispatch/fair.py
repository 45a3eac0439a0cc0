"""Who goes next when there is more to do than places: priorities, and fair shares between accounts. Pure.

In:     jobs with an account, a weight, a priority and a cost (expected tokens). Out: the next one that can go.

Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996): a job's start is the later of the queue's virtual time and
the finish of its account's job before it; its finish is start + cost / weight; the least start goes first. An account
that floods makes only its own starts late. Priorities are strict but for a share: of SHARE picks one goes to the next
lower class that waits, so that nothing starves. A job that cannot go now (its model is busy) does not block the others.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Any

from baseload.dispatch.policy import PRIORITIES

SHARE = 8
LOOK_MAX = 64  # jobs that a pick tries before it gives up: those behind them wait for the same places
SCALE = 1_000_000


class Job:
    __slots__ = ("account", "cost", "left", "limit_ns", "payload", "priority", "size", "start", "weight")

    def __init__(
        self, account: int, cost: int, payload: Any, *, weight: int = 1, priority: str = "standard", limit_ns: int = 0,
        size: int = 0,
    ) -> None:  # fmt: skip
        self.account = account
        self.cost = max(cost, 1)
        self.payload = payload
        self.weight = max(weight, 1)
        self.priority = priority
        self.limit_ns = limit_ns  # it waits no longer than this instant
        self.size = size  # bytes it keeps
        self.start = 0
        self.left = False  # it is not in the queue any more


class FairQueue:
    """Bounded by jobs and bytes; one account may fill half of it."""

    def __init__(self, jobs_max: int = 1024, bytes_max: int = 256 * 1024 * 1024) -> None:
        self._jobs_max = jobs_max
        self._bytes_max = bytes_max
        self._classes: dict[str, list[tuple[int, int, Job]]] = {name: [] for name in PRIORITIES}
        self._time: dict[str, int] = dict.fromkeys(PRIORITIES, 0)
        self._finish: dict[tuple[str, int], int] = {}
        self._of: dict[int, int] = {}  # account -> its jobs here
        self._number = self._picks = self._bytes = self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, job: Job) -> str:
        """ "" = it waits; "account" = this account has too many here; "full" = nobody can wait any more."""
        mine = self._of.get(job.account, 0)
        if self._count >= self._jobs_max or self._bytes + job.size > self._bytes_max:
            return "full"
        if mine >= max(self._jobs_max // 2, 1):
            return "account"
        name, key = job.priority, (job.priority, job.account)
        job.start = max(self._time[name], self._finish.get(key, 0))
        self._finish[key] = job.start + job.cost * SCALE // job.weight
        self._number += 1
        insort(self._classes[name], (job.start, self._number, job))
        self._of[job.account] = mine + 1
        self._count += 1
        self._bytes += job.size
        return ""

    def take(self, fits: Callable[[Job], bool]) -> Job | None:
        """The next job that `fits` says can go; it leaves the queue."""
        self._picks += 1
        names = [name for name in PRIORITIES if self._classes[name]]
        if len(names) > 1 and self._picks % SHARE == 0:
            names = [*names[1:], names[0]]
        for name in names:
            waiting = self._classes[name]
            for at in range(min(len(waiting), LOOK_MAX)):
                job = waiting[at][2]
                if fits(job):
                    self._time[name] = max(self._time[name], job.start)
                    self._leave(name, at)
                    return job
        return None

    def drop(self, job: Job) -> None:
        """It no longer wants to go."""
        if job.left:
            return
        waiting = self._classes[job.priority]
        self._leave(job.priority, next(at for at, entry in enumerate(waiting) if entry[2] is job))

    def expire(self, now_ns: int) -> list[Job]:
        """Those whose time is over; they leave the queue."""
        over = [job for waiting in self._classes.values() for _, _, job in waiting if job.limit_ns <= now_ns]
        for job in over:
            self.drop(job)
        return over

    def _leave(self, name: str, at: int) -> None:
        _, _, job = self._classes[name].pop(at)
        job.left = True
        self._count -= 1
        self._bytes -= job.size
        rest = self._of[job.account] - 1
        if rest:
            self._of[job.account] = rest
        else:
            del self._of[job.account]
        if not self._classes[name]:  # an idle class remembers nobody
            self._time[name] = 0
            for key in [key for key in self._finish if key[0] == name]:
                del self._finish[key]
