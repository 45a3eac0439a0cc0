"""Statements in the database: imported once, compared with readings, differences posted when a person approves them.

a difference of +n    cost:PROVIDER:CUR <- payable:PROVIDER:CUR    the vendor bills more than the book had
of -n                 the reverse
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.book import insert_rows, post
from baseload.ledger.reconcile.formats import DAY_NS, Line
from baseload.ledger.reconcile.match import Finding, Ours, match
from baseload.ledger.rollups import usage_meter
from baseload.ledger.settled import entry_of, rating_of, readings_query, stream
from baseload.ledger.texts import decimal, instant
from baseload.store import tables
from baseload.wire.usage import price_meters

Record = Callable[[Connection, str, str, dict[str, Any]], None]
_decode = msgspec.json.Decoder(dict[str, int]).decode


def keep(
    engine: Engine, provider: str, format: str, data: bytes, lines: list[Line], *, actor: str, now_ns: int,
    record: Record | None = None,
) -> tuple[int, bool]:  # fmt: skip
    """Imports a file's lines. Returns (statement id, made): the same file again is a no-op."""
    if not lines:
        raise Refusal("The file has no lines.", "Export another time.", code="statement_empty", status=422)
    digest = hashlib.sha256(data).digest()
    table = tables.statements
    with store.writing(engine) as connection:
        number = _provider(connection, provider)
        query = select(table.c.id).where(table.c.provider_id == number, table.c.hash == digest)
        known = connection.execute(query).scalar()
        if known is not None:
            return int(known), False
        days = [line.day_ns for line in lines]
        values = {
            "provider_id": number, "format": format, "hash": digest, "start_ns": min(days), "actor": actor,
            "end_ns": max(days) + DAY_NS, "imported_ns": now_ns,
        }  # fmt: skip
        made = connection.execute(table.insert().values(values)).inserted_primary_key
        assert made is not None
        statement = int(made[0])
        rows = [
            (statement, place, line.day_ns, line.model, line.credential, line.request, line.currency, line.nano,
             msgspec.json.encode(line.meters).decode())
            for place, line in enumerate(lines, 1)
        ]  # fmt: skip
        insert_rows(connection, tables.statement_lines, rows)
        if record is not None:
            record(connection, "statement.import", provider, {"statement": statement, "lines": len(lines)})
    return statement, True


def findings(engine: Engine, statement: int) -> list[Finding]:
    """What differs between a statement and the readings of its time."""
    with store.reading(engine) as connection:
        return _findings(connection, statement)


def _findings(connection: Connection, statement: int) -> list[Finding]:
    row = _statement(connection, statement)
    table = tables.statement_lines
    lines = [
        Line(day_ns=one.day_ns, model=one.model, credential=one.credential, request=one.request,
             currency=one.currency, nano=one.nano, meters=_decode(one.meters))
        for one in connection.execute(select(table).where(table.c.statement_id == statement).order_by(table.c.line))
    ]  # fmt: skip
    asked = any(line.request for line in lines)
    margin = DAY_NS if asked else 0  # requests are found on the other side of midnight, too
    return match(lines, _readings(connection, row, margin, {line.request for line in lines} if asked else set()))


def _readings(connection: Connection, row: Any, margin: int, requests: set[str]) -> Iterable[Ours]:
    reading, offer = tables.readings.c, tables.offers.c
    query = readings_query(
        reading.offer.in_(select(offer.id).where(offer.provider_id == row.provider_id)),
        reading.accepted_ns >= row.start_ns - margin,
        reading.accepted_ns < row.end_ns + margin,
    )
    query = query.add_columns(offer.upstream_model.label("asked_model"))
    query = query.outerjoin(tables.offers, offer.id == reading.offer)
    for one in stream(connection, query):
        day_ns = one.accepted_ns - one.accepted_ns % DAY_NS
        inside = row.start_ns <= one.accepted_ns < row.end_ns
        if (not inside and one.upstream_id not in requests) or one.state == "no_usage":
            continue
        entry, rating = entry_of(one), rating_of(one)
        meters: dict[str, int] = {}
        for name, count in price_meters(entry.meters).items():
            if count:
                kind = usage_meter(name)
                meters[kind] = meters.get(kind, 0) + count
        yield Ours(
            reading=one.id,
            request=one.upstream_id,
            day_ns=day_ns,
            end_ns=one.end_ns,
            model=one.asked_model or one.model,
            currency=rating.cost_currency or "",
            nano=rating.cost_nano or 0,
            meters=meters,
            reported=entry.input_provenance == "reported" and entry.output_provenance in ("reported", ""),
            metered=bool(entry.meters),
        )


