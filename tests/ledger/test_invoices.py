"""Invoices: every posting on a receivable is in one of them, numbers have no gaps, nothing is credited twice."""

from __future__ import annotations

import csv
import io
import itertools
import re
import threading
from decimal import Decimal

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from baseload import store
from baseload.errors import Refusal
from baseload.ledger import invoice_check, invoice_files
from baseload.ledger.amend import adjust, resettle
from baseload.ledger.bills import bill
from baseload.ledger.buyers import set_buyer
from baseload.ledger.check import check
from baseload.ledger.credit_notes import ALL_OF_LINE, credit_note, left
from baseload.ledger.documents import Party, invoicing, rounded, tax_on, total_text
from baseload.ledger.invoices import NothingToInvoice, currencies, documents, draft, find, issue
from baseload.ledger.payments import pay_invoice
from baseload.ledger.settle import Settler
from baseload.store import tables
from tests.ledger import support as s

VAT = [{"name": "VAT", "percent": "19"}]
SELLER = {"name": "Grid Ltd", "address": "Main Street 1\nDublin", "tax_id": "IE123"}
YEAR_NS = 1_798_761_600 * s.SECOND  # 2027-01-01
NO_PRICE = {"cost_price": 99}  # there is no such row: the reading waits for a price
USD_AGAIN = {"cost_price": s.USD_PRICE}


class Desk:
    """A grid with its settlement, and a clock."""

    def __init__(self, engine, folder):
        s.configure(engine)
        self.engine, self.folder, self.settler = engine, folder / "g1", Settler(engine)
        self.now = YEAR_NS - 30 * 24 * s.HOUR

    def calls(self, *readings):
        s.journal(self.folder, *readings)
        self.settler.drain(self.folder, "g1")

    def issue(self, hour=0, hours=1, *, account="acme", currency="USD", taxes=(), **options):
        start = s.T0 + hour * s.HOUR
        end = start + hours * s.HOUR
        fixed = {"seller": SELLER, "actor": "test", "clock": lambda: self.now}
        return issue(self.engine, account, start, end, currency=currency, taxes=taxes, **fixed, **options)[0]

    def credit(self, number, lines=None, *, key="k", reason="a mistake"):
        return credit_note(self.engine, number, lines, reason=reason, actor="test", key=key, clock=lambda: self.now)[0]


@pytest.fixture
def desk(engine, tmp_path):
    return Desk(engine, tmp_path)


def refused(code, act, *arguments, **options):
    with pytest.raises(Refusal) as caught:
        act(*arguments, **options)
    assert caught.value.code == code
    return caught.value


def test_an_invoice_is_the_bill_by_model_with_taxes_and_one_rounding(desk):
    other = {"offer": s.OWN_OFFER, "cost_price": s.OWN_PRICE}
    desk.calls(
        s.reading("a", input=1_000, output=100),  # 1,300,000 nano + 10 %
        s.reading("b", input=10, model="small"),
        s.reading("b2", input=5, **other),  # another offer, nothing to pay: the same line
        s.reading("c", input=7, model="large"),
        s.reading("z", input=9, account=s.ZENITH, charge_price=s.ZENITH_PRICE),
    )
    adjust(desk.engine, "acme", -500_000, "USD", key="gift", memo="a gift", at_ns=s.T0 + 1)
    made = desk.issue(taxes=[*VAT, {"name": "City", "percent": "0.125"}])
    assert made.number == "2026-000001"
    assert [(line.line, line.text, line.calls, line.nano) for line in made.lines] == [
        (1, "large", 1, 7_700),
        (2, "small", 3, 1_430_000 + 11_000),
    ]
    assert made.lines[1].meters == {"input": 1_015, "output": 100}
    assert [(line.line, line.text, line.amount) for line in made.adjustments] == [(3, "a gift", "-0.0005")]
    owed = bill(desk.engine, "acme", s.T0, s.T0 + s.HOUR, upto=made.last_transaction)
    assert [(total.currency, total.nano) for total in owed.totals] == [("USD", made.net_nano)]
    assert made.net_nano == 948_700
    assert [(tax.name, tax.base_nano, tax.nano) for tax in made.taxes] == [
        ("VAT", 948_700, 180_253),
        ("City", 948_700, 1_186),
    ]
    assert (made.total_nano, made.total) == (0, "0.00")  # a tenth of a cent
    assert made.net_nano + made.tax_nano() + made.rounding_nano == made.total_nano
    assert find(desk.engine, made.number) == made
    assert "small@usd" not in invoice_files.to_csv([made]).decode()  # where it was served is ours


