"""What the database refuses by itself, whoever asks: these statements go around every line of our own code."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from baseload import store

LEDGER = """INSERT INTO ledger_accounts (id, code, kind, currency) VALUES
    (1, 'receivable:1:USD', 'asset', 'USD'), (2, 'revenue:1:USD', 'income', 'USD'),
    (3, 'receivable:1:CNY', 'asset', 'CNY'), (4, 'revenue:1:CNY', 'income', 'CNY')"""
CLOSE = "INSERT INTO transactions (id, kind, at_ns, key) VALUES ({0}, 'adjustment', 0, 'k{0}')"


def post(transaction, *postings):
    rows = ", ".join(
        f"({transaction}, {line}, {debit}, {credit}, '{currency}', {amount})"
        for line, (debit, credit, currency, amount) in enumerate(postings, 1)
    )
    names = "transaction_id, line, debit_id, credit_id, currency, amount_nano"
    return f"INSERT INTO postings ({names}) VALUES {rows}"


@pytest.fixture
def book(engine):
    """A database with four ledger accounts and transaction 1: 5 nano USD from revenue to receivable."""
    run(engine, LEDGER, post(1, (1, 2, "USD", 5)), CLOSE.format(1))
    return engine


def run(engine, *statements):
    with store.writing(engine) as connection:
        for statement in statements:
            connection.execute(text(statement))


def refused(engine, *statements):
    """The message the database refuses with; fails if it does not. Nothing may remain of the attempt."""
    with store.reading(engine) as connection:
        before = connection.execute(text("SELECT * FROM postings ORDER BY 1, 2, 3")).all()
    with pytest.raises(DBAPIError) as caught:
        run(engine, *statements)
    with store.reading(engine) as connection:
        assert connection.execute(text("SELECT * FROM postings ORDER BY 1, 2, 3")).all() == before
    return str(caught.value.orig).lower()


def sums(engine):
    query = "SELECT transaction_id, currency, SUM(amount_nano) FROM entries GROUP BY 1, 2 ORDER BY 1, 2"
    with store.reading(engine) as connection:
        return [(transaction, currency, int(total)) for transaction, currency, total in connection.execute(text(query))]


def test_a_transaction_may_have_several_currencies_and_sums_to_zero_in_each(book):
    run(book, post(2, (1, 2, "USD", 7), (3, 4, "CNY", 1), (2, 1, "USD", 3)), CLOSE.format(2))
    assert sums(book) == [(1, "USD", 0), (2, "CNY", 0), (2, "USD", 0)]


@pytest.mark.parametrize(
    ("posting", "why"),
    [
        ((1, 2, "USD", -5), "amount"),  # a negative amount would turn its sides around unseen
        ((1, 2, "USD", store.tables.NANO_MAX + 1), "amount"),
        ((1, 1, "USD", 5), "two_sides"),
        ((1, "NULL", "USD", 5), "null"),  # one side only
        ((1, 2, "USD", "NULL"), "null"),
        ((1, 4, "USD", 5), "foreign key"),  # zero over all, not in each currency
        ((1, 2, "CNY", 5), "foreign key"),
        ((1, 99, "USD", 5), "foreign key"),
    ],
)
def test_a_posting_that_would_not_balance_is_refused(book, posting, why):
    assert why in refused(book, post(2, posting), CLOSE.format(2))
    assert sums(book) == [(1, "USD", 0)]


def test_a_transaction_without_postings_is_refused(book):
    assert "has no postings" in refused(book, CLOSE.format(2))


def test_nothing_is_added_to_a_closed_transaction(book):
    later = post(1, (3, 4, "CNY", 9)).replace("(1, 1,", "(1, 2,")
    assert "closed" in refused(book, later)


def test_postings_whose_transaction_never_comes_are_refused_at_commit(book):
    assert "foreign key" in refused(book, post(2, (1, 2, "USD", 5)))


def test_an_adjustment_key_is_used_once(book):
    again = CLOSE.format(2).replace("'k2'", "'k1'")
    assert "unique" in refused(book, post(2, (1, 2, "USD", 5)), again)


READING = """INSERT INTO readings
    (id, gateway, segment, byte_offset, call, attempt, account, key, offer, cost_price, charge_price, tariff, model,
     endpoint, stream, outcome, status, fault, meters, input_provenance, output_provenance, flags, selectors,
     reported_cost, raw_usage, delivered_output, accepted_ns, sent_ns, first_ns, end_ns, request_bytes, reply_bytes,
     upstream_id, upstream_model, hold_currency, hold_nano, snapshot, state, detail, settled_ns)
    VALUES (1, 'g', 1, 0, 'c', 1, 1, 1, 1, 1, 0, 1, 'm', 'chat', false, 'ok', 200, '', '{}', 'missing', 'missing', '[]',
            '{}', '', '', -1, 0, 0, 0, 0, 0, 0, '', '', 'USD', 0, 1, 'unmetered', '', 0)"""
ROWS = {
    "tariff_versions": "INSERT INTO tariffs (name, margin_ppm) VALUES ('t', 0)",  # its trigger makes the row
    "audit": "INSERT INTO audit (at_ns, actor, action, subject) VALUES (0, 'a', 'b', 'c')",
    "price_rows": """INSERT INTO price_rows (key, book, vendor, model, scope, currency, from_ns, to_ns, body)
        VALUES ('k', 'b', 'v', 'm', 's', 'USD', 0, 0, '{}')""",
    "ledger_accounts": LEDGER,
    "transactions": CLOSE.format(1),
    "postings": post(1, (1, 2, "USD", 5)),
    "readings": READING,
    "resettlements": """INSERT INTO resettlements (reading_id, transaction_id, at_ns, actor, cost_price, charge_price,
        cost_nano, cost_currency, charge_nano, charge_currency) VALUES (1, 1, 0, 'a', 1, 0, 0, 'USD', 0, 'USD')""",
    "refusals": """INSERT INTO refusals (id, gateway, segment, byte_offset, call, account, key, model, endpoint, code,
        status, accepted_ns, end_ns) VALUES (1, 'g', 1, 0, 'c', 0, 0, 'm', 'chat', 'x', 400, 0, 0)""",
    "journal_notes": """INSERT INTO journal_notes (id, at_ns, gateway, segment, byte_offset, kind, detail)
        VALUES (1, 0, 'g', 1, 0, 'conflict', '{}')""",
}


@pytest.fixture
def full(engine):
    """One row at least in every append-only table."""
    order = ["ledger_accounts", "readings", "postings", "transactions", "resettlements", "refusals", "journal_notes",
             "tariff_versions", "audit", "price_rows"]  # fmt: skip
    assert sorted(order) == sorted(ROWS)
    run(engine, *(ROWS[table] for table in order))
    return engine


def test_the_book_is_never_changed_nor_emptied(full, backend):
    verbs = ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"] + (
        ["TRUNCATE {0} CASCADE"] if backend == "postgresql" else []
    )
    for table in ROWS:
        column = inspect(full).get_pk_constraint(table)["constrained_columns"][0]
        for verb in verbs:
            assert "append-only" in refused(full, verb.format(table, column)), (table, verb)


def test_insert_or_replace_is_no_way_around_it(full, backend):
    if backend == "sqlite":
        for table in ("price_rows", "refusals", "journal_notes", "transactions", "postings"):
            message = refused(full, ROWS[table].replace("INSERT INTO", "INSERT OR REPLACE INTO"))
            assert "append-only" in message or "closed" in message, table
    else:
        upsert = ROWS["price_rows"] + " ON CONFLICT (key) DO UPDATE SET body = 'other'"
        assert "append-only" in refused(full, upsert)


def test_a_tariff_keeps_what_its_margin_was(engine):
    run(engine, "INSERT INTO tariffs (name, margin_ppm) VALUES ('t', 100000)")
    run(engine, "UPDATE tariffs SET prices = '{}'")  # no change of the margin, no new version
    run(engine, "UPDATE tariffs SET margin_ppm = 200000")
    with store.reading(engine) as connection:
        rows = connection.execute(text("SELECT margin_ppm, from_ns FROM tariff_versions ORDER BY id")).all()
    assert [row.margin_ppm for row in rows] == [100000, 200000]
    assert 1_700_000_000_000_000_000 < rows[0].from_ns <= rows[1].from_ns < 4_000_000_000_000_000_000
