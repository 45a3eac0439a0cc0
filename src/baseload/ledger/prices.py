"""Price rows, margins and providers as the database knows them, remembered by id.

In:     a connection. Out: `Basis` of a reading; ids of rows put in.
Price rows never change (the database refuses it), so they are read once. Margins and offers are few and are read at
every step of settlement.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, insert, select

from baseload.gateway.journal.entries import Reading
from baseload.ledger.rating import Basis
from baseload.money.price import PriceRow, row_key
from baseload.store import tables

ROWS_MAX = 4096  # price rows remembered; the least recently used goes first
_IN_MAX = 500  # bound parameters of one query

_body = msgspec.json.Decoder(PriceRow)


def keep_price(connection: Connection, row: PriceRow) -> PriceRow:
    """Puts a price row into the database, once: the same content gives the same id again. Returns it with its id.

    Call within `store.writing`: looking and inserting must not be parted by another writer.
    """
    key = row_key(row)
    table = tables.price_rows
    found = connection.execute(select(table.c.id).where(table.c.key == key)).scalar()
    if found is None:
        values = {
            "key": key, "book": row.book, "vendor": row.vendor, "model": row.model, "scope": row.scope,
            "currency": row.currency, "from_ns": row.from_ns, "to_ns": row.to_ns,
            "body": msgspec.json.encode(msgspec.structs.replace(row, id=0)).decode(),
        }  # fmt: skip
        found = connection.execute(insert(table).values(**values).returning(table.c.id)).scalar_one()
    return msgspec.structs.replace(row, id=int(found))


def load_prices(connection: Connection, ids: Iterable[int]) -> dict[int, PriceRow]:
    """Price rows by id; an id that is not there is left out."""
    wanted, found = sorted(set(ids) - {0}), {}
    table = tables.price_rows
    for start in range(0, len(wanted), _IN_MAX):
        query = select(table.c.id, table.c.body).where(table.c.id.in_(wanted[start : start + _IN_MAX]))
        for number, body in connection.execute(query):
            found[number] = msgspec.structs.replace(_body.decode(body), id=number)
    return found


class Margins:
    """Margin of a tariff at an instant: the last version that began before; the first one for anything earlier."""

    def __init__(self, versions: Iterable[tuple[int, int, int]]) -> None:
        """`versions`: (tariff id, from_ns, margin_ppm), any order of tariffs, ascending in time."""
        self._of: dict[int, tuple[list[int], list[int]]] = {}
        for tariff, from_ns, margin_ppm in versions:
            starts, margins = self._of.setdefault(tariff, ([], []))
            starts.append(from_ns)
            margins.append(margin_ppm)

    def at(self, tariff: int, at_ns: int) -> int | None:
        """Parts per million, or None where the tariff is not known."""
        found = self._of.get(tariff)
        if found is None:
            return None
        starts, margins = found
        if len(margins) == 1:
            return margins[0]
        return margins[max(bisect_right(starts, at_ns) - 1, 0)]


class Prices:
    """What settlement rates by. Not thread-safe: one settler owns it."""

    def __init__(self) -> None:
        self._rows: OrderedDict[int, PriceRow] = OrderedDict()
        self._margins = Margins(())
        self.provider_of: dict[int, int] = {}  # offer id -> provider id

    def refresh(self, connection: Connection) -> None:
        """Reads what can change: margins, and which provider an offer is at."""
        versions = tables.tariff_versions.c
        query = select(versions.tariff_id, versions.from_ns, versions.margin_ppm)
        rows = connection.execute(query.order_by(versions.from_ns, versions.id))
        self._margins = Margins((tariff, from_ns, margin) for tariff, from_ns, margin in rows)
        offers = tables.offers.c
        self.provider_of = {
            row.id: row.provider_id for row in connection.execute(select(offers.id, offers.provider_id))
        }

    def missing(self, readings: Iterable[Reading]) -> set[int]:
        """Ids of price rows the readings name and that are not remembered."""
        wanted: set[int] = set()
        for reading in readings:
            wanted.add(reading.cost_price)
            wanted.add(reading.charge_price)
        wanted.discard(0)
        for number in wanted & self._rows.keys():
            self._rows.move_to_end(number)
        return wanted - self._rows.keys()

    def load(self, connection: Connection, ids: Iterable[int]) -> None:
        """Remembers price rows."""
        self._rows.update(load_prices(connection, ids))

    def trim(self) -> None:
        """Forgets the rows not used for longest."""
        while len(self._rows) > ROWS_MAX:
            self._rows.popitem(last=False)

    def basis(self, reading: Reading) -> Basis:
        """What the reading is rated by. Rows must have been loaded."""
        price, own = self._rows.get, reading.charge_price
        return Basis(
            price(reading.cost_price),
            price(own) if own else None,
            self._margins.at(reading.tariff, reading.accepted_ns),
        )