def test_issued_twice_is_once_whatever_came_since(desk):
    desk.calls(s.reading("a", input=1_000))
    first = desk.issue(key="mine")
    desk.calls(s.reading("b", input=50))
    assert desk.issue(taxes=VAT, series="X", key="other") == first
    refused("exists_with_other_period", desk.issue, 1, key="mine")
    for hour, hours in ((0, 2), (-1, 2), (-1, 3)):
        refusal = refused("invoice_overlaps", desk.issue, hour, hours)
        assert first.number in refusal.say
    with store.reading(desk.engine) as connection:
        assert connection.execute(select(func.count()).select_from(tables.invoices)).scalar() == 1


def test_what_came_late_is_in_the_next_invoice_once(desk):
    desk.calls(s.reading("a", input=1_000), s.reading("p", input=8, **NO_PRICE))
    one = desk.issue()
    assert one.net_nano == 1_100_000
    desk.calls(s.reading("late", input=2), s.reading("on", input=4, accepted_ns=s.T0 + s.HOUR))
    assert resettle(desk.engine, **USD_AGAIN).open == []
    adjust(desk.engine, "acme", 77, "USD", key="back-dated", memo="corrected", at_ns=s.T0)
    two = desk.issue(1)
    assert [(line.late_for, line.meters, line.calls) for line in two.lines] == [
        ("", {"input": 4}, 1),
        (one.number, {"input": 10}, 2),
    ]
    assert [(line.late_for, line.nano) for line in two.adjustments] == [(one.number, 77)]
    refused("nothing_to_invoice", desk.issue, 2)
    desk.calls(s.reading("later", input=1, accepted_ns=s.T0 + s.HOUR))
    three = desk.issue(2)  # has nothing of its own time
    assert [(line.late_for, line.meters) for line in three.lines] == [(two.number, {"input": 1})]


def test_currencies_and_accounts_have_invoices_of_their_own(desk):
    cny = {"offer": s.CNY_OFFER, "cost_price": s.CNY_PRICE}
    desk.calls(
        s.reading("a", input=1), s.reading("b", input=2, **cny),
        s.reading("z", input=3, account=s.ZENITH, tariff=s.PARTNER, charge_price=s.ZENITH_PRICE),
    )  # fmt: skip
    assert (currencies(desk.engine, "acme"), currencies(desk.engine, "zenith")) == (["CNY", "USD"], ["EUR"])
    made = [desk.issue(), desk.issue(currency="CNY"), desk.issue(account="zenith", currency="EUR")]
    assert [(one.number, one.net_nano) for one in made] == [
        ("2026-000001", 1_100), ("2026-000002", 2_200), ("2026-000003", 6_000),
    ]  # fmt: skip
    assert documents(desk.engine, "acme") == made[:2]
    assert documents(desk.engine, start_ns=s.T0 + 1) == []


def test_numbers_count_by_series_and_year_without_gaps(desk):
    desk.calls(*(s.reading(f"c{hour}", input=1, accepted_ns=s.T0 + hour * s.HOUR) for hour in range(6)))
    assert desk.issue(0).number == "2026-000001"
    refused("nothing_to_invoice", desk.issue, 90)  # what is refused takes no number
    assert desk.issue(1, series="EU").number == "EU-2026-000001"
    assert desk.issue(2).number == "2026-000002"
    assert desk.credit("EU-2026-000001").number == "EU-2026-000002"
    desk.now = YEAR_NS
    assert desk.issue(3).number == "2027-000001"
    assert desk.issue(4, series="EU").number == "EU-2027-000001"
    ids = s.table(desk.engine, "invoices", "id, number")
    assert [number for number, _ in ids] == list(range(1, 7))
    refused("invoicing_wrong", desk.issue, 5, series="2026")


