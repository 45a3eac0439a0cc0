"""Journal entries as rows of the database, and the roll-up of usage by the hour. Pure.

Texts that clients and providers chose may hold a NUL, which PostgreSQL's text cannot: it becomes U+FFFD on both
databases, so that no request can write an entry that settlement could never store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import astuple

from baseload.gateway.journal.entries import Hold, Reading, Refused
from baseload.gateway.journal.reader import Position
from baseload.ledger.rating import SETTLED, UNPRICED, Rating
from baseload.money.price import METERS
from baseload.store.tables import USAGE_KEY, USAGE_SUMS

HOUR_NS = 3_600_000_000_000

_json = msgspec.json.Encoder().encode

_FIELD = {name: number for number, name in enumerate(Reading.__struct_fields__)}
_CALL, _MODEL, _METERS, _FLAGS, _SELECT = (_FIELD[name] for name in ("call", "model", "meters", "flags", "select"))
_EXPECTED, _LEASES = _FIELD["expected"], _FIELD["leases"]
_UPSTREAM_ID, _UPSTREAM_MODEL, _REPORTED_COST = (
    _FIELD[name] for name in ("upstream_id", "upstream_model", "reported_cost")
)
ENTRY_FIRST = 4  # the entry's fields in a row of `readings`: after id, gateway, segment, byte_offset
ENTRY_LAST = ENTRY_FIRST + len(_FIELD)


def clean(text: str) -> str:
    """The text without NUL."""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def reading_row(
    number: int, gateway: str, position: Position, entry: Reading, rating: Rating, settled_ns: int
) -> tuple[Any, ...]:
    """A row of `readings`, in the order of its columns: the entry's own fields in the entry's own order between ours.

    Written for speed: settlement makes 20,000 of them a second.
    """
    fields = astuple(entry)
    for text in (fields[_CALL], fields[_MODEL], fields[_UPSTREAM_ID], fields[_UPSTREAM_MODEL], fields[_REPORTED_COST]):
        if "\0" in text:
            fields = tuple(clean(value) if isinstance(value, str) else value for value in fields)
            break
    return (
        number,
        gateway,
        position.segment,
        position.offset,
        *fields[:_METERS],
        _json(fields[_METERS]).decode(),
        *fields[_METERS + 1 : _FLAGS],
        _json(fields[_FLAGS]).decode() if fields[_FLAGS] else "[]",
        _json(fields[_SELECT]).decode() if fields[_SELECT] else "{}",
        *fields[_SELECT + 1 : _EXPECTED],
        _json(fields[_EXPECTED]).decode() if fields[_EXPECTED] else "[]",
        *fields[_EXPECTED + 1 : _LEASES],
        _json(fields[_LEASES]).decode() if fields[_LEASES] else "[]",
        *fields[_LEASES + 1 :],
        *(rating if "\0" not in rating.detail else rating._replace(detail=clean(rating.detail))),
        settled_ns,
    )


def refusal_row(number: int, gateway: str, position: Position, entry: Refused) -> tuple[Any, ...]:
    """A row of `refusals`."""
    return (
        number, gateway, position.segment, position.offset, clean(entry.call), entry.account, entry.key,
        clean(entry.model), clean(entry.endpoint), entry.code, entry.status, entry.accepted_ns, entry.end_ns,
    )  # fmt: skip


def hold_row(gateway: str, hold: Hold) -> tuple[Any, ...]:
    """A row of `open_holds`."""
    return (
        clean(hold.call), hold.attempt, gateway, hold.account, hold.key, hold.offer, clean(hold.model), hold.hold_nano,
        hold.currency, hold.accepted_ns, hold.expires_ns,
    )  # fmt: skip


def reading_of(row: Any) -> Reading:
    """The journal's entry again, from a row of `readings` (any mapping or SQLAlchemy row with the columns' names)."""
    return Reading(
        call=row.call,
        attempt=row.attempt,
        account=row.account,
        key=row.key,
        offer=row.offer,
        cost_price=row.cost_price,
        charge_price=row.charge_price,
        tariff=row.tariff,
        model=row.model,
        endpoint=row.endpoint,
        stream=bool(row.stream),
        outcome=row.outcome,
        status=row.status,
        fault=row.fault,
        meters=decode_meters(row.meters),
        input_provenance=row.input_provenance,
        output_provenance=row.output_provenance,
        flags=decode_flags(row.flags),
        select=decode_select(row.selectors),
        reported_cost=row.reported_cost,
        raw_usage=bytes(row.raw_usage),
        delivered_output=row.delivered_output,
        accepted_ns=row.accepted_ns,
        sent_ns=row.sent_ns,
        first_ns=row.first_ns,
        end_ns=row.end_ns,
        request_bytes=row.request_bytes,
        reply_bytes=row.reply_bytes,
        upstream_id=row.upstream_id,
        upstream_model=row.upstream_model,
        currency=row.hold_currency,
        hold_nano=row.hold_nano,
        snapshot=row.snapshot,
        credential=row.credential,
        expected_nano=row.expected_nano,
        expected=_expected(row.expected),
        seen=bytes(row.seen or b""),
        leases=_expected(row.leases),
        charge_max=row.charge_max,
        fx=row.fx,
    )


decode_meters = msgspec.json.Decoder(dict[str, int]).decode
_expected = msgspec.json.Decoder(tuple[int, ...]).decode
decode_flags = msgspec.json.Decoder(tuple[str, ...]).decode
decode_select = msgspec.json.Decoder(dict[str, str | bool]).decode

USAGE_UPSERT = f" ON CONFLICT ({', '.join(USAGE_KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = usage_hours.{name} + excluded.{name}" for name in USAGE_SUMS
)

_AT = {name: number for number, name in enumerate(USAGE_SUMS)}
_CALLS, _ATTEMPTS, _NOT_REPORTED, _REASONING = (
    _AT[name] for name in ("calls", "attempts", "not_reported", "reasoning")
)
_COST, _CHARGE = _AT["cost_nano"], _AT["charge_nano"]


def usage_meter(meter: str) -> str:
    """The column of `usage_hours` a meter is added to."""
    if meter in ("input", "cache_read", "output"):
        return meter
    if meter.startswith("cache_write"):
        return "cache_write"
    if meter.endswith("_call"):
        return "tools"
    if meter.startswith("cache_read"):
        return "cache_read"
    if meter.endswith(("_audio", "_image", "_video")) or meter in ("images", "characters", "audio_ms"):
        return "media"
    return "tools"


_METER_AT = {meter: _AT[usage_meter(meter)] for meter in METERS}


class Usage:
    """Adds readings up by hour, account, key, offer, model, outcome and currencies: what `usage_hours` moves by."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, int, int, int, str, str, str, str], list[int]] = {}

    def add(self, entry: Reading, used: Mapping[str, int], rating: Rating) -> None:
        """A new reading; `used` are its meters as they are priced."""
        sums = self._group(entry, rating)
        sums[_ATTEMPTS] += 1
        if entry.attempt == 1:
            sums[_CALLS] += 1
        if entry.input_provenance != "reported" or entry.output_provenance != "reported":
            sums[_NOT_REPORTED] += 1
        for meter, count in used.items():
            sums[_METER_AT.get(meter) or _AT[usage_meter(meter)]] += count
        sums[_REASONING] += entry.meters.get("reasoning", 0)
        if rating.state == SETTLED:
            sums[_COST] += rating.cost_nano or 0
            sums[_CHARGE] += rating.charge_nano or 0
        else:
            sums[_AT[rating.state]] += 1

    def settle_late(self, entry: Reading, used: Mapping[str, int], rating: Rating) -> None:
        """An unpriced reading got its amounts after all: it moves from the group without money to that with it."""
        was, now = self._group(entry, Rating(UNPRICED, "")), Usage()
        now.add(entry, used, rating)
        for (key, sums), other in zip(now._groups.items(), (was,), strict=True):
            target = self._groups.setdefault(key, [0] * len(USAGE_SUMS))
            for number, amount in enumerate(sums):
                target[number] += amount
                if number not in (_COST, _CHARGE):
                    other[number] -= amount
        was[_AT[UNPRICED]] -= 1

    def _group(self, entry: Reading, rating: Rating) -> list[int]:
        at_ns = entry.accepted_ns
        key = (at_ns - at_ns % HOUR_NS, entry.account, entry.key, entry.offer, entry.model,
               entry.outcome, rating.cost_currency or "", rating.charge_currency or "")  # fmt: skip
        sums = self._groups.get(key)
        if sums is None:
            sums = self._groups[key] = [0] * len(USAGE_SUMS)
        return sums

    def rows(self) -> list[tuple[Any, ...]]:
        """Rows of `usage_hours` in the order of its key, which is the order its pages are in."""
        return [
            (hour, account, key, offer, clean(model), *rest, *sums)
            for (hour, account, key, offer, model, *rest), sums in sorted(self._groups.items())
            if any(sums)
        ]
