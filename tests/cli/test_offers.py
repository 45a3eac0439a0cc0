"""`baseload offers add` for every kind of endpoint: named doors, prices by any meter, and what is refused."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def run(control):
    add = ("providers", "add", "compatible", "--base-url", "http://127.0.0.1:9/v1", "--models", "x", "--no-key")
    assert control.cli(*add, "--name", "media").code == 0
    key = ("providers", "add", "anthropic", "--name", "claude", "--models", "claude-x")
    assert control.cli(*key, stdin="sk-ant\n").code == 0
    return control.cli


def test_an_offer_is_priced_by_the_meters_it_is_billed_by(run):
    rates = ("--rate", "images=40", "--rate", "input=5")
    made = run("offers", "add", "painter", "media", "--endpoints", "images", *rates, "--json")
    assert made.code == 0, made.err
    offer = made.json["offer"]
    assert (offer["endpoints"], offer["price"]) == (["images"], {"currency": "USD", "images": "40", "input": "5"})
    heard = run("offers", "add", "ears", "media", "--endpoints", "transcriptions", "--rate", "audio_ms=0.36", "--json")
    assert heard.json["offer"]["price"] == {"currency": "USD", "audio_ms": "0.36"}
    assert "painter@media" not in run("prices", "check").out


def test_doors_are_the_vendors_own_where_none_is_named(run):
    rate = ("--price-input", "3", "--price-output", "15")
    assert run("offers", "add", "c", "claude", *rate, "--json").json["offer"]["endpoints"] == ["messages"]
    both = run("offers", "add", "both", "media", *rate, "--endpoints", "chat, responses", "--json")
    assert both.json["offer"]["endpoints"] == ["chat", "responses"]


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (("c2", "claude", "--endpoints", "chat"), 1, "no chat endpoint"),
        (("c2", "claude", "--endpoints", "nonsense"), 1, "'nonsense' is not an endpoint"),
        (("c2", "media", "--rate", "images"), 2, "METER=PRICE"),
        (("c2", "media", "--rate", "=4"), 2, "METER=PRICE"),
        (("c2", "media", "--rate", "holograms=4"), 1, "holograms"),
        (("c2", "media", "--rate", "images=cheap"), 1, "cheap"),
    ],
)
def test_what_is_wrong_says_what_would_be_right(run, words, code, say):
    done = run("offers", "add", *words)
    assert (done.code, say in done.err) == (code, True), done.err


def test_a_service_account_s_file_is_a_vertex_key(run, tmp_path):
    path = tmp_path / "account.json"
    path.write_text('{\n  "type": "authorized_user"\n}\n')
    add = ("providers", "add", "vertex", "--base-url", "http://127.0.0.1:9/v1/projects/p/locations/l/publishers/google")
    refused = run(*add, "--models", "g", "--key-file", str(path))
    assert refused.code == 1
    assert "no Google service account" in refused.err
    assert "authorized_user" in refused.err