def test_numbers_given_by_many_at_once_are_each_given_once(desk):
    desk.calls(*(s.reading(f"c{hour}", input=1, accepted_ns=s.T0 + hour * s.HOUR) for hour in range(4)))
    made = []
    threads = [threading.Thread(target=lambda at=hour: made.append(desk.issue(at).number)) for hour in [*range(4)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted([f"2026-00000{number}" for number in (1, 2, 3, 4)] * 2)


def test_the_database_keeps_an_invoice_as_it_is(desk):
    desk.calls(s.reading("a", input=1))
    desk.issue()
    for statement in ("UPDATE invoices SET net_nano = 0", "DELETE FROM invoices"):
        with pytest.raises(DBAPIError, match="append-only"), store.writing(desk.engine) as connection:
            connection.execute(text(statement))


def test_what_was_written_past_us_is_found(desk):
    desk.calls(s.reading("a", input=1_000))
    made = desk.issue(taxes=VAT)
    desk.credit(made.number, [(1, 1_000)])
    assert invoice_check.check(desk.engine) == []
    with store.writing(desk.engine) as connection:
        row = connection.execute(select(tables.invoices).where(tables.invoices.c.id == 1)).one()._asdict()
        more = row["body"].replace("1100000", "1100001").replace(made.number, "2026-000004")
        forged = row | {"id": 3, "number": "2026-000004", "net_nano": 1_100_001, "body": more}
        connection.execute(tables.invoices.insert().values(forged))
    found = [(wrong.number, wrong.say) for wrong in invoice_check.check(desk.engine)]
    assert found[0] == ("2026-000004", "2026-000003 was due")
    assert "taxes and rounding are not in the book" in found[1][1]
    assert "the book gives" in found[2][1]


def test_a_credit_note_takes_back_no_more_than_is_left(desk):
    desk.calls(s.reading("a", input=1_000), s.reading("l", input=3_000, model="large"))
    adjust(desk.engine, "acme", -2_000_000, "USD", key="gift", memo="a gift", at_ns=s.T0)
    made = desk.issue(taxes=VAT)
    assert [(line.line, line.text, line.nano) for line in made.all_lines()] == [
        (1, "large", 3_300_000), (2, "small", 1_100_000), (3, "a gift", -2_000_000),
    ]  # fmt: skip
    for lines, code in (
        ([(2, 1_100_001)], "more_than_left"),
        ([(1, 3_300_000)], "more_than_left"),  # of the line it would be left, of the invoice not
        ([(3, 1)], "nothing_left"),
        ([(4, 1)], "line_not_found"),
        ([(1, -5)], "credit_wrong"),
        ([(1, 5), (1, 5)], "credit_wrong"),
        ([], "credit_wrong"),
    ):
        refused(code, desk.credit, made.number, lines)
    refused("invoice_not_found", desk.credit, "2026-000009")
    refused("credit_wrong", desk.credit, made.number, reason=" ")
    part = desk.credit(made.number, [(2, 100_000)], key="one")
    assert (part.number, part.net_nano, part.tax_nano(), part.refers_to) == (
        "2026-000002",
        -100_000,
        -19_000,
        made.number,
    )
    assert desk.credit(made.number, [(2, 100_000)], key="one") == part
    refused("exists_with_other_content", desk.credit, made.number, [(2, 100_001)], key="one")
    refused("exists_with_other_content", desk.credit, made.number, [(2, 100_000)], key="one", reason="another")
    refused("not_an_invoice", desk.credit, part.number)
    rest = desk.credit(made.number, [(2, ALL_OF_LINE)], key="two")
    assert rest.net_nano == -1_000_000
    last = desk.credit(made.number, key="three")
    assert desk.credit(made.number, key="three") == last
    refused("nothing_left", desk.credit, made.number, key="four")
    notes = [part, rest, last]
    assert sum(note.net_nano for note in notes) == -made.net_nano
    assert sum(note.tax_nano() for note in notes) == -made.tax_nano()
    assert sum(note.total_nano for note in notes) == -made.total_nano
    assert set(left(made, notes).values()) == {0}
    assert find(desk.engine, made.number) == made
    assert s.balances(desk.engine).get("receivable:1:USD", 0) == 0  # nothing is owed any more


def test_a_credit_note_is_not_invoiced_again_and_late_ones_do_not_hide_it(desk):
    desk.calls(s.reading("a", input=1_000))
    made = desk.issue()
    for at_ns, key in ((s.T0 + 1, "into what is invoiced"), (s.T0 + s.HOUR, "into what will be")):
        desk.now = at_ns
        desk.credit(made.number, [(1, 100)], key=key)
    adjust(desk.engine, "acme", 7, "USD", key="c", memo="m", at_ns=s.T0 + s.HOUR)
    assert [line.nano for line in desk.issue(1).all_lines()] == [7]


@settings(max_examples=60, deadline=None)
@given(
    nano=st.integers(1, 10**15),
    cuts=st.lists(st.integers(1, 10**15), max_size=6),
    percent=st.sampled_from(["0", "19", "8.875", "33.333333"]),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
)
def test_credit_notes_that_make_a_whole_take_back_the_whole_to_the_nano_unit(nano, cuts, percent, currency):
    from baseload.ledger.documents import Document, Line, Party, Tax, add_up

    def document(amount):
        line = Line(kind="usage", text="m", nano=amount, amount="")
        whose = {"seller": Party(), "account": 1, "account_name": "a"}
        return Document(
            kind="invoice", currency=currency, start="", end="", start_ns=0, end_ns=1, lines=[line], **whose
        )

    taxes = [Tax(name="VAT", percent=percent), Tax(name="City", percent="0.7")]
    invoice = document(nano)
    add_up(invoice, taxes)
    notes = []
    edges = sorted({0, nano, *(cut for cut in cuts if cut < nano)})
    for low, high in itertools.pairwise(edges):
        note = document(low - high)
        add_up(note, taxes, notes)
        assert note.total_nano <= 0  # a credit note never asks for money
        assert all(tax.nano <= 0 for tax in note.taxes)
        notes.append(note)
    for each in [invoice, *notes]:
        assert each.net_nano + each.tax_nano() + each.rounding_nano == each.total_nano
    assert sum(note.total_nano for note in notes) == -invoice.total_nano
    assert sum(note.tax_nano() for note in notes) == -invoice.tax_nano()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["call", "call", "unpriced", "unpriced", "adjust", "cny", "issue", "issue", "price", "credit"]),
        st.integers(0, 2),
    ),
    min_size=12,
    max_size=24,
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # every example costs a database's time: no shrinking
)
@given(steps=STEPS)
def test_every_posting_is_invoiced_exactly_once(desk, steps):
    """Call number n has 2^n input tokens: as many calls as there were, with as many tokens together, are all of them.

    Whatever the order of calls, late prices, backdated corrections, invoices and credit notes.
    """
    name = f"a{s.table(desk.engine, 'accounts', 'max(id)')[0][0] + 1}"
    with store.writing(desk.engine) as connection:
        values = {"name": name, "currency": "USD", "tariff_id": s.STANDARD, "created_ns": 0}
        account = connection.execute(tables.accounts.insert().values(values)).inserted_primary_key[0]
    calls, adjusted = {"USD": 0, "CNY": 0}, 0
    invoices, notes = [], []

    def take(hour, currency="USD"):
        try:
            made = desk.issue(hour, account=name, currency=currency)
        except NothingToInvoice:
            return
        if made.number not in {known.number for known in invoices}:
            invoices.append(made)

    def call(hour, currency="USD", **changes):
        number = calls[currency]
        calls[currency] += 1
        desk.calls(s.reading(f"{name}-{currency}-{number}", input=2**number, account=account,
                             accepted_ns=s.T0 + hour * s.HOUR, **changes))  # fmt: skip

    for position, (act, hour) in enumerate([*steps, ("price", 0)]):
        desk.now = s.T0 + hour * s.HOUR  # a credit falls into a time that is invoiced, too
        if act == "call":
            call(hour)
        elif act == "unpriced":
            call(hour, **NO_PRICE)
        elif act == "cny":
            call(hour, "CNY", offer=s.CNY_OFFER, cost_price=s.CNY_PRICE)
        elif act == "adjust":
            amount = 3**adjusted
            adjust(desk.engine, name, amount, "USD", key=f"{name}:{position}", memo="m", at_ns=s.T0 + hour * s.HOUR)
            adjusted += 1
        elif act == "price":
            resettle(desk.engine, **USD_AGAIN)
        elif act == "issue":
            take(hour)
            take(hour, "CNY")
        elif invoices and (open_ := [one for one in invoices if one.number not in {note.refers_to for note in notes}]):
            notes.append(desk.credit(open_[0].number, key=name))
    for hour in range(4):  # the last one has no time of its own: it takes what came late
        take(hour)
        take(hour, "CNY")
    assert invoice_check.check(desk.engine, account) == []  # each can be made again from what it was made from
    for currency, number in calls.items():
        lines = [line for made in invoices if made.currency == currency for line in made.lines]
        assert sum(line.calls for line in lines) == number
        assert sum(line.meters.get("input", 0) for line in lines) == 2**number - 1
        nets = [one.net_nano for one in [*invoices, *notes] if one.currency == currency]
        code = f"receivable:{account}:{currency}"
        assert sum(nets) == s.balances(desk.engine).get(code, 0)
    moved = [line.nano for made in invoices for line in made.adjustments]
    assert sorted(moved) == [3**number for number in range(adjusted)]
    assert len({line.transaction for made in invoices for line in made.adjustments}) == adjusted


