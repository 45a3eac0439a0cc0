"""Which doors an offer may name, which it gets by default, and what a vendor without that door says."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from baseload import store
from baseload.control.config import ConfigWrong, OfferConf, parse
from baseload.control.endpoints import ENDPOINTS, GENERATION, check_endpoints, default_endpoints
from baseload.control.services import config, offers, providers
from baseload.errors import Refusal
from baseload.money.price import PriceRow
from baseload.providers import catalogue
from baseload.store import tables as t
from baseload.wire.media import ENDPOINTS as MEDIA

PRICE = "price = { rate = { input = '1', output = '2' } }"


def row(**rate: str) -> PriceRow:
    return PriceRow(book="cost:x", model="m", currency="USD", rate=rate)


@pytest.mark.parametrize(
    ("vendor", "default"),
    [
        ("openai", ["chat"]),
        ("compatible", ["chat"]),
        ("vllm", ["chat"]),
        ("azure", ["chat"]),
        ("dashscope", ["chat"]),
        ("anthropic", ["messages"]),
        ("gemini", ["gemini"]),
        ("vertex", ["gemini"]),
        ("bedrock", ["converse"]),
    ],
)
def test_the_default_is_chat_or_the_vendors_own_protocol(vendor, default):
    assert default_endpoints(catalogue.vendor(vendor)) == default


def test_every_vendor_has_a_default_and_every_door_has_a_name():
    for name in catalogue.names():
        vendor = catalogue.vendor(name)
        (default,) = default_endpoints(vendor)
        assert default in GENERATION, name
        check_endpoints(vendor, [door for door in vendor.paths if door in ENDPOINTS])
    assert set(MEDIA) < set(ENDPOINTS)
    assert len(set(ENDPOINTS)) == len(ENDPOINTS) == 13


def test_a_model_without_an_output_price_is_an_embedding_model_where_the_vendor_embeds():
    openai, gemini, anthropic = (catalogue.vendor(name) for name in ("openai", "gemini", "anthropic"))
    assert default_endpoints(openai, [row(input="0.02")]) == ["embeddings"]
    assert default_endpoints(gemini, [row(input="0.15")]) == ["gemini_embed"]
    assert default_endpoints(anthropic, [row(input="0.15")]) == ["messages"]
    assert default_endpoints(openai, [row(input="5", output="10")]) == ["chat"]
    assert default_endpoints(openai, [row(input="5", output_image="40")]) == ["chat"]
    assert default_endpoints(openai, [row(images="40")]) == ["chat"]


def test_a_door_that_the_vendor_lacks_is_refused_with_those_it_has():
    with pytest.raises(Refusal) as refusal:
        check_endpoints(catalogue.vendor("anthropic"), ["messages", "chat"])
    assert refusal.value.param == "endpoints"
    assert "Anthropic" in refusal.value.say
    assert "chat" in refusal.value.say
    assert "It has: messages." in refusal.value.fix
    assert "any protocol" in refusal.value.fix  # a chat client needs no chat door
    with pytest.raises(Refusal) as refusal:
        check_endpoints(catalogue.vendor("anthropic"), ["rerank"])
    assert "any protocol" not in refusal.value.fix


def offer_file(vendor: str, endpoints: str, more: str = "") -> str:
    base = f'[[providers]]\nname = "p"\nfrom = "{vendor}"\nbase_url = "http://h:1/v1"\n{more}'
    return f'{base}[[offers]]\nmodel = "m"\nprovider = "p"\n{endpoints}\n{PRICE}\n'


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_file_takes_every_endpoint(endpoint):
    (offer,) = parse(offer_file("compatible", f'endpoints = ["{endpoint}"]')).offers
    assert offer.endpoints == [endpoint]


def test_an_unknown_endpoint_names_those_there_are():
    with pytest.raises(ConfigWrong) as wrong:
        parse(offer_file("compatible", 'endpoints = ["chta"]'))
    text = str(wrong.value)
    assert "offers[1].endpoints" in text
    assert all(f'"{endpoint}"' in text for endpoint in ENDPOINTS)


def stored(context, name):
    with store.reading(context.engine) as connection:
        return connection.execute(select(t.offers.c.endpoints).where(t.offers.c.name == name)).scalar()


@pytest.mark.parametrize(
    ("vendor", "said", "found"),
    [
        ("anthropic", "", ["messages"]),
        ("bedrock", "", ["converse"]),
        ("openai", "", ["chat"]),
        ("openai", 'endpoints = ["responses", "chat"]', ["responses", "chat"]),
        ("openai", 'endpoints = ["images"]', ["images"]),
    ],
)
def test_the_file_is_applied_with_the_vendors_doors(context, vendor, said, found):
    context.home.config.write_text(offer_file(vendor, said))
    config.apply(context, "test")
    assert stored(context, "m@p") == found
    assert config.diff(context) == []


def test_the_file_is_refused_where_the_vendor_has_no_such_door(context):
    context.home.config.write_text(offer_file("gemini", 'endpoints = ["chat"]'))
    with pytest.raises(ConfigWrong) as wrong:
        config.diff(context)
    (finding,) = wrong.value.findings
    assert (finding.field, finding.line) == ("offers[1].endpoints", 8)
    assert "no chat endpoint" in finding.say
    assert "gemini" in finding.fix


def add_provider(context, vendor, name, models=()):
    return providers.add(
        context,
        "test",
        vendor=vendor,
        name=name,
        base_url="http://127.0.0.1:9/v1",
        scope="",
        models=list(models),
        key="k",
    )


def test_an_offer_of_the_file_at_a_provider_made_by_command_gets_that_vendors_doors(context):
    add_provider(context, "anthropic", "made", ["x"])
    text = f'[[offers]]\nmodel = "m"\nprovider = "made"\n{PRICE}\n'
    context.home.config.write_text(text)
    config.apply(context, "test")
    assert stored(context, "m@made") == ["messages"]
    assert config.diff(context) == []
    context.home.config.write_text(text + 'endpoints = ["embeddings"]\n')
    with pytest.raises(Refusal) as refusal:
        config.diff(context)
    assert "The offer m@made" in str(refusal.value)
    assert "no embeddings endpoint" in str(refusal.value)


def test_a_provider_made_by_command_gets_its_own_protocol_for_each_model(context):
    def doors(vendor, models):
        made = add_provider(context, vendor, f"made-{vendor}", models)
        return {offer["model"]: offer["endpoints"] for offer in made["offers"]}

    assert doors("anthropic", ["a"]) == {"a": ["messages"]}
    assert doors("gemini", ["g", "gemini-embedding-001"]) == {"g": ["gemini"], "gemini-embedding-001": ["gemini_embed"]}
    assert doors("openai", ["o", "text-embedding-3-small"]) == {"o": ["chat"], "text-embedding-3-small": ["embeddings"]}
    assert doors("vllm", ["v"]) == {"v": ["chat", "completions"]}


def test_an_offer_made_by_command_names_any_door_of_its_vendor(context):
    add_provider(context, "compatible", "gpu", ["x"])
    rate = {"rate": {"images": "40"}}
    made = offers.add(context, "test", model="painter", provider="gpu", endpoints=["images"], price=rate)
    assert (made["endpoints"], made["price"]) == (["images"], {"currency": "USD", "images": "40"})
    with pytest.raises(Refusal) as refusal:  # without a door it would be chat, which 40 an image do not price
        offers.add(context, "test", model="talker", provider="gpu", price=rate)
    assert (refusal.value.code, "--endpoints" in refusal.value.fix) == ("price_incomplete", True)
    tokens = {"rate": {"input": "1", "output": "1"}}
    assert offers.add(context, "test", model="talker", provider="gpu", price=tokens)["endpoints"] == ["chat"]
    for endpoints in (["gemini"], ["nonsense"]):
        with pytest.raises(Refusal) as refusal:
            offers.add(context, "test", model="other", provider="gpu", endpoints=endpoints, price=rate)
        assert (refusal.value.code, refusal.value.param) == ("endpoint_wrong", "endpoints")


def test_an_offer_without_endpoints_keeps_those_it_had_when_it_is_given_a_price(context):
    add_provider(context, "vllm", "gpu", ["v"])
    priced = offers.add(context, "test", model="v", provider="gpu", price={"rate": {"input": "1", "output": "1"}})
    assert priced["endpoints"] == ["chat", "completions"]


def test_nothing_said_is_told_from_nothing_wanted():
    assert OfferConf(model="m", provider="p").endpoints is None
    with pytest.raises(ConfigWrong):
        parse(offer_file("compatible", "endpoints = []"))
