"""Fair shares: by weight between accounts, nothing starves, nothing is idle, and the queue is bounded."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from baseload.dispatch.fair import SHARE, FairQueue, Job


def anything(job: Job) -> bool:
    return True


def drain(queue: FairQueue, picks: int) -> list[Job]:
    found = []
    for _ in range(picks):
        job = queue.take(anything)
        if job is None:
            break
        found.append(job)
    return found


def test_a_flood_does_not_delay_another_account() -> None:
    queue = FairQueue()
    for number in range(200):
        queue.put(Job(1, 100, number))
    queue.put(Job(2, 100, "mine"))
    assert "mine" in [job.payload for job in drain(queue, 2)]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 500), st.integers(1, 500))
def test_shares_follow_weights_whatever_the_jobs_cost(a: int, b: int, cost_a: int, cost_b: int) -> None:
    queue = FairQueue(jobs_max=4000)
    for number in range(1000):
        queue.put(Job(1, cost_a, number, weight=a))
        queue.put(Job(2, cost_b, number, weight=b))
    served = Counter[int]()
    for job in drain(queue, 600):
        served[job.account] += job.cost
    if len([job for job in queue._classes["standard"] if job[2].account == 1]) and served[2] and served[1]:
        assert abs(served[1] / a - served[2] / b) <= cost_a / a + cost_b / b + 1


def test_within_an_account_first_come_first_served() -> None:
    queue = FairQueue()
    for number in range(50):
        queue.put(Job(1, 50 - number, number))
    assert [job.payload for job in drain(queue, 50)] == list(range(50))


def test_priorities_are_strict_but_nothing_starves() -> None:
    queue = FairQueue()
    for number in range(100):
        queue.put(Job(1, 1, number, priority="interactive"))
        queue.put(Job(2, 1, number, priority="batch"))
    first = [job.priority for job in drain(queue, 80)]
    assert first.count("batch") == 80 // SHARE


def test_a_job_that_cannot_go_blocks_nobody() -> None:
    queue = FairQueue()
    queue.put(Job(1, 1, "busy"))
    queue.put(Job(1, 1, "free"))
    assert queue.take(lambda job: job.payload == "free").payload == "free"  # type: ignore[union-attr]
    assert queue.take(lambda job: job.payload == "free") is None
    assert len(queue) == 1


def test_it_is_bounded_and_one_account_may_fill_half_of_it() -> None:
    queue = FairQueue(jobs_max=10, bytes_max=1000)
    answers = [queue.put(Job(1, 1, number)) for number in range(8)]
    assert answers == [""] * 5 + ["account"] * 3
    assert queue.put(Job(2, 1, "large", size=2000)) == "full"
    assert [queue.put(Job(2, 1, number)) for number in range(6)] == [""] * 5 + ["full"]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 50), st.sampled_from(["put", "take", "drop", "expire"]))))
def test_nothing_is_lost_or_served_twice(steps: list[tuple[int, int, str]]) -> None:
    queue, here, gone = FairQueue(jobs_max=20), [], []
    for number, (account, cost, what) in enumerate(steps):
        if what == "put":
            job = Job(account, cost, number, limit_ns=number + cost)
            if not queue.put(job):
                here.append(job)
        elif what == "take":
            job_ = queue.take(anything)
            assert (job_ is None) == (not here), "work conserving"
            if job_ is not None:
                gone.append(job_)
                here.remove(job_)
        elif what == "drop" and here:
            queue.drop(here.pop(0))
        elif what == "expire":
            over = queue.expire(number)
            assert sorted(id(job) for job in over) == sorted(id(job) for job in here if job.limit_ns <= number)
            here = [job for job in here if job.limit_ns > number]
        assert len(queue) == len(here)
    assert len({id(job) for job in gone}) == len(gone)
    queue.expire(1 << 63)
    assert not queue._of
    assert not queue._finish
    assert queue._bytes == 0
