"""Invoices through the admin API: by account and month, with what is declared, and a row in the audit for each act."""

from __future__ import annotations

import csv
import io

import pytest
from tests.ledger import support as s

from baseload.control.services.times import month_ns
from baseload.ledger.amend import adjust

OCTOBER = month_ns("2026-10")[0]
DECLARED = {
    "seller": {"name": "Grid Ltd", "address": "Main Street 1", "tax_id": "IE1"},
    "taxes": [{"name": "VAT", "percent": "19"}],
    "series": "EU",
}


@pytest.fixture
def owing(context, owner):
    """An account that owes 10.00 USD and 500 JPY for October 2026."""
    adjust(context.engine, "default", 10 * 10**9, "USD", key="usd", memo="set-up", at_ns=OCTOBER)
    adjust(context.engine, "default", 500 * 10**9, "JPY", key="jpy", memo="set-up", at_ns=OCTOBER)
    return owner


def code(reply):
    return reply.status_code, reply.json()["error"]["code"]


def acts(context):
    return [action for action, _ in s.table(context.engine, "audit", "action, id") if action.startswith("invoic")]


def test_what_stands_on_invoices_is_declared_once_and_checked(owner, context):
    assert owner.get("/api/invoices/settings").json()["settings"]["taxes"] == []
    for _ in range(2):
        assert owner.put("/api/invoices/settings", json=DECLARED).json()["settings"] == DECLARED
    assert acts(context) == ["invoicing.set"]
    wrong = owner.put("/api/invoices/settings", json=DECLARED | {"taxes": [{"name": "VAT", "percent": "1000"}]})
    assert code(wrong) == (422, "invoicing_wrong")
    assert code(owner.put("/api/invoices/settings", json={"sender": {}})) == (422, "request_wrong")
    assert owner.get("/api/invoices/settings").json()["settings"] == DECLARED


def test_a_month_from_draft_to_credit_note(owing, context):
    owing.put("/api/invoices/settings", json=DECLARED)
    month = {"account": "default", "month": "2026-10"}
    drafts = owing.get("/api/invoices/preview", params=month).json()["drafts"]
    assert [(each["number"], each["currency"], each["total"]) for each in drafts] == [
        ("", "JPY", "595"), ("", "USD", "11.90"),
    ]  # fmt: skip
    made = owing.post("/api/invoices", json=month).json()["invoices"]
    assert [(each["number"], each["total"], each["made"]) for each in made] == [
        ("EU-2026-000001", "595", True), ("EU-2026-000002", "11.90", True),
    ]  # fmt: skip
    again = owing.post("/api/invoices", json={"all": True, "month": "2026-10"}).json()
    assert ([each["made"] for each in again["invoices"]], again["refused"]) == ([False, False], [])
    assert code(owing.get("/api/invoices/preview", params=month)) == (409, "invoice_overlaps")
    credit = {"lines": [{"line": 1, "amount": "2.50"}], "reason": "too much", "key": "k"}
    note = owing.post("/api/invoices/EU-2026-000002/credit", json=credit).json()["credit_note"]
    assert (note["number"], note["net"], note["total"], note["made"]) == ("EU-2026-000003", "-2.50", "-2.98", True)
    assert not owing.post("/api/invoices/EU-2026-000002/credit", json=credit).json()["credit_note"]["made"]
    shown = owing.get("/api/invoices/EU-2026-000002").json()
    assert (shown["left"], [each["number"] for each in shown["credit_notes"]]) == (
        {"1": 7_500_000_000},
        [note["number"]],
    )
    listed = owing.get("/api/invoices", params=month).json()["invoices"]
    assert [each["number"] for each in listed] == [f"EU-2026-00000{number}" for number in (1, 2, 3)]
    assert owing.get("/api/invoices", params={"month": "2026-09"}).json()["invoices"] == []
    assert acts(context) == ["invoice.credit", "invoice.issue", "invoice.issue", "invoicing.set"]