@pytest.mark.parametrize(
    ("nano", "currency", "expected"),
    [
        (5_000_000, "USD", "0.00"),  # half a cent, to the even one
        (15_000_000, "USD", "0.02"),
        (-15_000_000, "USD", "-0.02"),
        (1_234_567_890_123, "USD", "1234.57"),
        (2_500_000_000, "JPY", "2"),
        (1_000_500_000, "KWD", "1.000"),
        (1_001_500_000, "KWD", "1.002"),
    ],
)
def test_a_total_is_rounded_half_even_to_the_coins_of_its_currency(nano, currency, expected):
    assert total_text(rounded(nano, currency), currency) == expected


def test_a_tax_is_exact_to_the_nano_unit():
    assert tax_on(10**18 + 1, "8.875") == 88_750_000_000_000_000
    assert (tax_on(50, "1"), tax_on(150, "1"), tax_on(-50, "1")) == (0, 2, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"taxes": [{"name": "VAT", "percent": "101"}]},
        {"taxes": [{"name": " ", "percent": "1"}]},
        {"taxes": [{"name": "VAT", "percent": "1"}, {"name": "VAT", "percent": "2"}]},
        {"taxes": [{"name": "VAT", "percent": 19}]},
        {"taxes": [{"name": "VAT", "rate": "19"}]},
        {"seller": {"name": "x" * 201}},
        {"seller": {"name": "a\x00b"}},
        {"series": "no"},
        {"sender": {}},
    ],
)
def test_what_is_declared_wrongly_is_refused(wrong):
    refused("invoicing_wrong", invoicing, wrong)


