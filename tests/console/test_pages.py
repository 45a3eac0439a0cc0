"""The console as a person meets it: `baseload up` with the real model, a real browser, from first link to bill."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.console.browser import Window
from tests.e2e.grid import Grid, up
from tests.gateway.harness import Running, chat, exchange, post

from baseload.control.people import totp

PASSWORD = "three quiet load curves"
PAGES = {
    "overview": "/console/", "scoreboard": "/console/scoreboard",
    "capital": "/console/capital?currency=CNY", "explore": "/console/explore", "prices": "/console/prices",
    "planner": "/console/planner?engines=own:10:1000000:0.01&rents=vendor:0.5",
    "reconcile": "/console/reconcile", "invoices": "/console/invoices", "settings": "/console/settings",
    "merit": "/console/merit", "usage": "/console/usage",
    "calls": "/console/calls", "accounts": "/console/accounts", "account": "/console/accounts/default",
    "providers": "/console/providers", "playground": "/console/playground", "me": "/console/me",
    "ledger": "/console/ledger?check=1", "people": "/console/people",
    "audit": "/console/audit",
}  # fmt: skip


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with up(tmp_path_factory.mktemp("console") / "home") as started:
        yield started


@pytest.fixture(scope="module")
def call(grid: Grid) -> str:
    """A settled call of the first key."""
    port = int(grid.base_url.rpartition(":")[2].partition("/")[0])
    running = Running(None, port, grid.process)  # type: ignore[arg-type]
    reply = exchange(running, post("/v1/chat/completions", chat("smollm2", max_tokens=12), key=grid.key))
    assert reply.status == 200
    found = reply.headers["x-baseload-call-id"]
    grid.settled([found])
    return found


@pytest.fixture(scope="module")
def owner(browser: Browser, grid: Grid) -> Iterator[Window]:
    """The first owner, by the link that `baseload up` printed."""
    window = Window(browser, str(grid.facts["control_url"]))
    assert window.go("/console/usage").url.endswith("/console/sign-in?next=/console/usage")  # nobody gets in
    window.sound("sign-in")
    page = window.page
    page.goto(str(grid.facts["owner_link"]))
    assert "#" not in page.url  # the secret has left the address
    window.sound("link")
    page.fill("input[name=name]", "ada")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_url("**/console/")
    yield window
    window.close()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_sound(owner: Window, call: str, name: str) -> None:
    owner.go(PAGES[name])
    owner.sound(name)


def test_from_a_key_to_the_call_and_its_cost(owner: Window, grid: Grid, call: str) -> None:
    page = owner.go("/console/accounts")
    page.fill("input[name=name]", "team-a")
    page.click("text=Create")
    page.wait_for_url("**/accounts/team-a")
    page.fill("form[action$=keys] input[name=name]", "laptop")
    page.click("text=New key")
    secret = page.text_content("#secret")
    assert secret is not None
    assert secret.startswith("sk-bl-")
    owner.sound("new-key")
    port = int(grid.base_url.rpartition(":")[2].partition("/")[0])
    request = post("/v1/chat/completions", chat("smollm2", max_tokens=8), key=secret)
    reply = exchange(Running(None, port, grid.process), request)  # type: ignore[arg-type]
    made = reply.headers["x-baseload-call-id"]
    grid.settled([made])
    page = owner.go("/console/calls?account=team-a")
    page.click(f"a[href$='{made}']")
    assert page.text_content("#call") == made
    owner.sound("call")
    charge = page.text_content("tr:has(th:text-is('Charge')) td")
    bill = grid.json("bill", "--account", "team-a")["bill"]["totals"][0]
    assert charge is not None
    assert charge.replace("\xa0", " ").split()[0] == f"{int(bill['nano']) / 10**9:.9f}"
    page = owner.go("/console/accounts/team-a")
    page.click("text=Revoke")
    page.wait_for_selector("text=Revoked")
    until = time.monotonic() + 5
    while exchange(Running(None, port, grid.process), request).status != 401:  # type: ignore[arg-type]
        assert time.monotonic() < until


def test_a_top_up_sent_twice_pays_once(owner: Window, grid: Grid) -> None:
    grid.run("accounts", "create", "shop")
    grid.run("budgets", "funding", "shop", "prepaid")
    page = owner.go("/console/accounts/shop")
    page.fill("input[name=amount]", "12.50")
    once = page.input_value("input[name=once]")
    page.click("text=Top up")
    page.wait_for_selector("text=topup")
    form = {"amount": "12.50", "currency": "USD", "once": once}
    headers = {"origin": owner.url, "sec-fetch-site": "same-origin"}
    page.request.post(f"{owner.url}/console/accounts/shop/topup", form=form, headers=headers)
    assert float(grid.json("balance", "--account", "shop")["balances"][0]["funds"]) == 12.5


def test_what_another_site_makes_a_browser_send_changes_nothing(owner: Window, grid: Grid) -> None:
    before = len(grid.json("accounts", "list")["accounts"])
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://evil.test"},
        {},
    ):
        url = f"{owner.url}/console/accounts"
        reply = owner.page.request.post(url, form={"name": "evil"}, headers=headers)
        assert reply.status == 403, headers
    assert len(grid.json("accounts", "list")["accounts"]) == before


def test_one_prompt_to_two_models_with_a_price_for_each(owner: Window, grid: Grid) -> None:
    page = owner.go("/console/playground")
    page.locator("select[name=model]").nth(1).select_option("smollm2")
    page.fill("input[name=max_tokens]", "16")
    page.fill("textarea[name=text]", "Name three colours. <img src=x onerror=alert(1)>")
    page.keyboard.press("Control+Enter")
    page.locator(".answers .sub[data-done^=call]").nth(1).wait_for(timeout=30_000)
    made = [foot.get_attribute("data-done") for foot in page.locator(".answers .sub").all()]
    assert all(answer.text_content() for answer in page.locator(".answer").all())
    for call, foot in zip(made, page.locator(".answers .sub").all(), strict=True):
        found = grid.json("calls", "show", str(call))["call"]["attempts"][0]
        assert found["meters"]["output_total"] <= 16
        assert f"→ {found['meters']['output_total']}" in (foot.text_content() or "")
        assert found["charge"]["currency"] in (foot.text_content() or "")
    owner.sound("playground-answers")
    page.fill("input[name=max_tokens]", "4096")
    page.fill("textarea[name=text]", "Count from one to one thousand.")
    page.click("text=Send")
    page.wait_for_function("() => document.querySelector('.answer')?.textContent.length > 5")
    page.click("text=Stop")
    page.wait_for_selector(".sub[data-done=stopped]", state="attached")
    owner.sound()


def test_a_target_says_how_far_it_is(owner: Window, call: str) -> None:
    page = owner.go("/console/scoreboard")
    page.select_option("select[name=figure]", "gross_margin")
    page.fill("input[name=target]", "30")
    page.click("text=Save")
    page.wait_for_selector("text=from here 30")  # the first account pays what a call costs: no margin yet
    owner.sound()


def test_a_budget_a_provider_an_offer_and_a_token_by_forms(owner: Window, grid: Grid) -> None:
    grid.run("accounts", "create", "formed")
    page = owner.go("/console/accounts/formed")
    page.click("summary:text-is('Add a budget')")
    page.fill("form[action$=budgets] input[name=amount]", "5")
    page.click("form[action$=budgets] button")
    page.wait_for_selector("td:text-is('month')")
    assert grid.json("balance", "--account", "formed")["balances"][0]["funds"] == "5.00"
    owner.sound("account-budget")
    page.click("button:text-is('End')")
    page.wait_for_selector("td:text-is('month')", state="detached")
    page.click("summary:text-is('How it pays')")
    page.select_option("select[name=funding]", "credit")
    page.fill("input[name=credit]", "7")
    page.click("form[action$=funding] button")
    page.wait_for_selector("text=funding")
    assert grid.json("balance", "--account", "formed")["balances"][0]["available"] == "7.00"

    page = owner.go("/console/providers")
    page.select_option("select[name=vendor]", "compatible")
    page.fill("form[action='/console/providers'] input[name=name]", "rack")
    page.fill("form[action='/console/providers'] input[name=base_url]", "http://127.0.0.1:9/v1")
    page.fill("form[action='/console/providers'] input[name=key]", "sk-very-secret")
    page.click("form[action='/console/providers'] button")
    page.wait_for_selector("th:has-text('rack')")
    assert "sk-very-secret" not in page.content()
    page.click("summary:text-is('Add an offer')")
    page.fill("form[action='/console/offers'] input[name=model]", "llama")
    page.select_option("form[action='/console/offers'] select[name=provider]", "rack")
    page.fill("input[name=price_input]", "0.05")
    page.fill("input[name=price_output]", "0.20")
    page.click("form[action='/console/offers'] button")
    page.wait_for_selector("th:has-text('llama@rack')")
    owner.sound("providers-added")
    page.click("summary:text-is('Add an offer')")
    page.fill("form[action='/console/offers'] input[name=model]", "llama")
    page.select_option("form[action='/console/offers'] select[name=provider]", "rack")
    page.click("form[action='/console/offers'] button")
    page.wait_for_selector("text=There is an offer")  # said on the page itself

    page = owner.go("/console/settings")
    page.fill("form[action$=tokens] input[name=name]", "ci")
    page.select_option("select[name=role]", "auditor")
    page.click("text=New token")
    token = (page.text_content("#secret") or "").strip()
    assert token.startswith("bl-tok-")
    owner.sound("settings-token")
    assert [one["name"] for one in grid.json("tokens", "list")["tokens"]] == ["ci"]


def test_the_explorer_shows_the_merit_order_and_calls_nothing(owner: Window, grid: Grid, call: str) -> None:
    page = owner.go("/console/explore")
    before = len(grid.json("calls", "list")["calls"])
    page.select_option("select[name=model]", "smollm2")
    page.fill("textarea[name=text]", "Name three rivers.")
    page.fill("input[name=policy]", '{"regions": ["moon"]}')
    page.click("text=Explain")
    page.wait_for_selector(".note.wrong")  # nothing is on the moon
    page.fill("input[name=policy]", "")
    page.click("text=Explain")
    page.wait_for_selector("h2 .good:text-is('smollm2@local')")
    owner.sound("explore-found")
    assert len(grid.json("calls", "list")["calls"]) == before


def test_an_invoice_from_draft_to_pdf(owner: Window, grid: Grid, call: str) -> None:
    month = grid.json("calls", "show", call)["call"]["attempts"][0]["accepted"][:7]
    page = owner.go(f"/console/invoices?account=default&month={month}")
    page.wait_for_selector("h2:has-text('Draft')")
    owner.sound("invoice-draft")
    page.click("text=Issue")  # the month is not over: refused, in words
    page.wait_for_selector("text=yet to come")
    made = grid.json("invoices", "issue", "--account", "default", "--month", month, "--early")["invoices"][0]
    page = owner.go("/console/invoices")
    page.click(f"a:text-is('{made['number']}')")
    page.wait_for_selector("th:text-is('Total')")
    owner.sound("invoice")
    reply = page.request.get(f"{owner.url}/console/invoices/{made['number']}/pdf")
    assert reply.body().startswith(b"%PDF-")


def test_capital_is_posted_and_stands_beside_its_plan(owner: Window, grid: Grid) -> None:
    now = grid.json("capital", "show")["capital"]["pace"]["quarter"]
    grid.run("capital", "plan", now, "31.7bn", "--currency", "CNY")
    page = owner.go("/console/capital?currency=CNY")
    page.fill("input[name=amount]", "31.8bn")
    page.click("button.main")
    page.wait_for_selector("text=spending is on pace")
    assert page.locator("tbody tr").count() == 2
    owner.sound("capital-posted")
    page = owner.go("/console/scoreboard?currency=CNY")
    page.wait_for_selector("text=spending is on pace")
    assert "spent 31.8 bn" in grid.json("scoreboard", "--currency", "CNY")["scoreboard"]["capital_sentence"]
    owner.sound("scoreboard-capital")
    assert [one for one in grid.json("ledger", "check")["findings"] if one["severity"] == "error"] == []


def test_a_device_is_asked_for_at_sign_in(owner: Window, browser: Browser) -> None:
    page = owner.go("/console/people")
    page.fill("input[name=name]", "eve")
    page.select_option("select[name=role]", "auditor")
    page.click("text=Create")
    link = page.text_content("#secret")
    assert link is not None
    window = Window(browser, owner.url)
    page = window.page
    page.goto(link)
    page.fill("input[name=name]", "eve")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_url("**/console/")
    page = window.go("/console/me")
    secret = (page.text_content("#secret") or "").strip()
    step = time.time_ns() // totp.STEP_NS
    page.fill("form[action$=device] input[name=code]", totp.code_at(secret, step - 1))
    page.click("text=Turn on")
    codes = (page.text_content("#codes") or "").split()
    assert len(codes) == totp.RECOVERY
    window.sound("recovery-codes")
    page.click("text=Sign out")
    page.fill("input[name=name]", "eve")
    page.fill("input[name=password]", PASSWORD)
    page.click("button.main")
    page.wait_for_selector("input[name=code]")
    window.sound("code")
    page.fill("input[name=code]", codes[3])
    page.click("button.main")
    page.wait_for_url("**/console/")
    window.close()


def test_the_overview_moves_by_itself(owner: Window, grid: Grid) -> None:
    page = owner.go("/console/")
    figure = page.locator("[data-figure]").first
    was = int(re.sub(r"\D", "", figure.text_content() or ""))
    grid.run("call", "smollm2", "Name a colour.")
    page.wait_for_function(
        "was => Number(document.querySelector('[data-figure]').textContent.replace(/\\D/g, '')) > was", arg=was
    )
    owner.sound()


def test_dark_narrow_and_chinese(owner: Window, browser: Browser, grid: Grid, call: str) -> None:
    state = owner.context.storage_state()
    looks = {"dark": {"color_scheme": "dark"}, "phone": {"viewport": {"width": 390, "height": 844}}}
    for look, options in looks.items():
        window = Window(browser, owner.url, storage_state=state, **options)
        for name in ("overview", "usage", "merit", "accounts"):
            page = window.go(PAGES[name])
            window.sound(f"{name}-{look}")
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{name} is {wide} pixels too wide at {look}"
        window.close()
    window = Window(browser, owner.url, storage_state=state)
    page = window.go("/console/")
    page.select_option("select[name=language]", "zh")
    page.wait_for_selector("h1:text-is('概览')")
    window.sound("overview-zh")
    window.close()


def test_keys_alone_lead_through_the_page(owner: Window) -> None:
    page = owner.go("/console/usage")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "account"


def test_a_member_sees_its_own_account_and_nothing_else(owner: Window, browser: Browser, call: str) -> None:
    page = owner.go("/console/people")
    page.fill("input[name=name]", "bob")
    page.select_option("select[name=role]", "member")
    page.select_option("select[name=account]", "default")
    page.click("text=Create")
    link = page.text_content("#secret")
    assert link is not None
    window = Window(browser, owner.url)
    window.page.goto(link)
    window.page.fill("input[name=name]", "bob")
    window.page.fill("input[name=password]", PASSWORD)
    window.page.click("button.main")
    window.page.wait_for_url("**/console/usage")  # what a member sees first is its own
    for path in (
        "/console/people",
        "/console/audit",
        "/console/providers",
        "/console/accounts/team-a",
        "/console/live",
    ):
        assert window.page.request.get(owner.url + path).status in (403, 404), path
    page = window.go("/console/calls")
    assert page.locator("th:text-is('Cost')").count() == 0  # what providers bill is not a customer's matter
    window.sound("member")
    window.go(f"/console/calls/{call}")
    window.sound()
    assert page.locator("text=Postings").count() == 0
    page.click("text=Sign out")
    page.wait_for_url("**/console/sign-in")
    assert window.go("/console/calls").url.endswith("sign-in?next=/console/calls")
    window.close()


def test_a_wrong_password_says_so_and_tries_are_slowed_down(browser: Browser, owner: Window) -> None:
    window = Window(browser, owner.url)
    page = window.go("/console/sign-in")
    for turn in range(8):
        page.fill("input[name=name]", "nobody")
        page.fill("input[name=password]", f"wrong wrong wrong {turn}")
        page.click("button.main")
        page.wait_for_selector("[role=alert]")
    assert "Too many tries" in (page.text_content("[role=alert]") or "")
    window.sound("refused")
    window.close()
