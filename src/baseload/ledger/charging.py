"""What an account is charged for readings in the end: discounts, allowances, and no more than was set aside.

In:     readings rated at their list price, the rules of their tariffs, what the month has seen so far.
Out:    the same readings with their charges, rows of `charges` that say how they came about, the month's new sums.
Call within the transaction that writes the readings: what a month has seen must not move in between.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec
from sqlalchemy import Connection, select

from baseload.gateway.journal.entries import Reading
from baseload.ledger.rating import SETTLED, Rating
from baseload.money.period import window
from baseload.money.tariff import NONE, Rules, net, steps
from baseload.store import tables

_rules = msgspec.json.Decoder(Rules)


class Applied(msgspec.Struct, frozen=True, gc=False):
    """How the charge of one reading came about."""

    rule: int  # tariff_rules.id, 0 = none
    list_nano: int
    discount_ppm: int
    allowance_nano: int
    absorbed_nano: int

    def charge_nano(self) -> int:
        return net(self.list_nano, self.discount_ppm, self.allowance_nano) - self.absorbed_nano


class RuleBook:
    """Rules of tariffs by instant: the last version that began before; the first one for anything earlier."""

    def __init__(self, connection: Connection) -> None:
        table = tables.tariff_rules.c
        self._of: dict[int, tuple[list[int], list[tuple[int, Rules]]]] = {}
        query = select(table.id, table.tariff_id, table.from_ns, table.body).order_by(table.from_ns, table.id)
        self._by_id: dict[int, Rules] = {}
        for number, tariff, from_ns, body in connection.execute(query):
            starts, found = self._of.setdefault(tariff, ([], []))
            rules = self._by_id[number] = _rules.decode(body)
            starts.append(from_ns)
            found.append((number, rules))

    def __bool__(self) -> bool:
        return bool(self._of)

    def by_id(self, number: int) -> Rules:
        """One version."""
        return self._by_id[number]

    def at(self, tariff: int, at_ns: int) -> tuple[int, Rules]:
        """(tariff_rules.id, rules); (0, NONE) where the tariff has none."""
        found = self._of.get(tariff)
        if found is None:
            return 0, NONE
        starts, rules = found
        place = bisect_right(starts, at_ns) - 1
        return rules[place] if place >= 0 else (0, NONE)


def keep_rules(connection: Connection, tariff: int, rules: dict[str, object], now_ns: int) -> None:
    """A tariff's rules from now on, where they differ from those in force. Call within `store.writing`."""
    body = msgspec.json.encode(msgspec.convert(rules, Rules)).decode()
    table = tables.tariff_rules
    query = select(table.c.body).where(table.c.tariff_id == tariff).order_by(table.c.id.desc()).limit(1)
    known = connection.execute(query).scalar()
    if body != (known if known is not None else msgspec.json.encode(NONE).decode()):
        connection.execute(table.insert().values(tariff_id=tariff, from_ns=now_ns, body=body))


class Months:
    """What accounts were charged in the months of a batch."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sums: dict[tuple[int, int, str], list[int]] = {}

    def of(self, account: int, at_ns: int, currency: str) -> list[int]:
        """[volume, paid by allowances], to be added to."""
        key = (account, window("month", "UTC", at_ns)[0], currency)
        found = self._sums.get(key)
        if found is None:
            table = tables.tariff_months.c
            query = select(table.volume_nano, table.allowance_nano).where(
                table.account == key[0], table.month_ns == key[1], table.currency == currency
            )
            row = self._connection.execute(query).one_or_none()
            found = self._sums[key] = [row.volume_nano, row.allowance_nano] if row is not None else [0, 0]
        return found

    def write(self) -> None:
        mark = "?" if self._connection.dialect.name == "sqlite" else "%s"
        statement = (
            f"INSERT INTO tariff_months (account, month_ns, currency, volume_nano, allowance_nano) VALUES"  # noqa: S608
            f" ({mark}, {mark}, {mark}, {mark}, {mark}) ON CONFLICT (account, month_ns, currency) DO UPDATE SET"
            " volume_nano = excluded.volume_nano, allowance_nano = excluded.allowance_nano"
        )
        rows = [(*key, *sums) for key, sums in sorted(self._sums.items())]
        if rows:
            self._connection.exec_driver_sql(statement, rows)


def charge(reading: Reading, rating: Rating, rules: RuleBook, months: Months) -> tuple[Rating, Applied | None]:
    """The rating with the charge that is posted, and how it came about where it is not simply the list price."""
    if rating.state != SETTLED or rating.charge_nano is None or rating.charge_currency is None:
        return rating, None
    number, rule = rules.at(reading.tariff, reading.accepted_ns) if rules else (0, NONE)
    listed = rating.charge_nano
    discount = allowance = 0
    if number and (rule.discounts or rule.allowance_nano):
        sums = months.of(reading.account, reading.accepted_ns, rating.charge_currency)
        found = steps(rule, listed, sums[0], sums[1])
        discount, allowance = found.discount_ppm, found.allowance_nano
    nano = net(listed, discount, allowance)
    absorbed = max(nano - reading.charge_max, 0) if reading.charge_max >= 0 else 0
    nano -= absorbed
    if number and (rule.discounts or rule.allowance_nano):
        sums[0] += nano
        sums[1] += allowance
    if not (number or absorbed):
        return rating, None
    return rating._replace(charge_nano=nano), Applied(number, listed, discount, allowance, absorbed)