EVIL = [
    '#panic("out")',
    '"); panic("x',
    "*bold* _it_ $ x $ @ref <lab> `raw` \\\\ // no",
    "= Title",
    "a" * 300,
    '#include "/etc/passwd"',
]


def evil_invoice(desk, lines=1):
    readings = [
        s.reading(f"e{number}", input=1 + number, model=EVIL[number % len(EVIL)] + str(number))
        for number in range(lines)
    ]
    desk.calls(*readings)
    for number, memo in enumerate(EVIL):
        adjust(desk.engine, "acme", 1, "USD", key=f"e{number}", memo=memo, at_ns=s.T0)
    seller = {"name": EVIL[0], "address": "\n".join(EVIL), "tax_id": EVIL[1]}
    found, _ = issue(desk.engine, "acme", s.T0, s.T0 + s.HOUR, currency="USD", seller=seller, actor="test",
                     taxes=[{"name": memo[:50], "percent": "1.5"} for memo in EVIL])  # fmt: skip
    return found


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # what a file holds is not the database's
def test_a_pdf_of_any_text_and_length_is_a_pdf_and_the_same_again(desk):
    made = evil_invoice(desk, 60)
    pdf = invoice_files.render([made], "pdf")
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert int(re.search(rb"/Type\s*/Pages\s*/Count (\d+)", pdf)[1]) >= 2  # it goes on
    assert invoice_files.render([find(desk.engine, made.number)], "pdf") == pdf
    note = desk.credit(made.number, reason=EVIL[0])
    assert invoice_files.render([note], "pdf").startswith(b"%PDF-")
    assert invoice_files.to_pdf(note, format="png").startswith(b"\x89PNG")
    refused("one_document", invoice_files.render, [made, note], "pdf")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # what a file holds is not the database's
