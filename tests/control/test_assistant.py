"""What a model is given of a chat, and which model. Pure parts; the whole is in tests/console/test_assistant.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from baseload.control.assistant import chats, files, talk
from baseload.control.assistant.sealed import Box
from baseload.errors import Refusal
from baseload.gateway.snapshot import GroupRow, OfferRow, ProviderRow, Snapshot
from baseload.gateway.vault import Vault
from baseload.money.price import PriceRow

NOW = 1_795_000_000_000_000_000


def snapshot(*groups: str) -> Snapshot:
    """small: 1 USD; dear: 9 USD and sees; yuan: 4 CNY = 0.56 USD; free of price: none."""
    rates = {"small": ("1", "USD"), "dear": ("9", "USD"), "yuan": ("4", "CNY")}
    prices = [
        PriceRow(id=n, book="cost:x", model=name, currency=currency, rate={"input": rate, "output": rate})
        for n, (name, (rate, currency)) in enumerate(rates.items(), 1)
    ]
    offers = [
        OfferRow(id=n, name=f"{name}@x", model=name, provider=1, upstream_model=name, endpoints=("chat",),
                 cost_prices=(n,), context_max={"small": 4096}.get(name, 0),
                 capabilities=("vision",) if name == "dear" else ())
        for n, name in enumerate((*rates, "priceless"), 1)
    ]  # fmt: skip
    return Snapshot(
        format=1, version=1, made_ns=NOW, accounts=[], keys=[], offers=offers, tariffs=[], prices=prices,
        providers=[ProviderRow(id=1, name="x", kind="vendor", dialect="openai", base_url="http://127.0.0.1:1/v1")],
        groups=[GroupRow(name=name, models=("small",)) for name in groups], fx={"CNY": "0.14"},
    )  # fmt: skip


def test_the_model_is_the_one_that_is_wanted_or_the_cheapest_that_can() -> None:
    assert talk.choose(snapshot(), "small", False, NOW) == "small"
    assert talk.choose(snapshot(), "", False, NOW) == "yuan"  # compared in one currency
    assert talk.choose(snapshot(), "", True, NOW) == "dear"
    assert talk.choose(snapshot("cheap", "auto"), "", False, NOW) == "auto"
    assert talk.choose(snapshot("cheap"), "", False, NOW) == "cheap"
    assert talk.choose(snapshot("cheap"), "", True, NOW) == "dear"
    with pytest.raises(Refusal, match="serves no model"):
        talk.choose(None, "", False, NOW)


def test_the_newest_messages_that_fit_are_sent() -> None:
    said = [
        ("user", "a" * 40),
        ("assistant", "b" * 40),
        ("user", "c" * 40),
        ("assistant", "d" * 40),
        ("user", "e" * 40),
    ]
    messages = talk.as_sent([{"role": role, "text": text, "files": []} for role, text in said], {})
    kept, left_out = talk.fitted(messages, 1000)
    assert (len(kept), left_out) == (5, 0)
    kept, left_out = talk.fitted(messages, 130)  # three fit
    assert ([one["content"][0]["text"][0] for one in kept], left_out) == (["c", "d", "e"], 2)
    kept, left_out = talk.fitted(messages, 100)  # two fit, and the first would be an answer
    assert ([one["content"][0]["text"][0] for one in kept], left_out) == (["e"], 4)
    assert len(talk.fitted(messages, 3)[0]) == 1  # the question always
    assert talk.context_of(snapshot(), "small") == 4096
    assert talk.context_of(snapshot(), "dear") == talk.CONTEXT


def test_a_document_stands_before_its_question_and_a_picture_as_data() -> None:
    opened = {
        1: files.File(1, "a.txt", "text/plain", b"x", "the text"),
        2: files.File(2, "b.png", "image/png", b"\x89", ""),
    }
    message = {"role": "user", "text": "what?", "files": [{"id": 1}, {"id": 2}, {"id": 3}]}
    parts = talk.as_sent([message], opened)[0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    assert "the text" in parts[0]["text"]
    assert parts[1]["image_url"]["url"] == "data:image/png;base64,iQ=="
    assert parts[2]["text"] == "what?"


def row(number: int, parent: int | None) -> Any:
    return SimpleNamespace(id=number, parent_id=parent)


def test_branches() -> None:
    tree = {one.id: one for one in (row(1, None), row(2, 1), row(3, 1), row(4, 3), row(5, 4), row(6, 4), row(7, None))}
    assert [one.id for one in chats.branch(tree, 6)] == [1, 3, 4, 6]
    assert chats.branch(tree, None) == []
    assert chats.sisters(tree, tree[3]) == [2, 3]
    assert chats.sisters(tree, tree[1]) == [1, 7]
    assert chats.last_below(tree, 1) == 6
    assert chats.last_below(tree, 2) == 2
    looped = {1: row(1, 2), 2: row(2, 1)}
    assert len(chats.branch(looped, 1)) <= 3  # a wrong table is no endless loop


@pytest.mark.parametrize(
    ("body", "media"),
    [(b"\x89PNG\r\n\x1a\n...", "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a..", "image/gif"),
     (b"RIFF\0\0\0\0WEBP", "image/webp"), (b"%PDF-1.7", "application/pdf"), (b"plain", "text/plain"),
     ("ü".encode(), "text/plain"), ("ü".encode("utf-16"), "text/plain"), ("ü".encode("latin-1"), ""), (b"a\0b", ""),
     (b"\x7fELF\x02\x01\x01\x00\xff", ""), (b"<svg onload=alert(1)>", "text/plain")],
)  # fmt: skip
def test_what_a_file_is_its_bytes_tell(body: bytes, media: str) -> None:
    assert files.media_of(body) == media


def test_a_box_opens_only_its_persons() -> None:
    vault = Vault(b"m" * 32)
    sealed = Box(vault, 1).seal(b"secret words")
    assert Box(vault, 1).open(sealed) == b"secret words"
    assert b"secret" not in sealed
    for other in (Box(vault, 2), Box(Vault(b"n" * 32), 1)):
        with pytest.raises(Refusal, match=r"secret\.key"):
            other.open(sealed)
    for damaged in (b"", sealed[:11], sealed[:-1], sealed[:20] + b"x" + sealed[21:]):
        with pytest.raises(Refusal):
            Box(vault, 1).open(damaged)
