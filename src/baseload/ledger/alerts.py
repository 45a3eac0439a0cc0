"""Alerts: what a person should know, each once by its key, until it was sent.

In:     budgets that reach a part of their limit, payments that could not be posted. Out: rows of `alerts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select, update

from baseload import store
from baseload.ledger.purses import PurseBook
from baseload.ledger.texts import decimal, instant
from baseload.store import tables

TRIES_MAX = 20


def raise_alert(connection: Connection, key: str, kind: str, body: dict[str, Any], now_ns: int) -> bool:
    """A new alert; False = it was raised before. Call within `store.writing`."""
    table = tables.alerts
    if connection.execute(select(table.c.id).where(table.c.key == key)).scalar() is not None:
        return False
    text = msgspec.json.encode(body).decode()
    connection.execute(table.insert().values(key=key, at_ns=now_ns, kind=kind, body=text))
    return True


def budgets_reached(connection: Connection, book: PurseBook, places: Iterable[tuple[int, int]], now_ns: int) -> None:
    """Alerts for the parts of their limit that budgets have reached. `places`: (purse, begin of the window)."""
    table = tables.purse_windows.c
    for number, begin in places:
        purse = book.purses[number]
        if not purse.warn or not purse.limit_nano:
            continue
        query = select(table.spent_nano).where(table.purse_id == number, table.window_ns == begin)
        spent = int(connection.execute(query).scalar() or 0)
        for percent in purse.warn:
            if spent * 100 < purse.limit_nano * percent:
                continue
            body = {
                "account": purse.account, "key": purse.key, "budget": purse.name, "percent": percent,
                "spent": decimal(spent), "limit": decimal(purse.limit_nano), "currency": purse.currency,
                "window": instant(begin) if begin else "", "hard": purse.hard,
            }  # fmt: skip
            raise_alert(connection, f"budget:{number}:{begin}:{percent}", "budget", body, now_ns)


def unsent(engine: Engine, limit: int = 50) -> list[Any]:
    table = tables.alerts
    query = select(table).where(table.c.sent_ns == 0, table.c.tries < TRIES_MAX).order_by(table.c.id).limit(limit)
    with store.reading(engine) as connection:
        return list(connection.execute(query))


def tried(engine: Engine, number: int, now_ns: int, trouble: str) -> None:
    """One try to send it: "" = it was taken."""
    table = tables.alerts
    with store.writing(engine) as connection:
        values: dict[str, Any] = {"tries": table.c.tries + 1, "trouble": trouble}
        if not trouble:
            values["sent_ns"] = now_ns
        connection.execute(update(table).where(table.c.id == number).values(values))


def latest(engine: Engine, limit: int) -> list[dict[str, Any]]:
    """The latest alerts, newest first."""
    table = tables.alerts
    with store.reading(engine) as connection:
        rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(limit)).all()
    return [
        {"id": row.id, "at": instant(row.at_ns), "kind": row.kind, "body": msgspec.json.decode(row.body),
         "sent": instant(row.sent_ns) if row.sent_ns else "", "trouble": row.trouble}
        for row in rows
    ]  # fmt: skip
