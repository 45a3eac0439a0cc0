"""Makes the pictures of README and docs: `make screenshots`. Needs the developers' environment and Chromium.

A grid as `baseload up` starts it, with the real small model and simulated vendors; forty days of load made for the
purpose (journalled and settled like any other), a few live calls, a chat. Writes docs/images/*.png.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.console.browser import Window, chromium
from tests.e2e.grid import Grid, up
from tests.gateway.harness import Running, chat, exchange, post
from tests.ledger import support
from tests.vendors import start

from baseload.gateway import snapshot

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"
SIZE = {"width": 1360, "height": 860}
HOUR_NS = 3_600 * 10**9
VENDORS = (("deepseek", "chat-large", "0.28", "0.42", 240_000), ("openai", "chat-large", "1.25", "10", 500_000),
           ("moonshot", "chat-large", "0.60", "2.50", 180_000))  # fmt: skip
WHO = ("shop", "support", "research", "default")
PASSWORD = "three quiet load curves"
CONFIG = """
[[tariffs]]
name = "default"
margin_percent = "18"
[[accounts]]
name = "shop"
budgets = [{ period = "month", amount = "400" }]
[[accounts]]
name = "support"
parent = "shop"
[[accounts]]
name = "research"
funding = "prepaid"
"""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="baseload-shots-") as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        (home / "vendor.key").write_text("sk-demo")
        with start("deepseek") as one, start("openai") as two, start("moonshot") as three:
            text = CONFIG
            for vendor, (name, model, read, written, minute) in zip((one, two, three), VENDORS, strict=True):
                text += f"""
[[providers]]
name = "{name}"
from = "{name}"
base_url = "{vendor.base_url}"
credential = "file:{home}/vendor.key"
[[offers]]
model = "{model}"
provider = "{name}"
upstream_model = "m"
limits = {{ tokens_per_minute = {minute} }}
price = {{ rate = {{ input = "{read}", cache_read = "0.03", output = "{written}" }} }}
"""
            (home / "baseload.toml").write_text(text)
            with up(home) as grid:
                prepare(grid)
                take(grid)
    return 0


def prepare(grid: Grid) -> None:
    """A day of load, then some calls of now."""
    found = snapshot.read(grid.home / "snapshot.msgpack")
    offers = {offer.name: offer for offer in found.offers}
    accounts = {account.name: account.id for account in found.accounts}
    dice, now_ns, entries = random.Random(11), time.time_ns(), []
    names = ("chat-large@deepseek", "chat-large@moonshot", "chat-large@openai", "smollm2@local")
    for hour in range(24 * 40):
        begin = now_ns - (24 * 40 - hour) * HOUR_NS
        busy = 0.35 + 0.65 * max(0.0, math.sin((hour % 24 - 7) / 24 * 2 * math.pi)) * (0.4 if hour // 24 % 7 > 4 else 1)
        for number in range(max(1, round(10 * busy * (1 + hour / 960)))):
            name = dice.choices(names, (5, 2, 1, 4))[0]
            offer = offers[name]
            failed = dice.random() < (0.12 if name.endswith("moonshot") else 0.01)
            at = begin + dice.randrange(HOUR_NS)
            sizes = {"input": 0, "output": 0} if failed else {
                "input": dice.randrange(4_000, 60_000), "output": dice.randrange(300, 4_000),
            }  # fmt: skip
            entries.append(support.reading(
                f"call_{hour:011x}{number:011x}", account=accounts[dice.choice(WHO)],
                offer=offer.id, model=offer.model, cost_price=offer.cost_prices[0], tariff=found.tariffs[0].id,
                accepted_ns=at, sent_ns=at + 9 * 10**6,
                first_ns=-1 if failed else at + dice.randrange(150, 900) * 10**6,
                end_ns=at + dice.randrange(1_000, 9_000) * 10**6, outcome="upstream_error" if failed else "ok",
                fault="overloaded" if failed else "", status=503 if failed else 200, **sizes,
            ))  # fmt: skip
    support.journal(grid.home / "journal/demo", *entries, gateway="demo")
    grid.run("payments", "topup", "research", "250")
    for quarter, planned, spent in (
        ("2026-Q3", "31bn", "30.2bn"),
        ("2026-Q4", "31.7bn", "31.8bn"),
        ("2027-Q1", "31.7bn", ""),
    ):
        grid.run("capital", "plan", quarter, planned, "--currency", "CNY")
        if spent:
            grid.run("capital", "spend", spent, "--currency", "CNY", "--quarter", quarter)
    port = int(grid.base_url.rpartition(":")[2].partition("/")[0])
    running = Running(None, port, grid.process)  # type: ignore[arg-type]
    for number in range(12):
        model = ("chat-large", "smollm2")[number % 2]
        exchange(running, post("/v1/chat/completions", chat(model, max_tokens=40), key=grid.key))
    until = time.monotonic() + 60
    while any(one["check"] == "unsettled" for one in grid.sound(1)):
        assert time.monotonic() < until
        time.sleep(0.5)
    time.sleep(2)


def take(grid: Grid) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        window = Window(browser, str(grid.facts["control_url"]), viewport=SIZE, device_scale_factor=1)
        page = window.page
        page.goto(str(grid.facts["owner_link"]))
        page.fill("input[name=name]", "owner")
        page.fill("input[name=password]", PASSWORD)
        page.click("button.main")
        page.wait_for_url("**/console/")
        page.goto(f"{window.url}/console/assistant")
        page.fill("textarea[name=text]", "Write a haiku about electricity, then one line of Python that prints it.")
        page.keyboard.press("Enter")
        page.locator("#messages[data-done='1']").wait_for(timeout=90_000)
        page.wait_for_selector("[data-price]:not(:empty)")
        picture(window, "assistant", page.url.removeprefix(window.url))
        picture(window, "overview", "/console/")
        picture(window, "scoreboard", "/console/scoreboard?currency=CNY")
        picture(window, "merit", "/console/merit?model=chat-large")
        picture(window, "usage", "/console/usage?since=30d&by=account")
        picture(window, "providers", "/console/providers")
        page.goto(f"{window.url}/console/calls")
        page.click("tbody a.mono >> nth=0")
        picture(window, "call", page.url.removeprefix(window.url))
        page.goto(f"{window.url}/console/explore")
        page.select_option("select[name=model]", "chat-large")
        page.fill("textarea[name=text]", "Summarise this contract.")
        page.click("text=Explain")
        page.wait_for_selector("h2 .good")
        picture(window, "explore", "")
        page.emulate_media(color_scheme="dark")
        picture(window, "overview-dark", "/console/")
        window.close()


def picture(window: Window, name: str, path: str) -> None:
    if path:
        window.go(path)
    charts = window.page.locator("bl-chart")
    for number in range(charts.count()):
        charts.nth(number).and_(window.page.locator("[data-drawn=yes]")).wait_for(timeout=10_000)
    window.page.wait_for_timeout(300)
    target = IMAGES / f"{name}.png"
    window.page.screenshot(path=target)
    print(f"{target.relative_to(ROOT)} {target.stat().st_size // 1024} KB", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"screenshots: {error}")
