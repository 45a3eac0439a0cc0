"""The grid is started once for the room: its tests only add calls to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.grid import Grid
from tests.clients.grid import grid as started


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with started(tmp_path_factory.mktemp("clients")) as running:
        yield running
