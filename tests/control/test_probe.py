"""`providers test` asks each vendor in its own protocol and with its own kind of credential, over a real socket."""

from __future__ import annotations

import json

import pytest
from tests.vendors import AWS_ID, AWS_SECRET, start

from baseload.control.services import config, offers, probe, providers
from baseload.errors import Refusal

PRICE = {"rate": {"input": "1", "output": "1"}}


def add(context, vendor, sim, key, models=("m",)):
    name = f"p-{vendor}".replace("_", "-")
    providers.add(
        context, "test", vendor=vendor, name=name, base_url=sim.provider_url, scope="", models=list(models), key=key
    )
    return name


@pytest.mark.parametrize(
    ("vendor", "path"),
    [
        ("openai", "/chat/completions"),
        ("deepseek", "/chat/completions"),
        ("anthropic", "/v1/messages"),
        ("gemini", "/v1beta/models/m:generateContent"),
        ("azure_deployments", "/deployments/m/chat/completions?api-version=2024-10-21"),
    ],
)
def test_a_vendor_is_asked_in_its_own_protocol(context, vendor, path):
    with start(vendor, key="sk-right") as sim:
        name = add(context, vendor, sim, "sk-right")
        asked = probe.try_out(context, name, "m")
        assert (asked["ok"], asked["status"], asked["detail"]) == (True, 200, "m answered.")
        assert sim.requests[-1].path.endswith(path)


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "gemini"])
def test_models_are_listed_as_the_vendor_lists_them(context, vendor):
    with start(vendor, key="sk-right", models=("m", "n")) as sim:
        name = add(context, vendor, sim, "sk-right")
        assert probe.try_out(context, name)["detail"] == "2 models listed."
        providers.store_key(context, "test", name, key="sk-wrong")
        refused = probe.try_out(context, name)
        assert (refused["ok"], refused["fault"]) == (False, "bad_key")
        assert "sk-wrong" not in json.dumps(refused)


@pytest.mark.parametrize("key", [f"{AWS_ID}:{AWS_SECRET}", "bearer-key"])
def test_bedrock_is_signed_or_takes_a_bearer_key(context, key):
    with start("bedrock") as sim:
        name = add(context, "bedrock", sim, key, ["vendor.model-v1:0"])
        asked = probe.try_out(context, name, "vendor.model-v1:0")
        assert (asked["ok"], asked["detail"]) == (True, "vendor.model-v1:0 answered.")
        assert sim.requests[-1].path == "/model/vendor.model-v1%3A0/converse"
        before = len(sim.requests)
        listed = probe.try_out(context, name)
        assert (listed["ok"], "--model" in listed["fix"], len(sim.requests)) == (False, True, before)


def test_a_wrong_signature_is_a_bad_key(context):
    with start("bedrock") as sim:
        name = add(context, "bedrock", sim, f"{AWS_ID}:wrong-secret")
        asked = probe.try_out(context, name, "m")
        assert (asked["ok"], asked["fault"]) == (False, "bad_key")
        assert "wrong-secret" not in json.dumps(asked)


def test_vertex_is_asked_with_a_token_that_google_gives(context):
    with start("vertex") as sim:
        name = add(context, "vertex", sim, json.dumps(sim.account))
        listed = probe.try_out(context, name)
        assert listed["ok"]
        assert "token" in listed["detail"]
        assert "--model" in listed["detail"]
        asked = probe.try_out(context, name, "m")
        assert (asked["ok"], asked["detail"]) == (True, "m answered.")
        assert sim.requests[-1].path.endswith("/models/m:generateContent")
        assert "PRIVATE" not in json.dumps(asked) + json.dumps(listed)


def test_a_service_account_that_google_refuses_is_a_bad_key(context):
    with start("vertex") as sim:
        account = {**sim.account, "client_email": "nobody@p-1.iam.gserviceaccount.com"}
        name = add(context, "vertex", sim, json.dumps(account))
        asked = probe.try_out(context, name, "m")
        assert (asked["ok"], asked["fault"]) == (False, "bad_key")