ISSUES = [
    ({"account": ""}, (400, "account_missing")),
    ({"all": True}, (400, "account_missing")),
    ({"month": ""}, (400, "period_wrong")),
    ({"month": "2026-13"}, (400, "period_wrong")),
    ({"month": "2999-01"}, (409, "period_open")),
    ({"month": "2026-09"}, (409, "nothing_to_invoice")),
    ({"account": "nobody"}, (404, "account_not_found")),
    ({"key": "k"}, (400, "key_wrong")),
    ({"series": "no"}, (422, "invoicing_wrong")),
    ({"surprise": 1}, (422, "request_wrong")),
]
CREDITS = [
    ({"reason": "r", "key": "k"}, (422, "credit_wrong")),
    ({"whole": True, "lines": [{"line": 1}], "reason": "r", "key": "k"}, (422, "credit_wrong")),
    ({"lines": [{"line": 1, "amount": "0"}], "reason": "r", "key": "k"}, (422, "credit_wrong")),
    ({"lines": [{"line": 1, "amount": "1e3"}], "reason": "r", "key": "k"}, (400, "bad_amount")),
    ({"lines": [{"line": 1, "amount": "10.01"}], "reason": "r", "key": "k"}, (409, "more_than_left")),
    ({"whole": True, "reason": "", "key": "k"}, (422, "credit_wrong")),
    ({"whole": True, "reason": "r", "key": ""}, (422, "credit_wrong")),
]


def test_what_cannot_be_issued_is_refused(owing):
    for change, expected in ISSUES:
        body = {"account": "default", "month": "2026-10"} | change
        assert code(owing.post("/api/invoices", json=body)) == expected, change
    assert owing.get("/api/invoices").json()["invoices"] == []


def test_what_cannot_be_credited_is_refused(owing):
    owing.post("/api/invoices", json={"account": "default", "month": "2026-10", "currency": "USD"})
    for body, expected in CREDITS:
        assert code(owing.post("/api/invoices/2026-000001/credit", json=body)) == expected, body
    assert len(owing.get("/api/invoices").json()["invoices"]) == 1


def test_one_account_that_is_refused_does_not_stop_the_others(owing, context):
    owing.post("/api/accounts", json={"name": "other"})
    adjust(context.engine, "other", 10**9, "USD", key="other", memo="m", at_ns=OCTOBER)
    half = {"account": "default", "currency": "USD", "since": "2026-10-01", "until": "2026-10-15"}
    assert owing.post("/api/invoices", json=half).status_code == 201
    done = owing.post("/api/invoices", json={"all": True, "month": "2026-10"}).json()
    assert [(each["account"], each["currency"]) for each in done["invoices"]] == [("default", "JPY"), ("other", "USD")]
    assert [(each["account"], each["currency"], each["code"]) for each in done["refused"]] == [
        ("default", "USD", "invoice_overlaps")
    ]


def test_files_of_a_number_and_of_a_month(owing, outside):
    month = {"account": "default", "month": "2026-10"}
    table = csv.DictReader(io.StringIO(owing.get("/api/invoices/statement", params=month).text))
    assert [(row["number"], row["nano"]) for row in table if row["what"] == "total"] == [
        ("", "500000000000"), ("", "10000000000"),
    ]  # fmt: skip
    draft = owing.get("/api/invoices/statement", params=month | {"format": "pdf", "currency": "USD"})
    assert draft.content.startswith(b"%PDF-")
    assert code(owing.get("/api/invoices/statement", params=month | {"format": "pdf"})) == (400, "one_document")
    owing.post("/api/invoices", json=month | {"currency": "USD"})
    owing.post("/api/invoices/2026-000001/credit", json={"whole": True, "reason": "r", "key": "k"})
    table = csv.DictReader(io.StringIO(owing.get("/api/invoices/statement", params=month).text))
    assert [row["number"] for row in table if row["what"] == "total"] == ["2026-000001", "2026-000002", ""]
    for format, magic in (("pdf", b"%PDF-"), ("csv", b"number,"), ("parquet", b"PAR1")):
        reply = owing.get("/api/invoices/2026-000002/file", params={"format": format})
        assert reply.content.startswith(magic)
        assert f'filename="invoice-2026-000002.{format}"' in reply.headers["content-disposition"]
    assert code(owing.get("/api/invoices/2026-000009/file")) == (404, "invoice_not_found")
    assert outside.get("/api/invoices/2026-000001/file").status_code == 401