def approve(
    engine: Engine, statement: int, keys: Iterable[str], *, actor: str, now_ns: int, record: Record | None = None
) -> list[int]:
    """Posts differences by their keys; those approved before are passed over. Returns the transactions made."""
    wanted, made = set(keys), list[int]()
    with store.writing(engine) as connection:
        row = _statement(connection, statement)
        known = {one.key: one for one in _findings(connection, statement)}
        table = tables.approvals
        done = {
            key.partition(":")[2]
            for key in connection.execute(select(table.c.key).where(table.c.statement_id == statement)).scalars()
        }
        unknown = sorted(wanted - known.keys() - done)
        if unknown:
            raise Refusal(f"The statement has no difference {unknown[0]!r}.", "baseload reconcile show",
                          code="difference_not_found", status=404)  # fmt: skip
        for key in sorted(wanted - done):
            one = known[key]
            if not one.nano:
                continue
            cost, payable = ("cost", row.provider_id, one.currency), ("payable", row.provider_id, one.currency)
            sides = (cost, payable) if one.nano > 0 else (payable, cost)
            transaction, fresh = post(
                connection,
                key=f"reconcile:{statement}:{key}",
                at_ns=max(row.end_ns - 1, 0),
                memo=f"{one.kind}: {one.say}",
                moves=[(*sides, abs(one.nano))],
            )
            if fresh:
                connection.execute(
                    table.insert().values(
                        key=f"{statement}:{key}", statement_id=statement, transaction_id=transaction, at_ns=now_ns,
                        actor=actor,
                    )
                )  # fmt: skip
                made.append(transaction)
        if record is not None and made:
            record(connection, "statement.approve", str(statement), {"transactions": made})
    return made


def statements(engine: Engine) -> list[dict[str, Any]]:
    """What was imported, newest first."""
    table, provider = tables.statements, tables.providers.c
    query = select(table, provider.name).join(tables.providers, provider.id == table.c.provider_id)
    with store.reading(engine) as connection:
        rows = connection.execute(query.order_by(table.c.id.desc())).all()
        approved = list(connection.execute(select(tables.approvals.c.statement_id)).scalars())
    return [
        {"id": row.id, "provider": row.name, "format": row.format, "start": instant(row.start_ns),
         "end": instant(row.end_ns), "imported": instant(row.imported_ns), "approved": approved.count(row.id)}
        for row in rows
    ]  # fmt: skip


def shown(one: Finding) -> dict[str, Any]:
    """A finding for people and programs."""
    return {
        "key": one.key, "kind": one.kind, "day": instant(one.day_ns)[:10], "model": one.model,
        "amount": decimal(one.nano), "currency": one.currency, "tokens": one.tokens, "request": one.request,
        "readings": len(one.readings), "say": one.say,
    }  # fmt: skip


def _provider(connection: Connection, name: str) -> int:
    found = connection.execute(select(tables.providers.c.id).where(tables.providers.c.name == name)).scalar()
    if found is None:
        raise Refusal(f"There is no provider {name!r}.", "baseload providers list", code="provider_not_found",
                      status=404)  # fmt: skip
    return int(found)


def _statement(connection: Connection, number: int) -> Any:
    row = connection.execute(select(tables.statements).where(tables.statements.c.id == number)).one_or_none()
    if row is None:
        raise Refusal(f"There is no statement {number}.", "baseload reconcile list", code="statement_not_found",
                      status=404)  # fmt: skip
    return row