def test_a_service_account_that_is_none_is_refused_before_it_is_stored(context):
    with start("vertex") as sim, pytest.raises(Refusal) as refusal:
        add(context, "vertex", sim, '{"type":"authorized_user"}')
    assert refusal.value.code == "bad_credential"
    with start("openai") as sim, pytest.raises(Refusal) as refusal:
        add(context, "openai", sim, '{"type": "service_account"}')  # only Google's vendors take a file for a key
    assert refusal.value.code == "key_wrong"


def test_the_model_s_own_door_is_tried(context):
    with start("openai", key="k") as sim:
        name = add(context, "openai", sim, "k", ["text-embedding-3-small"])
        offers.add(
            context, "test", model="mine", provider=name, upstream_model="m", endpoints=["responses"], price=PRICE
        )
        assert probe.try_out(context, name, "m")["ok"]
        assert sim.requests[-1].path.endswith("/responses")
        assert probe.try_out(context, name, "text-embedding-3-small")["ok"]
        assert sim.requests[-1].path.endswith("/embeddings")
        offers.add(
            context, "test", model="painter", provider=name, endpoints=["images"], price={"rate": {"images": "40"}}
        )
        with pytest.raises(Refusal) as refusal:
            probe.try_out(context, name, "painter")
        assert refusal.value.code == "probe_unsupported"


def test_pitfall_21_a_200_with_an_error_in_it_is_no_success(context):
    with start("openai", key="k", failure="overloaded") as sim:
        name = add(context, "openai", sim, "k")
        assert probe.try_out(context, name, "m")["fault"] == "overloaded"
    with start("minimax", key="k", failure="no_money") as sim:
        name = add(context, "minimax", sim, "k")
        asked = probe.try_out(context, name, "m")
        assert (asked["ok"], asked["fault"]) == (False, "no_money")


def test_what_failed_names_the_next_step(context, monkeypatch):
    """A stored key is stored again, one that is named is set there; a wrong address is shown as it was asked."""
    monkeypatch.setenv("OF_A_VENDOR", "wrong")
    with start("openai", key="k") as sim:
        name = add(context, "openai", sim, "wrong")
        assert probe.try_out(context, name)["fix"] == f"Store another one: baseload providers key {name}"
        context.home.config.write_text(
            f'[[providers]]\nname = "named"\nfrom = "openai"\nbase_url = "{sim.provider_url}"\n'
            'credential = "env:OF_A_VENDOR"\n'
        )
        config.apply(context, "file")
        assert probe.try_out(context, "named")["fix"] == "Set a valid key in env:OF_A_VENDOR."
    with start("vllm", status=404) as sim:
        name = add(context, "vllm", sim, "")
        for model, asked in (("", "GET"), ("m", "POST")):
            result = probe.try_out(context, name, model)
            assert result["fault"] == "not_found"
            assert "base_url" in result["fix"]
            assert f"{asked} {sim.provider_url}/" in result["fix"]


def test_a_vendor_without_public_address_says_how_one_looks(context):
    with pytest.raises(Refusal) as refusal:
        providers.add(context, "test", vendor="azure", name="", base_url="", scope="", models=[], key="k")
    assert "https://RESOURCE.openai.azure.com/openai/v1" in refusal.value.fix
    assert "--base-url" in refusal.value.fix


def test_addresses_below_the_base_and_below_the_host():
    assert probe.url_of("https://h:1/v1", "/messages", "m") == "https://h:1/v1/messages"
    assert probe.url_of("https://h:1/api/v1", "//anthropic/v1/messages", "m") == "https://h:1/anthropic/v1/messages"
    assert probe.url_of("https://h/v1beta", "/models/{model}:generateContent", "a/b:c") == (
        "https://h/v1beta/models/a%2Fb%3Ac:generateContent"
    )
