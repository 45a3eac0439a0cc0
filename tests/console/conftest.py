"""One browser for the tests of pages; each person has a window of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.console.browser import chromium


@pytest.fixture(scope="module")  # not for longer: what drives it keeps an event loop in this thread
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started
