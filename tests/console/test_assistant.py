"""The assistant as a person uses it: the real model, a real browser; what it keeps, and for whom."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.console.browser import Window
from tests.e2e.grid import Grid, home_with, up
from tests.vendors import Fault, Simulator, start

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PASSWORD = "three quiet load curves"


@pytest.fixture(scope="module")
def vendor() -> Iterator[Simulator]:
    """It sees, and it is slow: a stream of 2,000 words, 20 ms between two."""
    with start("openai", words=2000, interval_s=0.02, models=("seer",)) as started:
        yield started


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, vendor: Simulator) -> Iterator[Grid]:
    config = f"""
[[providers]]
name = "sim"
from = "openai"
base_url = "{vendor.base_url}"
credential = "file:HOME/vendor.key"
[[offers]]
model = "seer"
provider = "sim"
capabilities = ["vision"]
price = {{ currency = "USD", rate = {{ input = "1", output = "10", cache_read = "1" }} }}
"""
    home = home_with(tmp_path_factory.mktemp("assistant"), config, vendor_key="sk-vendor")
    with up(home) as started:
        yield started


def signed_in(browser: Browser, url: str, link: str, name: str) -> Window:
    window = Window(browser, url)
    page = window.page
    page.goto(link)
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_url("**/console/**")
    return window


@pytest.fixture(scope="module")
def owner(browser: Browser, grid: Grid) -> Iterator[Window]:
    window = signed_in(browser, str(grid.facts["control_url"]), str(grid.facts["owner_link"]), "ada")
    yield window
    window.close()


def answered(window: Window, times: int) -> None:
    window.page.locator(f"#messages[data-done='{times}']").wait_for(timeout=90_000)


def test_ask_see_the_price_ask_again_change_and_find_it(
    owner: Window, grid: Grid, vendor: Simulator, tmp_path: Path
) -> None:
    page = owner.go("/console/assistant")
    owner.sound("assistant-empty")
    page.fill("textarea[name=text]", "Name one colour. <img src=x onerror=alert(1)>")
    page.keyboard.press("Enter")
    answered(owner, 1)
    page.wait_for_selector("[data-price]:not(:empty)")
    call = str(page.locator("footer a").last.get_attribute("href")).rpartition("/")[2]
    found = grid.json("calls", "show", call)["call"]["attempts"][0]
    assert found["meters"]["output_total"] > 0
    assert found["charge"]["currency"] in (page.text_content("[data-price]") or "")
    chat = page.url
    page.reload()  # all of it is kept
    assert page.locator(".said.user .answer").text_content() == "Name one colour. <img src=x onerror=alert(1)>"
    owner.sound("assistant-chat")

    page.click("text=Retry")
    answered(owner, 1)
    page.wait_for_selector("text=2/2")
    page.click("button[aria-label=Before]")
    page.wait_for_selector("text=1/2")
    page.click("text=Edit")
    page.fill("textarea[name=text]", "Name one wombat.")
    page.click("#ask button.main")
    answered(owner, 1)
    assert page.locator(".said.user").count() == 1
    assert page.locator(".said.user .answer").text_content() == "Name one wombat."

    page.set_input_files("input[name=file]", [_pdf(tmp_path), _text(tmp_path)])
    page.locator("#files button").nth(1).wait_for()
    page.select_option("select[name=model]", "seer")
    vendor.script(Fault(words=20))
    page.fill("textarea[name=text]", "What is in the files?")
    page.keyboard.press("Enter")
    answered(owner, 2)
    heard = vendor.requests[-1].json["messages"][-1]["content"]
    assert "The peak was 41 tokens." in heard
    assert "The load was 7 tokens." in heard
    assert page.locator(".said.user").last.locator("a.tag").all_text_contents() == ["load.pdf", "notes.md"]
    owner.sound("assistant-files")

    page = owner.go("/console/assistant?q=wombat")
    assert page.locator(".chats nav a").count() == 1
    assert "wombat" in (page.locator(".chats nav small").text_content() or "").lower()
    assert owner.go("/console/assistant?q=nobody-said-this").locator(".chats nav a").count() == 0
    assert page.goto(chat)
    page = owner.go("/console/scoreboard")
    assert page.locator("section.figure:has(h2:text-is('App users')) p").text_content() == "1"


def test_stopped_it_keeps_what_came_and_pays_for_that(owner: Window, grid: Grid) -> None:
    page = owner.go("/console/assistant")
    page.select_option("select[name=model]", "seer")
    page.fill("textarea[name=text]", "Count from one to one thousand.")
    page.keyboard.press("Enter")
    page.wait_for_function("() => (document.querySelector('.prose')?.textContent.length ?? 0) > 20")
    page.click("text=Stop")
    answered(owner, 1)
    page.wait_for_selector(".tag:text-is('Stopped')")
    kept = page.locator(".said.assistant .prose").text_content() or ""
    assert len(kept) > 10
    call = str(page.locator("footer a").last.get_attribute("href")).rpartition("/")[2]
    record = grid.settled([call])[0]["attempts"][0]
    assert record["outcome"] != "ok"
    assert 0 < record["meters"]["output_total"] < 1500
    owner.sound("assistant-stopped")


def test_a_picture_goes_to_the_model_that_sees(owner: Window, grid: Grid, vendor: Simulator, tmp_path: Path) -> None:
    picture = tmp_path / "dot.png"
    picture.write_bytes(base64.b64decode(PNG))
    page = owner.go("/console/assistant")  # no model chosen: the cheapest that sees
    page.set_input_files("input[name=file]", [str(picture)])
    page.locator("#files button").wait_for()
    page.fill("textarea[name=text]", "What is this?")
    page.keyboard.press("Enter")
    page.wait_for_function("() => (document.querySelector('.prose')?.textContent.length ?? 0) > 20")
    page.click("text=Stop")
    answered(owner, 1)
    sent = vendor.requests[-1].json["messages"][-1]["content"]
    assert sent[0]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    assert sent[1] == {"type": "text", "text": "What is this?"}
    page.wait_for_function("() => document.querySelector('img.shot').naturalWidth === 1")
    owner.sound("assistant-picture")


def test_a_chat_is_its_persons_own_and_sealed(owner: Window, browser: Browser, grid: Grid) -> None:
    page = owner.go("/console/assistant")
    page.fill("textarea[name=text]", "My secret word is quetzalcoatl.")
    page.keyboard.press("Enter")
    answered(owner, 1)
    chat = page.url.rpartition("/")[2]
    grid.run("accounts", "create", "team-b")
    link = grid.json("people", "add", "bob", "--role", "member", "--account", "team-b")["person"]["link"]
    other = signed_in(browser, owner.url, str(link), "bob")
    assert other.go(f"/console/assistant/{chat}").locator("text=You have no chat").count() == 1
    headers = {"origin": owner.url, "sec-fetch-site": "same-origin"}
    for path, data in (
        (f"/console/assistant/{chat}/delete", {}), (f"/console/assistant/{chat}/title", {"title": "x"}),
    ):  # fmt: skip
        assert other.page.request.post(owner.url + path, form=data, headers=headers).status == 404
    sent = {"chat": int(chat), "text": "hello", "account": "team-b"}
    assert other.page.request.post(f"{owner.url}/console/assistant/send", data=sent, headers=headers).status == 404
    sent = {"text": "hello", "account": "default"}  # nor another account's money
    assert other.page.request.post(f"{owner.url}/console/assistant/send", data=sent, headers=headers).status == 404
    assert other.page.request.get(f"{owner.url}/console/assistant/files/1").status == 404
    other.close()

    book = b"".join(path.read_bytes() for path in grid.home.glob("baseload.db*"))
    assert b"quetzalcoatl" not in book
    assert b"Count from one" not in book
    page = owner.go(f"/console/assistant/{chat}")
    page.click("summary:text-is('Chat')")
    page.click("text=Delete")
    page.wait_for_url("**/console/assistant")
    assert page.locator(f".chats nav a[href$='/{chat}']").count() == 0
    with sqlite3.connect(grid.home / "baseload.db") as base:
        assert base.execute("select count(*) from chat_messages where chat_id = ?", (chat,)).fetchone() == (0,)


def test_a_file_that_is_none_is_refused_in_words(owner: Window) -> None:
    page = owner.go("/console/assistant")
    headers = {"origin": owner.url, "sec-fetch-site": "same-origin"}
    for body, code in (
        (b"\x00\x01\x02", "file_unreadable"), (b"", "file_unreadable"), (b"%PDF-1.4 broken", "file_unreadable"),
        (b"x" * (11 << 20), "file_too_large"),
    ):  # fmt: skip
        reply = page.request.post(f"{owner.url}/console/assistant/files", data=body, headers=headers)
        assert reply.json()["error"]["code"] == code


def _text(folder: Path) -> str:
    path = folder / "notes.md"
    path.write_text("# Notes\n\nThe load was 7 tokens.\n")
    return str(path)


def _pdf(folder: Path) -> str:
    """A page with one line of text, by the invoices' own typesetter."""
    import typst

    path = folder / "load.pdf"
    path.write_bytes(typst.compile(b"The peak was 41 tokens."))
    return str(path)
