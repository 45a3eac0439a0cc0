"""Ledger scenarios that read like a bank statement: what was said on the left, what the book answers on the right.

Prices (support.py): an input token costs 1,000 nano, an output token 3,000; acme pays cost + 10 %.
"""

from __future__ import annotations

import pytest
from sqlalchemy import text

from baseload import store
from baseload.errors import Refusal
from baseload.ledger.amend import adjust, resettle
from baseload.ledger.bills import bill, recompute
from baseload.ledger.calls import call
from baseload.ledger.check import check
from baseload.ledger.prices import keep_price
from baseload.ledger.settle import Settler
from baseload.ledger.texts import decimal
from tests.ledger import support as s

WORDS = {
    "usd": {"offer": s.USD_OFFER, "cost_price": s.USD_PRICE},
    "cny": {"offer": s.CNY_OFFER, "cost_price": s.CNY_PRICE},
    "own": {"offer": s.OWN_OFFER, "cost_price": s.OWN_PRICE},
    "zenith": {"account": s.ZENITH, "charge_price": s.ZENITH_PRICE},
    "unknown": {"meters": {}, "input_provenance": "missing", "output_provenance": "missing"},
    "failed": {"outcome": "upstream_error", "status": 502},
    "left": {"outcome": "client_left"},
    "cached": {"meters": {"input_uncached": 10, "cache_read": 100, "output_total": 0}},
}
ACCOUNTS = {"acme": s.ACME, "zenith": s.ZENITH}


class Teller:
    """Does what a line says and answers in one line."""

    def __init__(self, engine, folder):
        self.engine, self.folder, self.settler, self.now = engine, folder, Settler(engine), s.T0

    def say(self, line):
        verb, *words = line.split()
        options = dict(word.split("=") for word in words if "=" in word)
        return getattr(self, verb)([word for word in words if "=" not in word], options)

    def hold(self, words, options):
        s.journal(self.folder / "g1", s.hold(words[0], expires_ns=self.now + int(options.get("ttl", 30)) * s.SECOND))
        return "ok"

    def end(self, words, options):
        changes = {}
        for word in words[1:]:
            changes |= WORDS[word]
        if "delivered" in options:
            changes["delivered_output"] = int(options["delivered"])
        if "price" in options:
            changes["cost_price"] = int(options["price"])
        sizes = {"input": int(options.get("in", 0)), "output": int(options.get("out", 0))}
        attempt = int(options.get("attempt", 1))
        s.journal(self.folder / options.get("gateway", "g1"), s.reading(words[0], attempt, **sizes, **changes))
        return "ok"

    def refuse(self, words, options):
        s.journal(self.folder / "g1", s.refused(words[0]))
        return "ok"

    def settle(self, words, options):
        gateway = words[0] if words else "g1"
        done = self.settler.drain(self.folder / gateway, gateway)
        names = ("settled", "no_usage", "unmetered", "unpriced", "duplicates", "conflicts", "refusals")
        return " ".join(f"{name}={getattr(done, name)}" for name in names if getattr(done, name)) or "nothing"

    def owes(self, words, options):
        found = bill(self.engine, words[0], s.T0, s.T0 + s.HOUR)
        assert recompute(self.engine, words[0], s.T0, s.T0 + s.HOUR) == []
        receivable = {
            code.split(":")[2]: total
            for code, total in s.balances(self.engine).items()
            if code.startswith(f"receivable:{ACCOUNTS[words[0]]}:")
        }
        assert {total.currency: total.nano for total in found.totals if total.nano} == receivable, "to the digit"
        return " + ".join(f"{total.amount} {total.currency}" for total in found.totals) or "nothing"

    def balance(self, words, options):
        return decimal(s.balances(self.engine).get(words[0], 0))

    def state(self, words, options):
        try:
            found = call(self.engine, words[0])
        except Refusal as refusal:
            return refusal.code
        return " ".join([found["state"], *(attempt["state"] for attempt in found["attempts"])])

    def price(self, words, options):
        """A price row that also has a rate for cache reads: a tenth."""
        row = s.row("cost:vendor", "CNY", input="1", cache_read="0.1", output="3")
        with store.writing(self.engine) as connection:
            return f"row={keep_price(connection, row).id}"

    def resettle(self, words, options):
        done = resettle(self.engine, cost_price=int(options.get("price", 0)), actor="ops")
        return f"settled={len(done.settled)} open={len(done.open)}"

    def adjust(self, words, options):
        account, amount, currency = words
        nano = int(amount) * 1000
        try:
            _, made = adjust(self.engine, account, nano, currency, key=options["key"], memo="goodwill", at_ns=s.T0)
        except Refusal as refusal:
            return refusal.code
        return "ok" if made else "exists"

    def forget(self, words, options):
        """The cursor is lost, as after a restored backup: settlement begins from the oldest segment."""
        with store.writing(self.engine) as connection:
            connection.execute(text("DELETE FROM journal_cursor"))
        return "ok"

    def tick(self, words, options):
        self.now += int(words[0].removesuffix("s")) * s.SECOND
        return "ok"

    def check(self, words, options):
        folders = {path.name: path for path in self.folder.iterdir()} if self.folder.exists() else {}
        found = check(self.engine, folders, clock=lambda: self.now)
        return " ".join(f"{one.check}={one.count}" for one in found) or "clean"


