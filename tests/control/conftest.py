"""A home for every test, copied from one that was started once in this test run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from baseload import store
from baseload.control.__main__ import prepare
from baseload.control.app import doors
from baseload.control.context import Context
from baseload.control.home import Home


def start(path: Path, *, engine_port: int = 8402) -> Context:
    """The control plane's state as after its start, in this process."""
    return prepare(Home.at(path), "127.0.0.1", 8401, engine_port)


@pytest.fixture(scope="session")
def started_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "home"
    store.dispose(start(path).engine)
    return path


@pytest.fixture
def home(started_home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "home"
    shutil.copytree(started_home, path)
    return path


@pytest.fixture
def restart(home: Path) -> Iterator[Callable[..., Context]]:
    """Starts the home (again); closes what was opened."""
    opened: list[Context] = []

    def begin(**options: Any) -> Context:
        opened.append(start(home, **options))
        return opened[-1]

    yield begin
    for context in opened:
        store.dispose(context.engine)


@pytest.fixture
def context(restart: Callable[..., Context]) -> Context:
    return restart()


@pytest.fixture
def owner(context: Context) -> TestClient:
    """Through the socket's door."""
    return TestClient(doors(context)[0], raise_server_exceptions=False)


@pytest.fixture
def outside(context: Context) -> TestClient:
    """Through TCP's door, with no token."""
    return TestClient(doors(context)[1], raise_server_exceptions=False)


@pytest.fixture
def secrets(home: Path) -> dict[str, str]:
    """Key and admin token of the first start."""
    found: dict[str, str] = json.loads((home / "first-start.json").read_text())
    return found
