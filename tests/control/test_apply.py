"""The file is applied to the database: repeatable, marked, and without deleting anything."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from baseload import store
from baseload.control.config import ConfigWrong
from baseload.control.services import accounts, config, offers, providers
from baseload.control.worker import Watcher
from baseload.errors import Refusal
from baseload.store import tables as t

FILE = """
[[providers]]
name = "deepseek"
credential = "env:DEEPSEEK_API_KEY"
[[offers]]
model = "deepseek-v4-pro"
provider = "deepseek"
[[offers]]
model = "cheap"
provider = "deepseek"
upstream_model = "deepseek-flash"
price = { rate = { input = "0.1", output = "0.2" } }
[[tariffs]]
name = "retail"
margin_percent = "20"
[tariffs.prices.cheap]
rate = { input = "1", output = "2" }
[[accounts]]
name = "child"
parent = "team-a"
[[accounts]]
name = "team-a"
tariff = "retail"
[fx]
CNY = "0.14"
"""


def names(changes):
    return [(change["action"], change["kind"], change["name"]) for change in changes]


def column(context, query):
    with store.reading(context.engine) as connection:
        return list(connection.execute(query).scalars())


def test_diff_shows_what_apply_then_does_and_a_second_run_changes_nothing(context):
    context.home.config.write_text(FILE)
    shown = config.diff(context)
    assert names(shown) == [
        ("create", "tariff", "retail"),
        ("create", "account", "team-a"),
        ("create", "account", "child"),
        ("create", "provider", "deepseek"),
        ("create", "offer", "deepseek-v4-pro@deepseek"),
        ("create", "offer", "cheap@deepseek"),
        ("update", "fx", "fx"),
    ]
    assert config.apply(context, "file") == shown
    version = context.publisher.current().version
    assert config.diff(context) == []
    assert config.apply(context, "file") == []
    assert context.publisher.current().version == version


def test_what_leaves_the_file_is_disabled_and_comes_back_under_its_old_id(context):
    context.home.config.write_text(FILE)
    config.apply(context, "file")
    before = {row["name"]: row["id"] for row in offers.list_offers(context)}
    context.home.config.write_text("")
    assert {change[0] for change in names(config.apply(context, "file"))} == {"disable", "update"}
    rows = {row["name"]: row for row in offers.list_offers(context)}
    assert set(rows) == set(before)
    assert rows["cheap@deepseek"]["disabled"]
    assert [offer.name for offer in context.publisher.current().offers] == ["smollm2@local"]
    assert [account.disabled for account in context.publisher.current().accounts if account.name == "child"] == [True]
    context.home.config.write_text(FILE)
    config.apply(context, "file")
    assert {row["name"]: row["id"] for row in offers.list_offers(context)} == before
    assert not {row["name"]: row for row in offers.list_offers(context)}["cheap@deepseek"]["disabled"]


def test_a_price_that_changes_is_a_new_row_and_the_old_one_stays(context):
    context.home.config.write_text(FILE)
    config.apply(context, "file")
    old = column(context, select(t.offers.c.prices).where(t.offers.c.name == "cheap@deepseek"))[0]
    count = column(context, select(func.count()).select_from(t.price_rows))[0]
    context.home.config.write_text(FILE.replace('"0.1"', '"0.3"'))
    assert names(config.apply(context, "file")) == [("update", "offer", "cheap@deepseek")]
    new = column(context, select(t.offers.c.prices).where(t.offers.c.name == "cheap@deepseek"))[0]
    assert set(old).isdisjoint(new)
    assert column(context, select(func.count()).select_from(t.price_rows))[0] == count + 1
    context.home.config.write_text(FILE)
    config.apply(context, "file")
    assert column(context, select(t.offers.c.prices).where(t.offers.c.name == "cheap@deepseek"))[0] == old


def test_what_commands_made_lives_beside_the_file(context):
    accounts.create(context, "socket", name="by-hand", tariff="default", parent="", currency="USD")
    context.home.config.write_text(FILE)
    config.apply(context, "file")
    context.home.config.write_text("")
    config.apply(context, "file")
    shown = {row["name"]: row for row in accounts.list_accounts(context)}
    assert (shown["by-hand"]["declared"], shown["by-hand"]["disabled"]) == (False, False)
    assert (shown["team-a"]["declared"], shown["team-a"]["disabled"]) == (True, True)


def test_a_key_given_by_command_survives_the_file_that_declares_its_provider(context):
    providers.add(
        context, "socket", vendor="deepseek", name="", base_url="", scope="", models=["deepseek-flash"], key="sk-x1"
    )
    before = column(context, select(t.providers.c.credential).where(t.providers.c.name == "deepseek"))[0]
    context.home.config.write_text('[[providers]]\nname = "deepseek"\n')
    config.apply(context, "file")
    assert column(context, select(t.providers.c.credential).where(t.providers.c.name == "deepseek"))[0] == before
    assert context.vault.resolve(before) == "sk-x1"
    assert "sk-x1" not in before


def test_an_offer_at_nobodys_provider_is_refused_and_nothing_is_half_applied(context):
    context.home.config.write_text('[[accounts]]\nname = "a"\n[[offers]]\nmodel = "m"\nprovider = "nobody"\n')
    with pytest.raises(Refusal, match="nobody"):
        config.apply(context, "file")
    assert [row["name"] for row in accounts.list_accounts(context)] == ["default"]
    assert not context.state.config_ok
    (finding,) = context.state.config_findings
    assert (finding["line"], finding["field"]) == (5, "offers[1].provider")
    with pytest.raises(Refusal, match=r"baseload\.toml:5: offers\[1\]\.provider"):
        config.diff(context)


def test_an_offer_of_the_file_at_a_provider_made_by_command_takes_its_catalogue_price(context):
    providers.add(
        context, "socket", vendor="deepseek", name="ds", base_url="", scope="", models=["deepseek-flash"], key="sk-x1"
    )
    context.home.config.write_text('[[offers]]\nmodel = "pro"\nprovider = "ds"\nupstream_model = "deepseek-v4-pro"\n')
    config.apply(context, "file")
    assert {row["name"]: row["price"] for row in offers.list_offers(context)}["pro@ds"]["currency"] == "USD"
    assert config.diff(context) == []


def test_a_wrong_file_leaves_the_last_good_state_and_shows_in_status(context, owner):
    context.home.config.write_text(FILE)
    config.apply(context, "file")
    before = context.publisher.current()
    watcher = Watcher(context)
    context.home.config.write_text(FILE + '\n[[offers]]\nmodel = "x"\n')
    watcher.look()
    assert context.publisher.current() == before
    status = owner.get("/api/status").json()["status"]
    assert status["config_ok"] is False
    assert status["config_findings"][0]["line"] == FILE.count("\n") + 2
    checks = {check["check"]: check for check in owner.get("/api/doctor").json()["checks"]}
    assert checks["config in force"]["state"] == "wrong"
    context.home.config.write_text(FILE.replace('"20"', '"25"'))
    watcher.look()
    assert owner.get("/api/status").json()["status"]["config_ok"] is True
    assert [tariff.margin_ppm for tariff in context.publisher.current().tariffs if tariff.name == "retail"] == [250_000]


def test_a_wrong_file_refuses_a_start(context, restart):
    context.home.config.write_text("[engine]\nenabled = 2\n")
    with pytest.raises(ConfigWrong, match=r"baseload\.toml:2: engine\.enabled"):
        restart()


def test_a_start_finds_all_as_it_was(context, restart):
    context.home.config.write_text(FILE)
    config.apply(context, "file")
    before = context.publisher.current()
    assert restart().publisher.current() == before


def test_unpriced_offers_are_published_without_a_price_and_reported(context, owner):
    """Lesson 22: an unknown price is never zero; it is told which one is missing."""
    context.home.config.write_text(
        '[[providers]]\nname = "gpu"\nfrom = "vllm"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[[offers]]\nmodel = "llama"\nprovider = "gpu"\n'
    )
    config.apply(context, "file")
    published = {offer.name: offer.cost_prices for offer in context.publisher.current().offers}
    assert published["llama@gpu"] == ()
    assert published["smollm2@local"] != ()
    findings = owner.get("/api/prices/check").json()["findings"]
    assert [(finding["offer"], finding["code"]) for finding in findings] == [("llama@gpu", "unpriced")]
    assert "llama at gpu" in findings[0]["say"]


def test_a_price_of_one_side_is_told_where_calls_generate(context, owner):
    context.home.config.write_text(
        '[[providers]]\nname = "gpu"\nfrom = "vllm"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[[offers]]\nmodel = "half"\nprovider = "gpu"\nendpoints = ["chat"]\nprice = { rate = { input = "1" } }\n'
        '[[offers]]\nmodel = "vectors"\nprovider = "gpu"\nprice = { rate = { input = "1" } }\n'
        '[[tariffs]]\nname = "retail"\n[tariffs.prices.smollm2]\nrate = { input = "1" }\n'
        '[tariffs.prices.vectors]\nrate = { input = "1" }\n'
        '[tariffs.prices.half]\nto = 2026-01-01T00:00:00Z\nrate = { input = "1", output = "1" }\n'
    )
    config.apply(context, "file")
    findings = owner.get("/api/prices/check").json()["findings"]
    assert [(finding["offer"], finding["code"]) for finding in findings] == [
        ("half@gpu", "unpriced"),
        ("tariff retail", "unpriced"),
        ("tariff retail", "unpriced"),
    ]
    said = sorted(finding["say"] for finding in findings)
    assert "has no rate for output: calls that generate are refused" in said[2]
    assert said[:2] == [
        "Tariff retail has no price in force for half: calls of its accounts are refused.",
        "Tariff retail has no rate for output for smollm2: calls of its accounts are refused.",
    ]
    body = {"model": "other", "provider": "gpu", "endpoints": ["chat"], "price": {"rate": {"output": "1"}}}
    refused = owner.post("/api/offers", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "price_incomplete")
    assert "--price-input" in refused.text


def test_the_snapshot_holds_no_secret(context, secrets):
    providers.add(context, "socket", vendor="deepseek", name="", base_url="", scope="", models=[], key="sk-very-secret")
    raw = context.home.snapshot.read_bytes()
    for text in ("sk-very-secret", secrets["key"], secrets["admin_token"]):
        assert text.encode() not in raw
    assert context.home.snapshot.stat().st_mode & 0o777 == 0o600


def test_versions_of_the_snapshot_go_on_when_the_file_is_lost(context, restart):
    version = context.publisher.current().version
    context.home.snapshot.unlink()
    assert context.publisher.publish() == version + 1
    accounts.create(context, "socket", name="a", tariff="default", parent="", currency="USD")
    assert context.publisher.current().version == version + 2
