"""Other gateways' configurations: what is carried, exactly; what is not, with the reason; and that calls work then."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.grid import Grid, up
from tests.gateway.harness import Running, chat, exchange, post
from tests.vendors import Simulator, start

from baseload.control import config
from baseload.control.imports import litellm, newapi
from baseload.control.imports.plan import Plan, name_of, toml
from baseload.control.services.imports import block, split
from baseload.errors import Refusal

LITELLM = """
model_list:
  - model_name: gpt-4o                       # two deployments share a name: both are offers
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://eu.example.test/
      api_key: "os.environ/AZURE_EU"
      api_version: "2023-05-15"
      rpm: 6
      tpm: 20_000
      weight: 3
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: sk-in-clear, region_name: us}
  - model_name: claude
    litellm_params: &anthropic
      model: anthropic/claude-sonnet-4-5
      api_key: os.environ/ANTHROPIC
      input_cost_per_token: 2.5e-06
      output_cost_per_token: 0.000015
      cache_read_input_token_cost: 3e-07
  - model_name: claude-haiku
    litellm_params:
      <<: *anthropic
      model: anthropic/claude-haiku-4-5
  - model_name: "anthropic/*"
    litellm_params: {model: "anthropic/*"}
  - model_name: llava
    litellm_params: {model: openai/llava-hf/llava-v1.6, api_base: "http://127.0.0.1:8000", api_key: fake-key}
    model_info: {supports_vision: True, max_input_tokens: 8192}
  - model_name: llama-groq
    litellm_params: {model: groq/llama-3.3-70b-versatile, api_key: os.environ/GROQ}
  - model_name: nova
    litellm_params: {model: bedrock/us.amazon.nova-pro-v1:0, aws_region_name: us-west-2}
  - model_name: gemini
    litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p, vertex_location: us-central1}
  - model_name: embed
    litellm_params: {model: text-embedding-3-small, api_key: os.environ/OPENAI}
    model_info: {mode: embedding}
  - model_name: rerank
    litellm_params: {model: cohere/rerank-english-v3.0}
  - model_name: mystery
    litellm_params: {model: mistralai/mistral-7b-instruct}
  - {model_name: odd}
router_settings:
  routing_strategy: usage-based-routing-v2
  model_group_alias: {gpt-4: gpt-4o, ghost: nobody}
  num_retries: 2
litellm_settings:
  drop_params: true
  fallbacks: [{"claude": ["gpt-4o", "nobody"]}, {"*": ["gpt-4o"]}]
  context_window_fallbacks: [{"claude": ["gemini"]}]
general_settings:
  master_key: sk-1234
  database_url: postgresql://x
environment_variables: {REDIS_HOST: localhost}
"""


def by(plan: Plan, kind: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in getattr(plan, kind)}


def lines(plan: Plan, state: str) -> dict[str, str]:
    return {line.path: line.why or line.what for line in plan.report if line.state == state}


def test_litellm_models_become_offers_of_one_provider_a_credential() -> None:
    plan = litellm.read(LITELLM)
    providers, offers = by(plan, "providers"), by(plan, "offers")
    assert providers["azure_deployments"] == {
        "name": "azure_deployments", "from": "azure_deployments", "base_url": "https://eu.example.test/openai",
        "credential": "env:AZURE_EU",
    }  # fmt: skip
    assert providers["127.0.0.1"]["base_url"] == "http://127.0.0.1:8000/v1"
    assert providers["groq.com"] == {"name": "groq.com", "from": "compatible", "credential": "env:GROQ",
                                     "base_url": "https://api.groq.com/openai/v1"}  # fmt: skip
    assert plan.secrets == {"openai": "sk-in-clear", "127.0.0.1": "fake-key"}
    assert [name for name in offers if name.startswith("gpt-4o@")] == ["gpt-4o@azure_deployments", "gpt-4o@openai"]
    assert offers["gpt-4o@azure_deployments"]["limits"] == {"requests_per_minute": 6, "tokens_per_minute": 20_000}
    assert offers["gpt-4o@openai"]["region"] == "us"
    assert offers["llava@127.0.0.1"]["upstream_model"] == "llava-hf/llava-v1.6"
    assert offers["llava@127.0.0.1"]["context_max"] == 8192
    assert offers["embed@openai-2"]["endpoints"] == ["embeddings"]  # another credential is another provider
    assert offers["nova@bedrock"]["upstream_model"] == "us.amazon.nova-pro-v1:0"
    # the text of the file, times a million, to the last digit
    assert offers["claude@anthropic"]["price"]["rate"] == {"input": "2.5", "output": "15", "cache_read": "0.3"}
    assert offers["claude-haiku@anthropic"]["upstream_model"] == "claude-haiku-4-5"
    assert plan.groups == [{"name": "gpt-4", "models": ["gpt-4o"]}]
    assert plan.policies == [{"name": "fallbacks-of-claude", "fallbacks": ["gpt-4o"]}]
    assert plan.model_policies == {"claude": "fallbacks-of-claude"}
    assert [key.text for key in plan.keys] == ["sk-1234"]
    config.parse(toml(plan))  # it is a configuration


def test_litellm_says_what_it_does_not_carry() -> None:
    found = lines(litellm.read(LITELLM), "not carried")
    for path in (
        "model_list[4]", "model_list[10]", "model_list[11]", "model_list[12]", "model_list[0].litellm_params.weight",
        "model_list[8].litellm_params.vertex_project", "model_list[8].litellm_params.vertex_location",
        "router_settings.model_group_alias.ghost",
        "router_settings.routing_strategy", "router_settings.num_retries", "litellm_settings.drop_params",
        "litellm_settings.fallbacks.*", "litellm_settings.context_window_fallbacks.claude",
        "general_settings.database_url", "environment_variables.REDIS_HOST", "(its database)",
    ):  # fmt: skip
        assert found.pop(path), path
    assert set(found) == {"model_list[7].litellm_params.aws_region_name"}


@pytest.mark.parametrize(
    "text",
    ["", "- a list", "model_list: {a: 1}", "a: 1\na: 2", "model_list: [", "x: !!python/object:os.system {}",
     "a: &a [*a]",
     "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
     "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]", "[" * 5000],
)  # fmt: skip
def test_a_file_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        litellm.read(text)
    assert refused.value.code == "import_unreadable"


# -- New API, One API

SCHEMA = """
CREATE TABLE channels (id integer primary key, type integer, key text, status integer, name text, weight integer,
  base_url text, models text, `group` text, model_mapping text, priority integer, param_override text,
  channel_info text);
