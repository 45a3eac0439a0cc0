"""Policies from the file to the snapshot; what dispatch expected and saved, from the book; replays."""

from __future__ import annotations

import msgspec
import pytest
from tests.control.test_worker import reading

from baseload.control.config import ConfigWrong, parse
from baseload.control.services import config, dispatch, keys, policies
from baseload.control.worker import Settlement
from baseload.dispatch.policy import Limits
from baseload.errors import Refusal
from baseload.gateway.journal.writer import JournalWriter

FILE = """
[[policies]]
name = "outer"
regions = ["eu", "cn"]
max_cost = "0.5 USD"
[[policies]]
name = "inner"
objective = "fastest"
[[groups]]
name = "auto"
models = ["smollm2", "llama"]
policy = "inner"
[[accounts]]
name = "org"
policy = "outer"
[[accounts]]
name = "team"
parent = "org"
policy = "inner"
priority = "batch"
weight = 5
[[providers]]
name = "gpu1"
from = "vllm"
base_url = "http://127.0.0.1:9/v1"
credential = "env:ONE"
credentials = ["env:TWO"]
region = "eu"
limits = { concurrent = 4, tokens_per_minute = 1000 }
[[offers]]
model = "llama"
provider = "gpu1"
capabilities = ["tools", "schema"]
quality = { code = 800 }
supply = "spot"
price = { rate = { input = "1", output = "2" } }
[model_policies]
llama = "outer"
"""


def apply(context, text: str):
    context.home.config.write_text(text)
    config.apply(context, "test")
    context.publisher.publish()
    return context.publisher.current()


def test_from_the_file_to_the_snapshot(context):
    snapshot = apply(context, FILE)
    ids = {row.name: row.id for row in snapshot.policies}
    accounts = {row.name: row for row in snapshot.accounts}
    assert accounts["team"].policies == (ids["outer"], ids["inner"]), "the ancestors' come first"
    assert (accounts["team"].priority, accounts["team"].weight) == ("batch", 5)
    assert [(row.name, row.models, row.policy) for row in snapshot.groups] == [
        ("auto", ("smollm2", "llama"), ids["inner"])
    ]
    assert snapshot.model_policies == {"llama": ids["outer"]}
    policy = next(row.policy for row in snapshot.policies if row.name == "outer")
    assert (policy.regions, policy.max_cost, policy.objective) == (("eu", "cn"), "0.5 USD", None)
    provider = next(row for row in snapshot.providers if row.name == "gpu1")
    assert provider.credentials == ("env:TWO",)
    assert (provider.region, provider.limits) == ("eu", Limits(concurrent=4, tokens_per_minute=1000))
    offer = next(row for row in snapshot.offers if row.model == "llama")
    assert (offer.capabilities, offer.supply, offer.quality) == (("tools", "schema"), "spot", {"code": 800})
    assert config.diff(context) == [], "a second run changes nothing"
    listed = policies.list_policies(context)
    assert {row["name"]: row["used_by"] for row in listed}["outer"] == ["account org"]
    assert [row["name"] for row in policies.list_groups(context)] == ["auto"]


def test_a_policy_that_leaves_the_file_still_binds_the_key_that_names_it(context):
    apply(context, '[[policies]]\nname = "strict"\nregions = ["eu"]\n[[policies]]\nname = "free"\n')
    keys.create(context, "test", account="default", name="", models=[], expires_days=0, policy="strict")
    with pytest.raises(Refusal, match="nobody"):
        keys.create(context, "test", account="default", name="", models=[], expires_days=0, policy="nobody")
    later = apply(context, "")
    (kept,) = later.policies
    assert kept.name == "strict"
    assert [row.policy for row in later.keys] == [0, kept.id]
    assert (later.groups, later.model_policies) == ([], {})


