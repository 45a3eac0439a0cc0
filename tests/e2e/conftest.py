from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.grid import Grid, up


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """One running grid for all tests that only make calls on it."""
    with up(tmp_path_factory.mktemp("grid") / "home") as started:
        yield started
