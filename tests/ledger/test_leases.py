"""Leases and purses: the money system as a whole against a model of it, over kills, late settlement and returns."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, select

from baseload import store
from baseload.errors import Refusal
from baseload.gateway.funds import Funds, Short, Taken
from baseload.gateway.journal.entries import Hold, Reading
from baseload.gateway.journal.identity import journal_name
from baseload.gateway.journal.recovery import open_journal
from baseload.gateway.journal.writer import JournalWriter
from baseload.gateway.snapshot import PurseRow
from baseload.ledger import leases, limits, payments
from baseload.ledger.check import check
from baseload.ledger.limits import Wish
from baseload.ledger.purses import PurseBook, State, recount, state_of
from baseload.ledger.settle import Settler
from baseload.store import tables
from tests import databases
from tests.ledger.support import ACME, SECOND, T0, configure, hold, reading

NOW = T0 + 10 * SECOND


NIGHTLY = int(os.environ.get("BASELOAD_NIGHTLY", "1"))  # how many times as long as every day: make nightly


class Gateway:
    """One gateway's money and journal, run after run."""

    def __init__(self, engine: Engine, folder: Path, name: str, purses: list[PurseRow]) -> None:
        self.engine, self.directory, self.name, self.purses = engine, folder / name, name, purses
        self.run = 0
        self.running: list[tuple[str, Taken, Hold]] = []
        self.begin()

    def begin(self) -> None:
        self.run += 1
        self.epoch = f"e{self.run}"
        self.funds = Funds()
        self.funds.attach(self.purses)
        self.journal: JournalWriter = open_journal(self.directory, self.name, NOW, segment_bytes=2**17)
        self.mark = journal_name(self.directory)
        with store.writing(self.engine) as connection:
            book = PurseBook(connection)
            leases.end_run(connection, book, self.mark, self.journal.position, NOW, but=self.epoch)

    def ask(self, wants: list[leases.Want], *, last: bool = True) -> None:
        with store.writing(self.engine) as connection:
            book = PurseBook(connection)
            leases.give_back(connection, book, self.mark, self.epoch, self.funds.returned(), NOW)
            granted, _ = leases.grant(
                connection, book, self.mark, self.epoch, wants, gateways=2, now_ns=NOW, settle_for_less=last, at_ns=NOW
            )
        for one in granted:
            self.funds.granted(one.purse, one.lease, one.window_ns, one.window_end_ns, one.granted, one.expires_ns)

    def call(self, call: str, nano: int) -> bool:
        """Begins a call that holds `nano`; False = there is no money for it."""
        ids = [row.id for row in self.purses]
        least = max(nano // 2, 1)
        try:
            taken = self.funds.take(ids, nano, least, NOW, NOW)
        except Short as short:
            self.ask([leases.Want(pocket.row.id, nano, least, nano * 3) for pocket in short.pockets])
            found = self.funds.take_rest(ids, nano, least, NOW, NOW)
            if found is None:
                return False
            taken = found
        entry = hold(call, hold_nano=taken.hold, leases=taken.ids, accepted_ns=NOW, expires_ns=NOW + SECOND)
        self.journal.append(entry)
        assert self.journal.flush()
        self.running.append((call, taken, entry))
        return True

    def end(self, place: int, tokens: int) -> int:
        """Ends a running call with so much output; returns the most it is charged."""
        call, taken, entry = self.running.pop(place % len(self.running))
        cost = tokens * 2000  # about what it costs: the ledger computes it exactly
        if cost > taken.hold:
            taken.grow(cost - taken.hold, least=1)
        held = taken.hold
        most = taken.settle(cost)
        done: Reading = reading(
            call, output=tokens, accepted_ns=NOW, leases=entry.leases, hold_nano=held, charge_max=most
        )
        self.journal.append(done)
        assert self.journal.flush()
        return most

    def kill(self) -> None:
        """No goodbye, nothing flushed."""
        self.journal._lock.release()
        self.running.clear()
        self.begin()


class MoneySystem(RuleBasedStateMachine):
    backend = "sqlite"

    @initialize(budget=st.integers(500_000, 5_000_000))
    def start(self, budget: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="baseload-money-"))
        self.engine = store.open(databases.fresh_url(self.backend, self.folder))
        configure(self.engine)
        self.paid = 0
        self.number = 0
        with store.writing(self.engine) as connection:
            self.funding = limits.open_purse(connection, ACME, Wish(kind="funding", name="funding"), T0 - SECOND)
            wish = Wish(kind="budget", name="month", period="month", limit_nano=budget)
            self.budget = limits.open_purse(connection, ACME, wish, NOW)
        rows = [
            PurseRow(id=self.funding, name="f", currency="USD", period="total", zone="UTC"),
            PurseRow(id=self.budget, name="b", currency="USD", period="month", zone="UTC"),
        ]
        self.gateways = [Gateway(self.engine, self.folder, name, rows) for name in ("g0", "g1")]
        self.settlers = {gateway.name: Settler(self.engine, clock=lambda: NOW) for gateway in self.gateways}

    @rule(nano=st.integers(100_000, 2_000_000))
    def pay_in(self, nano: int) -> None:
        self.number += 1
        for _ in range(2):  # said twice
            payments.pay(self.engine, ACME, "topup", nano, "USD", key=f"p{self.number}", actor="t", at_ns=NOW)
        self.paid += nano

    @rule(nano=st.integers(1, 2_000_000))
    def pay_back(self, nano: int) -> None:
        self.number += 1
        before = self.state(self.funding).available_nano
        try:
            payments.pay(self.engine, ACME, "refund", nano, "USD", key=f"p{self.number}", actor="t", at_ns=NOW)
        except Refusal:
            assert nano > before
            return
        assert nano <= before
        self.paid -= nano

    @rule(amount=st.integers(0, 4_000_000))
    def change_the_budget(self, amount: int) -> None:
        with store.writing(self.engine) as connection:
            book = PurseBook(connection)
            wish = Wish(kind="budget", name="month", period="month", limit_nano=amount)
            limits.change(connection, book.purses[self.budget], wish, NOW, declared=False)

    @rule(which=st.integers(0, 1), nano=st.integers(1, 600_000))
    def call(self, which: int, nano: int) -> None:
        self.number += 1
        gateway, other = self.gateways[which], self.gateways[1 - which]
        if gateway.call(f"c{self.number}", nano):
            return
        # nobody has it idle either: what is left is less than the call needs at least
        other.funds.recall([self.funding, self.budget])
        other.ask([])
        gateway.funds.recall([self.funding, self.budget])
        gateway.ask([])
        if gateway.call(f"c{self.number}b", nano):
            return
        least = min(self.state(number).available_nano for number in (self.funding, self.budget))
        assert least < max(nano // 2, 1)

    @precondition(lambda self: any(gateway.running for gateway in self.gateways))
    @rule(place=st.integers(0, 50), tokens=st.integers(0, 400))
    def end(self, place: int, tokens: int) -> None:
        busy = [gateway for gateway in self.gateways if gateway.running]
        busy[place % len(busy)].end(place, tokens)

    @rule(which=st.integers(0, 1))
    def kill(self, which: int) -> None:
        self.gateways[which].kill()

    @rule(which=st.integers(0, 1), limit=st.integers(1, 12))
    def settle(self, which: int, limit: int) -> None:
        gateway = self.gateways[which]
        self.settlers[gateway.name].step(gateway.directory, gateway.mark, limit)

    @rule(which=st.integers(0, 1))
    def give_back(self, which: int) -> None:
        self.gateways[which].funds.recall([self.funding, self.budget])
        self.gateways[which].ask([])

    def state(self, number: int) -> State:
        with store.reading(self.engine) as connection:
            book = PurseBook(connection)
            return state_of(connection, book, book.purses[number], NOW)

    @invariant()
    def nothing_is_overdrawn(self) -> None:
        if not hasattr(self, "gateways"):
            return
        state = self.state(self.funding)
        assert state.funds_nano == self.paid
        assert state.available_nano >= 0
        with store.reading(self.engine) as connection:
            book = PurseBook(connection)
            for number in (self.funding, self.budget):
                one = state_of(connection, book, book.purses[number], NOW)
                assert (one.spent_nano, one.pending_nano) == recount(connection, book, one.purse, one.window_ns)
        for gateway in self.gateways:
            for pocket in gateway.funds.pockets.values():
                assert all(lease.free >= 0 for lease in pocket.leases)

    def teardown(self) -> None:
        if not hasattr(self, "gateways"):
            return
        for gateway in self.gateways:
            while gateway.running:
                gateway.end(0, 100)
            assert gateway.journal.close()
            self.settlers[gateway.name].drain(gateway.directory, gateway.mark)
            with store.writing(self.engine) as connection:
                leases.end_run(connection, PurseBook(connection), gateway.mark, gateway.journal.position, NOW)
        state = self.state(self.funding)
        assert state.out_nano == 0  # every lease is home
        with store.reading(self.engine) as connection:
            charged = sum(nano or 0 for nano in connection.execute(select(tables.readings.c.charge_nano)).scalars())
        assert state.spent_nano == charged
        assert state.available_nano == self.paid - charged
        errors = [one for one in check(self.engine, clock=lambda: NOW) if one.severity == "error"]
        assert errors == []
        self.engine.dispose()
        shutil.rmtree(self.folder, ignore_errors=True)


MoneySystem.TestCase.settings = settings(
    max_examples=10 * NIGHTLY,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
TestMoneySystem = MoneySystem.TestCase


def test_lesson_45_a_payment_is_made_once_by_its_key(engine: Engine) -> None:
    configure(engine)
    first = payments.pay(engine, ACME, "topup", 5_000, "USD", key="k", actor="t", at_ns=NOW)
    again = payments.pay(engine, ACME, "topup", 5_000, "USD", key="k", actor="t", at_ns=NOW)
    assert (first.transaction, first.made, again.made) == (again.transaction, True, False)
    with pytest.raises(Refusal, match="other amounts"):
        payments.pay(engine, ACME, "topup", 6_000, "USD", key="k", actor="t", at_ns=NOW)


def test_lesson_40_nothing_takes_a_balance_below_zero(engine: Engine) -> None:
    configure(engine)
    payments.pay(engine, ACME, "topup", 5_000, "USD", key="k", actor="t", at_ns=NOW)
    with pytest.raises(Refusal, match="can be taken"):
        payments.pay(engine, ACME, "refund", 5_001, "USD", key="r", actor="t", at_ns=NOW)
    payments.pay(engine, ACME, "refund", 5_000, "USD", key="r", actor="t", at_ns=NOW)
    with pytest.raises(Refusal, match="can be taken"):
        payments.pay(engine, ACME, "debit", 1, "USD", key="d", actor="t", at_ns=NOW)