STATEMENTS = {
    "a call is settled once, whatever is repeated": """
        hold   h1 ttl=30           -> ok
        settle                     -> nothing
        state  h1                  -> running
        end    h1 in=100 out=10    -> ok
        settle                     -> settled=1
        owes   acme                -> 0.000143 USD
        state  h1                  -> settled settled
        settle                     -> nothing
        end    h1 in=100 out=10    -> ok                  # the same said again
        settle                     -> duplicates=1
        owes   acme                -> 0.000143 USD
        end    h1 in=999 out=10    -> ok                  # the same attempt, another story
        settle                     -> conflicts=1
        owes   acme                -> 0.000143 USD
        check                      -> journal_conflict=1
        """,
    "a lost cursor settles nothing twice": """
        end    c1 in=100 out=10    -> ok
        end    c2 in=200           -> ok
        refuse r1                  -> ok
        settle                     -> settled=2 refusals=1
        owes   acme                -> 0.000363 USD
        forget                     -> ok
        settle                     -> duplicates=2 refusals=1
        owes   acme                -> 0.000363 USD
        check                      -> clean
        """,
    "the same attempt in the journals of two gateways is one": """
        end    c1 in=100 gateway=g1 -> ok
        end    c1 in=100 gateway=g2 -> ok
        settle g1                  -> settled=1
        settle g2                  -> duplicates=1
        owes   acme                -> 0.00011 USD
        check                      -> clean
        """,
    "two attempts of one call are two readings": """
        end    c1 failed unknown attempt=1   -> ok
        end    c1 in=100 attempt=2           -> ok
        settle                     -> settled=1 no_usage=1
        state  c1                  -> settled no_usage settled
        owes   acme                -> 0.00011 USD
        check                      -> clean
        """,
    "currencies are never mixed": """
        end    c1 in=100 usd       -> ok
        end    c2 in=100 cny       -> ok
        end    c3 in=100 cny zenith -> ok                 # cost in CNY, price in EUR
        settle                     -> settled=3
        owes   acme                -> 0.00011 CNY + 0.00011 USD
        owes   zenith              -> 0.0002 EUR
        balance payable:1:CNY      -> -0.0002
        balance revenue:1:EUR      -> -0.0002
        check                      -> clean
        """,
    "an engine of one's own costs nothing and is still in the book": """
        end    c1 in=100 out=50 own -> ok
        settle                     -> settled=1
        owes   acme                -> 0.00 USD
        state  c1                  -> settled settled
        check                      -> clean
        """,
    "who left pays for what was delivered, we pay the rest": """
        end    c1 in=100 out=50 left delivered=10 -> ok
        settle                     -> settled=1
        owes   acme                -> 0.000143 USD
        balance cost:1:USD         -> 0.00025
        check                      -> clean
        """,
    "no price: kept, shown, and posted when there is one": """
        end    c1 cached cny       -> ok
        end    c2 in=100           -> ok
        settle                     -> settled=1 unpriced=1
        owes   acme                -> 0.00011 USD
        state  c1                  -> open unpriced
        check                      -> unpriced=1
        resettle                   -> settled=0 open=1    # nothing has changed
        price                      -> row=5
        resettle price=5           -> settled=1 open=0
        owes   acme                -> 0.000022 CNY + 0.00011 USD
        state  c1                  -> settled settled
        resettle price=5           -> settled=0 open=0
        check                      -> clean
        """,
    "a price row that is not there yet": """
        end    c1 in=100 price=5   -> ok
        settle                     -> unpriced=1
        price                      -> row=5
        resettle                   -> settled=1 open=0
        owes   acme                -> 0.00011 CNY
        check                      -> clean
        """,
    "usage nobody knows is not charged and not forgotten": """
        end    c1 unknown          -> ok
        settle                     -> unmetered=1
        owes   acme                -> nothing
        state  c1                  -> open unmetered
        resettle                   -> settled=0 open=0
        check                      -> unmetered=1
        """,
    "a hold that nobody ends": """
        hold   h1 ttl=30           -> ok
        settle                     -> nothing
        check                      -> clean
        tick   30s                 -> ok
        check                      -> hold_expired=1
        end    h1 in=1             -> ok
        settle                     -> settled=1
        check                      -> clean
        """,
    "entries that wait": """
        end    c1 in=1             -> ok
        check                      -> unsettled=2         # the reading and the carry its segment begins with
        state  c1                  -> call_not_found
        settle                     -> settled=1
        check                      -> clean
        """,
    "credits by key": """
        end    c1 in=100           -> ok
        settle                     -> settled=1
        adjust acme -50 USD key=k1 -> ok
        owes   acme                -> 0.00006 USD
        adjust acme -50 USD key=k1 -> exists
        adjust acme -51 USD key=k1 -> exists_with_other_amount
        owes   acme                -> 0.00006 USD
        adjust acme 20 USD key=k2  -> ok
        owes   acme                -> 0.00008 USD
        adjust nobody 20 USD key=k3 -> account_not_found
        check                      -> clean
        """,
    "a refused request is on record": """
        refuse r1                  -> ok
        settle                     -> refusals=1
        state  r1                  -> refused
        check                      -> clean
        """,
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement(engine, tmp_path, name):
    s.configure(engine)
    teller = Teller(engine, tmp_path / "journals")
    (tmp_path / "journals").mkdir()
    for line in STATEMENTS[name].strip().splitlines():
        said, _, answer = line.partition("#")[0].partition("->")
        assert teller.say(said) == answer.strip(), f"{name}: {said.strip()}"