WRONG = [
    ('[[policies]]\nname="p"\nrequire=["visoin"]', "vision"),
    ('[[policies]]\nname="p"\nmax_cost="1 GBP"', "GBP"),
    ('[[policies]]\nname="p"\nobjective="best"', "cheapest"),
    ('[[policies]]\nname="p"\nquality_min=2000', "1000"),
    ('[[policies]]\nname="p"\nresume=true', "resume"),
    ('[[policies]]\nname="p"\nregion=["eu"]', "regions"),
    ('[[accounts]]\nname="a"\npolicy="nobody"', "nobody"),
    ('[[accounts]]\nname="a"\nweight=0', "weight"),
    ('[[groups]]\nname="g"\nmodels=[]', "at least one"),
    ('[[groups]]\nname="smollm2"\nmodels=["x"]', "taken"),
    ('[[providers]]\nname="openai"\ncredentials=["sk-secret-text"]', "env:NAME"),
    ('[[offers]]\nmodel="m"\nprovider="p"\ncapabilities=["flying"]', "capabilities"),
    ('[[offers]]\nmodel="m"\nprovider="p"\nquality=5000', "1000"),
    ('[[offers]]\nmodel="m"\nprovider="p"\nlimits={concurrent=-1}', "negative"),
    ('[model_policies]\nm="nobody"', "nobody"),
]


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_what_is_wrong_is_refused_with_its_line_and_what_would_be_right(text, says):
    with pytest.raises(ConfigWrong) as caught:
        parse(text)
    assert says in str(caught.value)
    assert "baseload.toml:" in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_expected_actual_and_what_each_single_offer_would_have_cost(context):
    more = '[[providers]]\nname="v"\nfrom="vllm"\nbase_url="http://127.0.0.1:9/v1"\n[[offers]]\nmodel="smollm2"\nprovider="v"\n'
    apply(context, more + 'price = { rate = { input = "1", cache_read = "1", output = "2" } }\n')
    writer = JournalWriter(context.home.journal / "g0", "g0", segment_bytes=65536)
    for number in range(4):
        one = reading(f"call{number}", context)
        writer.append(
            msgspec.structs.replace(
                one, meters={"input_uncached": 100, "output_total": 10}, expected_nano=3000, expected=(90, 0, 12)
            )
        )
    writer.flush()
    writer.close()
    assert Settlement(context).round()
    (model,) = dispatch.report(context, since="1d")["models"]
    assert (model["model"], model["calls"]) == ("smollm2", 4)
    # 100 x 0.02 + 10 x 0.08 USD per million = 2,800 nano-units a call on the local engine; 120,000 at the other offer
    assert model["paid"]["nano"] == 4 * 2800
    assert model["forecast"] == {
        "calls": 4, "bias_per_mille": 4 * 200 * 1000 // (4 * 2800), "error_per_mille": 4 * 200 * 1000 // (4 * 2800),
        "output_error_per_mille": 200,
    }  # fmt: skip
    alone = {line["offer"]: line for line in model["alone"]}
    assert alone["smollm2@local"]["saved"]["nano"] == 0
    assert alone["smollm2@v"]["cost"]["nano"] == 4 * 120_000
    assert alone["smollm2@v"]["saved"]["nano"] == 4 * (120_000 - 2800)

    same = dispatch.run_replay(context, since="1d")
    assert (same["served"], same["saved"]["nano"]) == (4, 0)
    without = dispatch.run_replay(context, since="1d", without=["smollm2@local"])
    assert without["saved"]["nano"] == 4 * (2800 - 120_000)
    dearer = dispatch.run_replay(context, since="1d", factors={"smollm2@local": "100"})
    assert {line["offer"] for line in dearer["offers"]} == {"smollm2@v"}
    nobody = dispatch.run_replay(context, since="1d", policy={"regions": ["mars"]})
    assert (nobody["served"], nobody["unserved"][0]["calls"]) == (0, 4)
    with pytest.raises(Refusal, match="nobody"):
        dispatch.run_replay(context, without=["nobody"])
    with pytest.raises(Refusal, match="policy"):
        dispatch.run_replay(context, policy={"objective": 3})
    with pytest.raises(Refusal, match="factor"):
        dispatch.run_replay(context, factors={"smollm2@local": "cheap"})


def test_the_api_answers_both(owner):
    assert owner.get("/api/dispatch/report").json()["report"]["models"] == []
    assert owner.post("/api/dispatch/replay", json={"since": "2d"}).json()["replay"]["calls"] == 0
    assert owner.post("/api/dispatch/replay", json={"policy": {"regoins": []}}).status_code == 400
