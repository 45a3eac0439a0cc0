"""A real browser that forgives nothing: an error, a breach of the content policy, a request elsewhere fail a test."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
SHOTS = Path(os.environ.get("BASELOAD_SHOTS", "build/shots"))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "These tests need a browser. On Debian: apt-get install chromium"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


class Window:
    """One person's window."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(locale="en-GB", timezone_id="Europe/Paris", **options)
        self.page: Page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        # a page with a status of 4xx is what some tests are about: the browser says so on its console
        if message.type == "error" and "status of 4" not in message.text:
            self.troubles.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        if urlsplit(request.url).scheme != "data" and urlsplit(request.url).hostname != "127.0.0.1":
            self.troubles.append(f"asked for {request.url}")

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sound(self, name: str = "") -> None:
        """Nothing went wrong so far; nothing that axe finds (WCAG 2.1 A and AA, best practices); a picture is kept."""
        charts = self.page.locator("bl-chart")
        for number in range(charts.count()):
            charts.nth(number).and_(self.page.locator("[data-drawn=yes]")).wait_for(timeout=10_000)
        found = Axe().run(self.page).response["violations"]
        wrong = [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found]
        assert wrong == [], f"{self.page.url}: {wrong}"
        if name:
            SHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
        troubles, self.troubles = self.troubles, []
        assert troubles == [], f"{self.page.url}: {troubles}"

    def close(self) -> None:
        self.context.close()
