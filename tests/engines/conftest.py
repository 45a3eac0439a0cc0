"""A real engine, started once for all tests of this folder: llama.cpp with the model that a package carries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engines.harness import Engine, running


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with running() as (_, port):
        yield Engine(port)
