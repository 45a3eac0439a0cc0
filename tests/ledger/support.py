"""A small grid for ledger tests: two accounts, two providers, three offers, prices one can multiply in one's head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Engine, text

from baseload import store
from baseload.gateway.journal.entries import AnyEntry, Hold, Reading, Refused
from baseload.gateway.journal.writer import JournalWriter
from baseload.ledger.prices import keep_price
from baseload.money.price import PriceRow
from baseload.store import tables

T0 = 1_790_000_000_000_000_000 // 3_600_000_000_000 * 3_600_000_000_000  # the start of an hour
SECOND, HOUR = 10**9, 3600 * 10**9

ACME, ZENITH = 1, 2  # accounts; ZENITH pays prices of its own for "small"
USD_OFFER, CNY_OFFER, OWN_OFFER = 1, 2, 3  # at vendor, vendor, engine
USD_PRICE, CNY_PRICE, OWN_PRICE, ZENITH_PRICE = 1, 2, 3, 4  # 1 input token = 1,000 nano of its currency, output 3,000
STANDARD, PARTNER = 1, 2  # tariffs: cost + 10 %, cost + 0 %


def row(book: str, currency: str, **rate: str) -> PriceRow:
    """A price row; rates a million tokens."""
    return PriceRow(book=book, vendor=book, model="small", currency=currency, rate=rate)


ROWS = (
    row("cost:vendor", "USD", input="1", cache_read="0.1", output="3"),
    row("cost:vendor", "CNY", input="1", output="3"),
    row("cost:engine", "USD", input="0", output="0"),
    row("tariff:zenith", "EUR", input="2", cache_read="2", output="6"),
)


def configure(engine: Engine) -> None:
    """Ids as the constants above say, on both databases."""
    with store.writing(engine) as connection:
        for number, price in enumerate(ROWS, 1):
            assert keep_price(connection, price).id == number
        _put(connection, tables.tariffs, [("standard", {"margin_ppm": 100_000}), ("partner", {"margin_ppm": 0})])
        money = {"currency": "USD", "tariff_id": STANDARD, "created_ns": 0}
        _put(connection, tables.accounts, [("acme", money), ("zenith", money)])
        kind = {"kind": "vendor", "dialect": "openai", "base_url": "http://127.0.0.1"}
        _put(connection, tables.providers, [("vendor", kind), ("engine", kind)])
        at = {"model": "small", "upstream_model": "small"}
        offers = [("small@usd", 1), ("small@cny", 1), ("small@own", 2)]
        _put(connection, tables.offers, [(name, {**at, "provider_id": provider}) for name, provider in offers])


def _put(connection: Any, table: Any, rows: list[tuple[str, dict[str, Any]]]) -> None:
    for number, (name, values) in enumerate(rows, 1):
        found = connection.execute(table.insert().values(name=name, **values)).inserted_primary_key
        assert found is not None
        assert found[0] == number


def hold(call: str, attempt: int = 1, **changes: Any) -> Hold:
    made = Hold(
        call=call, attempt=attempt, account=ACME, key=1, offer=USD_OFFER, cost_price=USD_PRICE, charge_price=0,
        tariff=STANDARD, model="small", endpoint="chat", stream=True, hold_nano=5_000_000, currency="USD",
        request_bytes=400, accepted_ns=T0, expires_ns=T0 + 600 * SECOND, snapshot=1,
    )  # fmt: skip
    return replace(made, **changes)


def reading(call: str, attempt: int = 1, *, input: int = 0, output: int = 0, **changes: Any) -> Reading:
    """A reported reading of `input` and `output` tokens, as wire names its meters."""
    made = Reading(
        call=call, attempt=attempt, account=ACME, key=1, offer=USD_OFFER, cost_price=USD_PRICE, charge_price=0,
        tariff=STANDARD, model="small", endpoint="chat", stream=True, outcome="ok", status=200, fault="",
        meters={"input_uncached": input, "output_total": output}, input_provenance="reported",
        output_provenance="reported", flags=(), select={}, reported_cost="", raw_usage=b'{"prompt_tokens":1}',
        delivered_output=-1, accepted_ns=T0, sent_ns=T0 + 1, first_ns=T0 + 2, end_ns=T0 + SECOND, request_bytes=400,
        reply_bytes=900, upstream_id="u", upstream_model="small-1", currency="USD", hold_nano=5_000_000, snapshot=1,
    )  # fmt: skip
    return replace(made, **changes)


def unknown_usage(call: str, attempt: int = 1, **changes: Any) -> Reading:
    """A reading nobody knows the usage of."""
    missing = {"meters": {}, "input_provenance": "missing", "output_provenance": "missing", "raw_usage": b""}
    return reading(call, attempt, **{**missing, **changes})


def refused(call: str, **changes: Any) -> Refused:
    made = Refused(call, 0, 0, "small", "chat", "invalid_api_key", 401, T0, T0 + 1)
    return replace(made, **changes)


def journal(directory: Path, *entries: AnyEntry, gateway: str = "g1", close: bool = True) -> JournalWriter:
    """Appends entries to a gateway's journal, in a segment of their own."""
    writer = JournalWriter(directory, gateway, segment_bytes=2**20)
    for entry in entries:
        writer.append(entry)
    assert writer.flush()
    if close:
        assert writer.close()
    return writer


def balances(engine: Engine) -> dict[str, int]:
    """Code of a ledger account -> sum of its postings, those at zero left out."""
    query = (
        "SELECT a.code, SUM(e.amount_nano) FROM entries e JOIN ledger_accounts a ON a.id = e.ledger_account_id"
        " GROUP BY a.code"
    )
    with store.reading(engine) as connection:
        return {code: int(total) for code, total in connection.execute(text(query)) if total}


def table(engine: Engine, name: str, columns: str) -> list[tuple[Any, ...]]:
    """Rows of a table, in the order of their columns."""
    with store.reading(engine) as connection:
        order = ", ".join(str(number) for number in range(1, columns.count(",") + 2))
        return [tuple(found) for found in connection.execute(text(f"SELECT {columns} FROM {name} ORDER BY {order}"))]