CREATE TABLE users (id integer primary key, username text, password text, role integer, status integer, email text,
  quota integer, used_quota integer, `group` text, deleted_at datetime);
CREATE TABLE tokens (id integer primary key, user_id integer, key char(48), status integer, name text,
  expired_time integer, remain_quota integer, unlimited_quota numeric, model_limits_enabled numeric, model_limits text,
  allow_ips text, deleted_at datetime);
CREATE TABLE options (key text primary key, value text);
CREATE TABLE logs (id integer primary key, content text);
"""
OPTIONS = {
    "ModelRatio": '{"gpt-4o": 1.25, "embed-embedding": 0.01, "half": 0.5}', "CompletionRatio": '{"gpt-4o": 4}',
    "CacheRatio": '{"gpt-4o": 0.5}', "GroupRatio": '{"default": 1, "vip": 0.8, "dear": 1.5}', "Theme": "dark",
    "ModelPrice": '{"dall-e-3": 0.04, "flat": 0.1}',
}  # fmt: skip


def one_api(path: Path, base_url: str) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.executescript(SCHEMA)
        channels = [
            (1, 1, "sk-a\nsk-b", 1, "Main Channel", 5, base_url, "gpt-4o,embed-embedding,half", "default,vip",
             '{"gpt-4o": "gpt-4o-2024"}', 10, "", '{"is_multi_key": true}'),
            (2, 14, "sk-ant", 1, "claude", 0, "", "claude-sonnet-4-5", "default", "", 0, '{"a": 1}', ""),
            (3, 2, "mj", 1, "midjourney", 0, "", "mj", "default", "", 0, "", ""),
            (4, 1, "sk-off", 2, "off", 0, "", "gpt-4o", "default", "", 0, "", ""),
            (5, 1, "sk-img", 1, "pictures", 0, "", "dall-e-3,flat", "default", "not json", 0, "", ""),
        ]  # fmt: skip
        base.executemany(f"INSERT INTO channels VALUES ({','.join('?' * 13)})", channels)
        users = [(1, "root", "$2a$", 100, 1, "", 0, 0, "default", None),
                 (2, "Wei Chen", "$2a$", 1, 1, "w@x.test", 1_234_567, 9, "vip", None),
                 (3, "gone", "", 1, 2, "", 5, 0, "default", None),
                 (4, "owes", "", 1, 1, "", -500_000, 0, "dear", None)]  # fmt: skip
        base.executemany(f"INSERT INTO users VALUES ({','.join('?' * 10)})", users)
        tokens = [
            (1, 2, "A" * 48, 1, "laptop", -1, 0, 1, 0, "", "", None),
            (2, 2, "B" * 48, 1, "capped", 4_102_444_800, 250_000, 0, 1, "gpt-4o", "10.0.0.0/8", None),
            (3, 2, "C" * 48, 3, "expired", 1, 1, 1, 0, "", "", None),
            (4, 3, "D" * 48, 1, "of gone", -1, 0, 1, 0, "", "", None),
            (5, 2, "E" * 48, 1, "empty", -1, 0, 0, 0, "", "", None),
        ]  # fmt: skip
        base.executemany(f"INSERT INTO tokens VALUES ({','.join('?' * 12)})", tokens)
        base.executemany("INSERT INTO options VALUES (?, ?)", OPTIONS.items())
        base.commit()
    return path


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    from baseload.cli.imports import _tables

    return _tables(path, True)


def test_ratios_quotas_and_tokens_to_the_last_digit(tmp_path: Path) -> None:
    plan = newapi.read(rows(one_api(tmp_path / "one-api.db", "http://10.0.0.5:3000")))
    providers, offers, accounts = by(plan, "providers"), by(plan, "offers"), by(plan, "accounts")
    assert providers["main-channel"] == {
        "name": "main-channel",
        "from": "openai",
        "base_url": "http://10.0.0.5:3000/v1",
    }
    assert plan.secrets == {"main-channel": "sk-a", "main-channel-2": "sk-b", "claude": "sk-ant", "pictures": "sk-img"}
    assert offers["gpt-4o@main-channel"]["price"]["rate"] == {"input": "2.5", "output": "10", "cache_read": "1.25"}
    assert offers["gpt-4o@main-channel"]["upstream_model"] == "gpt-4o-2024"
    assert offers["embed-embedding@main-channel"]["price"]["rate"] == {"input": "0.02"}
    assert offers["dall-e-3@pictures"]["price"]["rate"] == {"images": "0.04"}
    assert "price" not in offers["half@main-channel"]
    assert {one["name"]: one["margin_percent"] for one in plan.tariffs} == {"newapi-dear": "50", "newapi-vip": "-20"}
    assert accounts["wei-chen"] == {"name": "wei-chen", "tariff": "newapi-vip", "funding": "prepaid"}
    assert [(one.account, one.amount) for one in plan.openings] == [("wei-chen", "2.469134")]
    assert [(key.text, key.budget, key.models, key.expires_ns) for key in plan.keys] == [
        ("sk-" + "A" * 48, "", [], 0), ("sk-" + "B" * 48, "0.5", ["gpt-4o"], 4_102_444_800 * 10**9),
    ]  # fmt: skip
    found = lines(plan, "not carried")
    for path in (
        "channels[1].priority", "channels[1].weight", "channels[1].group", "channels[2].param_override", "channels[3]",
        "channels[4]", "channels[5].model_mapping", "options.ModelPrice.flat",
        "users[3]", "users[4].quota", "tokens[2].allow_ips",
        "tokens[3]", "tokens[4]", "tokens[5]", "options", "logs", "users[2].email",
    ):  # fmt: skip
        assert path in found, path
    config.parse(toml(plan))


def test_an_old_one_api_without_the_newer_columns() -> None:
    tables = {
        "channels": [{"id": 1, "type": 1, "key": "sk-a", "status": 1, "name": "", "models": "m", "base_url": None}],
        "users": [{"id": 1, "username": "a", "quota": 500_000, "status": 1}],
        "tokens": [{"id": 1, "user_id": 1, "key": "x" * 32, "status": 1, "name": None, "unlimited_quota": 1}],
    }  # fmt: skip
    plan = newapi.read(tables)
    assert plan.openings[0].amount == "1"
    assert plan.keys[0].text == "sk-" + "x" * 32
    config.parse(toml(plan))
    with pytest.raises(Refusal, match="no database of New API"):
        newapi.read({"options": []})


def test_a_block_is_found_again_and_a_change_in_it_is_seen() -> None:
    text = "[engine]\nenabled = false\n\n" + block("litellm", '[[groups]]\nname = "a"') + "\n# after\n"
    rest, old = split(text, "litellm")
    assert old == ('[[groups]]\nname = "a"\n', True)
    assert rest == "[engine]\nenabled = false\n\n\n# after\n"
    assert split(text.replace('"a"', '"b"'), "litellm")[1] == ('[[groups]]\nname = "b"\n', False)
    assert split(text, "newapi") == (text, None)
    assert name_of("  Größe / Ünïcode!  ") == "gr-e-n-code"
    assert name_of("***") == "imported"


@pytest.mark.parametrize("text", ['\x00\x1f\x7f"\\\n', "日本", "'''", "] # ["])
def test_any_text_is_the_same_after_toml(text: str) -> None:
    plan = Plan("litellm", offers=[{"name": text, "limits": {"concurrent": 3}, "endpoints": [text], "yes": True}])
    assert tomllib.loads(toml(plan)) == {
        "offers": [{"name": text, "limits": {"concurrent": 3}, "endpoints": [text], "yes": True}]
    }


# -- end to end


@pytest.fixture(scope="module")
def vendor() -> Iterator[Simulator]:
    with start("openai", models=("gpt-4o-2024",)) as started:
        yield started


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    with up(tmp_path_factory.mktemp("imports") / "home", "--no-engine") as started:
        yield started


def ask(grid: Grid, key: str, model: str) -> tuple[int, str]:
    port = int(grid.base_url.rpartition(":")[2].partition("/")[0])
    reply = exchange(Running(None, port, grid.process), post("/v1/chat/completions", chat(model), key=key))  # type: ignore[arg-type]
    return reply.status, reply.headers["x-baseload-call-id"]


def test_clients_of_new_api_go_on_with_their_keys(grid: Grid, vendor: Simulator, tmp_path: Path) -> None:
    path = str(one_api(tmp_path / "one-api.db", vendor.base_url.removesuffix("/v1")))
    config_file = grid.home / "baseload.toml"
    dry = grid.json("import", "newapi", path, "--dry-run")["import"]
    assert not dry["applied"]
    assert not config_file.exists()
    assert "sk-a" not in json.dumps(dry)

    grid.run("import", "newapi", path, "--with-secrets")
    assert "sk-" not in config_file.read_text()
    status, call = ask(grid, "sk-" + "A" * 48, "gpt-4o")
    assert status == 200
    assert vendor.requests[-1].json["model"] == "gpt-4o-2024"
    record = grid.settled([call])[0]["attempts"][0]
    meters, charge = record["meters"], record["charge"]
    # 2.5 and 10 USD a million, and the group pays 0.8 of it: ratio 1.25 x 2 x 4, GroupRatio 0.8
    cost = meters["input_uncached"] * 2500 + meters.get("cache_read", 0) * 1250 + meters["output_total"] * 10_000
    assert charge["nano"] == cost * 8 // 10
    balance = next(row for row in grid.json("balance", "wei-chen")["balances"] if row["kind"] == "funding")
    assert balance["funds"] == "2.469134"
    assert ask(grid, "sk-" + "B" * 48, "gpt-4o")[0] == 200
    assert ask(grid, "sk-" + "B" * 48, "half")[0] in (403, 404)  # its key is for another model
    assert ask(grid, "sk-" + "C" * 48, "gpt-4o")[0] == 401

    before = config_file.read_text()
    again = grid.json("import", "newapi", path, "--with-secrets")["import"]  # a second time: nothing changes
    assert config_file.read_text() == before
    assert sum("is there already" in line["why"] for line in again["report"]) == 2
    assert grid.json("balance", "wei-chen")["balances"][0]["funds"] == "2.469134"
    assert len(grid.json("keys", "list", "--account", "wei-chen")["keys"]) == 2
    grid.run("import", "newapi", path, "--strict", code=8)

    config_file.write_text(before.replace('margin_percent = "-20"', 'margin_percent = "-10"'))  # a person's own change
    grid.run("import", "newapi", path, code=1)
    assert 'margin_percent = "-10"' in config_file.read_text()
    grid.run("import", "newapi", path, "--replace", "--with-secrets")
    assert config_file.read_text() == before
    assert [one for one in grid.json("ledger", "check")["findings"] if one["severity"] == "error"] == []


def test_a_litellm_config_beside_it(grid: Grid, vendor: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "model_list:\n"
        "  - model_name: gpt-4o-lite\n"
        f"    litellm_params: {{model: openai/gpt-4o-2024, api_base: '{vendor.base_url}', api_key: sk-clear,\n"
        "      input_cost_per_token: 1e-06, output_cost_per_token: 2e-06}\n"
        "general_settings: {master_key: sk-master-of-litellm}\n"
    )
    grid.run("import", "litellm", str(path), "--with-secrets")
    status, call = ask(grid, "sk-master-of-litellm", "gpt-4o-lite")
    assert status == 200
    record = grid.settled([call])[0]["attempts"][0]
    meters = record["meters"]
    assert record["cost"]["nano"] == meters["input_uncached"] * 1000 + meters["output_total"] * 2000
    path.write_text("model_list:\n  - model_name: 'a b'\n    litellm_params: {model: openai/x}\n")
    before = (grid.home / "baseload.toml").read_text()
    grid.run("import", "litellm", str(path), code=1)  # a name that no model may have: nothing is written
    assert (grid.home / "baseload.toml").read_text() == before
    assert "newapi" in before
