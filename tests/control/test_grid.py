"""What gateways are told by the question they hold open: nothing while there is nothing, and every recall."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from baseload.control.grid import Grid
from baseload.ledger.leases import Denied


def speak(grid: Grid, run: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_question_that_was_answered_waits_the_next_time_until_there_is_something(context) -> None:
    grid = Grid(context.engine)

    async def run() -> None:
        first = await grid.news("a-1", 5)  # a new gateway is told what there is
        began = time.monotonic()
        again = await grid.news("a-1", 0.3)
        assert time.monotonic() - began >= 0.3  # nothing is new: no busy loop between the two
        assert (first.gateways, again.gateways, again.recall) == (1, 1, [])
        waiting = asyncio.create_task(grid.news("a-1", 5))
        await asyncio.sleep(0.05)
        await grid.news("b-2", 0)  # another gateway: the first is told at once
        assert (await asyncio.wait_for(waiting, 1)).gateways == 2
        waiting = asyncio.create_task(grid.news("a-1", 5))
        await asyncio.sleep(0.05)
        grid.published(7)
        assert (await asyncio.wait_for(waiting, 1)).snapshot == 7

    speak(grid, run)


def test_a_recall_reaches_a_gateway_that_is_between_two_questions(context) -> None:
    grid = Grid(context.engine)

    async def run() -> None:
        await grid.news("a-1", 0)
        asked: list[object] = []
        denied = [Denied(purse=3, available=0, out=5)]
        thread = threading.Thread(target=lambda: asked.append(grid._recall("b-2", denied)))
        thread.start()
        thread.join()
        assert asked == [{"a-1"}]
        assert (await asyncio.wait_for(grid.news("a-1", 5), 1)).recall == [3]

    speak(grid, run)