def test_csv_and_parquet_say_the_same_and_add_up(desk, tmp_path):
    desk.calls(s.reading("a", input=1_000, output=3, model="=1+1"), s.reading("b", input=5))
    made = desk.issue(taxes=VAT)
    note = desk.credit(made.number, [(2, 1)])
    rows = list(csv.DictReader(io.StringIO(invoice_files.render([made, note], "csv").decode())))
    assert rows[0]["text"] == "'=1+1"  # a spreadsheet shows it and computes nothing
    file = tmp_path / "x.parquet"
    file.write_bytes(invoice_files.render([made, note], "parquet"))
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(file)])
        names = [column[0] for column in found.description]
        read = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    assert names == list(rows[0])
    assert [(row["number"], row["what"], row["nano"]) for row in read] == [
        (row["number"], row["what"], int(row["nano"])) for row in rows
    ]
    assert read[0]["text"] == "=1+1"
    for row in read:
        assert row["amount"] == Decimal(row["nano"]) / 10**9
    for number in (made.number, note.number):
        own = [row for row in read if row["number"] == number]
        total = sum(row["nano"] for row in own if row["what"] in ("net", "tax", "rounding"))
        assert [row["nano"] for row in own if row["what"] == "total"] == [total]
        assert sum(row["nano"] for row in own if row["line"]) == own[[row["what"] for row in own].index("net")]["nano"]
    assert invoice_files.render([], "parquet").startswith(b"PAR1")


def test_a_draft_is_what_would_be_issued_and_takes_no_number(desk):
    desk.calls(s.reading("a", input=10))
    found = draft(desk.engine, "acme", s.T0, s.T0 + s.HOUR, currency="USD", taxes=VAT, seller=SELLER)
    assert found.number == ""
    assert invoice_files.to_pdf(found).startswith(b"%PDF-")
    made = desk.issue(taxes=VAT)
    assert (made.lines, made.total_nano, made.number) == (found.lines, found.total_nano, "2026-000001")


def test_taxes_and_rounding_are_posted_and_an_invoice_is_paid_once(desk):
    desk.calls(s.reading("a", input=1_000_000, output=100))
    made = desk.issue(taxes=VAT)
    note = desk.credit(made.number, [(1, 100_000_000)])
    rounding = made.rounding_nano + note.rounding_nano
    tax = made.tax_nano() + note.tax_nano()
    found = s.balances(desk.engine)
    assert found["tax:0:USD"] == -tax
    assert found.get("rounding:0:USD", 0) == -rounding
    assert found["tax_due:1:USD"] == tax + rounding
    due = made.total_nano + note.total_nano
    pay = {"actor": "test", "at_ns": desk.now}
    refused("amount_wrong", pay_invoice, desk.engine, made.number, due - 1, **pay)
    refused("not_an_invoice", pay_invoice, desk.engine, note.number, due, **pay)
    refused("invoice_not_found", pay_invoice, desk.engine, "2026-000009", due, **pay)
    assert pay_invoice(desk.engine, made.number, due, **pay).made
    assert not pay_invoice(desk.engine, made.number, due, **pay).made
    after = s.balances(desk.engine)
    assert "tax_due:1:USD" not in after
    assert after["cash:0:USD"] == due
    # the account owes nothing now: what it paid is what its readings and the credit left
    assert after["receivable:1:USD"] + after["prepaid:1:USD"] == 0
    assert [finding.say for finding in check(desk.engine) if finding.severity == "error"] == []


def test_an_invoice_keeps_who_its_buyer_was(desk):
    desk.calls(s.reading("a", input=10))
    with store.writing(desk.engine) as connection:
        assert set_buyer(connection, s.ACME, Party(name="Acme GmbH", address="Hauptstr. 1\nBerlin", tax_id="DE1"))
        assert not set_buyer(connection, s.ACME, Party(name="Acme GmbH", address="Hauptstr. 1\nBerlin", tax_id="DE1"))
        refused("invoicing_wrong", set_buyer, connection, s.ACME, Party(name="\x00"))
    made = desk.issue()
    with store.writing(desk.engine) as connection:
        set_buyer(connection, s.ACME, Party(name="Acme SE"))
    assert find(desk.engine, made.number).buyer.name == "Acme GmbH"
    assert desk.credit(made.number).buyer.tax_id == "DE1"
    assert invoice_files.to_pdf(made).startswith(b"%PDF-")
