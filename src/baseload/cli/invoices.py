"""`baseload invoices`: what accounts are asked to pay, under numbers without gaps."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common
from baseload.cli.invoice_files import csv, parquet, pdf
from baseload.cli.output import print_json, print_record, print_rows
from baseload.errors import Refusal

app = App(name="invoices", help="What accounts are asked to pay: issue, show, print, credit.")
COLUMNS = ("number", "kind", "account", "start", "end", "net", "tax", "total", "currency", "refers_to")
_METERS = ("input", "cache_read", "output")
Flag = Annotated[bool, Parameter(negative="")]
Many = Annotated[list[str] | None, Parameter(negative="")]


@app.command
def preview(
    *, account: str = "default", month: str = "", since: str = "", until: str = "", currency: str = "",
    common: Common = COMMON,
) -> None:  # fmt: skip
    """Show what would be issued now; default: this month so far.

    Example: baseload invoices preview --account acme --month 2026-11

    Parameters
    ----------
    account
        Who pays.
    month
        A whole month, as in 2026-11.
    since
        First instant (a date or instant in UTC, or a span like 7d).
    until
        The end, not included; default: now.
    currency
        Only this one.
    """
    found = common.client().get("/api/invoices/preview", account=account, **_given(month, since, until, currency))
    if common.json:
        print_json(drafts=found["drafts"], open=found["open"])
        return
    _print_lines(found["drafts"])
    if not found["drafts"]:
        exits.note(f"There is nothing of {account} to invoice for this time.")
    for state, number in found["open"].items():
        if number:
            exits.note(f"{number} calls are {state} and in no line yet: baseload ledger check")


@app.command
def issue(
    *, account: str = "", all: Flag = False, month: str = "", since: str = "", until: str = "", currency: str = "",
    series: str | None = None, early: Flag = False, common: Common = COMMON,
) -> int:  # fmt: skip
    """Issue invoices. The same account, time and currency again gives the same invoice.

    Examples:
      baseload invoices issue --account acme --month 2026-11
      baseload invoices issue --all --month 2026-11

    Parameters
    ----------
    account
        Who pays.
    all
        Every account that has something to invoice.
    month
        A whole month, as in 2026-11.
    since
        First instant (a date or instant in UTC), instead of a month.
    until
        The end, not included.
    currency
        Only this one; default: every currency the account was charged in.
    series
        Numbers of this series; default: the one of `baseload invoices settings`.
    early
        Though the time is not over: calls that follow will be late ones of the next invoice.
    """
    body = {"account": account, "all": all, "series": series, "early": early,
            **{name: value or "" for name, value in _given(month, since, until, currency).items()}}  # fmt: skip
    found = common.client().post("/api/invoices", body)
    if common.json:
        print_json(invoices=found["invoices"], refused=found["refused"])
    else:
        print_rows(found["invoices"], COLUMNS, as_json=False, name="invoices")
    for each in found["refused"]:
        exits.complain(f"{each['account']} in {each['currency']}: {each['say']}")
    return exits.FAILED if found["refused"] else exits.OK


@app.command(name="list")
def list_(*, account: str = "", month: str = "", since: str = "", until: str = "", common: Common = COMMON) -> None:
    """List invoices and credit notes, by when they were issued.

    Example: baseload invoices list --account acme

    Parameters
    ----------
    account
        Only of this account.
    month
        Only those for a time within this month.
    since
        Only those for a time from here on.
    until
        Only those for a time up to here.
    """
    found = common.client().get("/api/invoices", account=account or None, **_given(month, since, until))
    print_rows(found["invoices"], COLUMNS, as_json=common.json, name="invoices")


@app.command
def buyer(
    account: str, *, name: str | None = None, address: str | None = None, tax_id: str | None = None,
    common: Common = COMMON,
) -> None:  # fmt: skip
    """Say who an account is on its invoices, or show it. Invoices issued before keep what they have.

    Example: baseload invoices buyer acme --name "Acme GmbH" --address "Hauptstr. 1" --tax-id DE123

    Parameters
    ----------
    account
        Who pays.
    name
        The name on the invoice; "" is the account's own.
    address
        Its address; lines are separated by a line feed.
    tax_id
        Its tax id.
    """
    path = f"/api/invoices/buyers/{segment(account)}"
    found = common.client().get(path)["buyer"]
    given = {"name": name, "address": address, "tax_id": tax_id}
    changed = {**found, **{field: value for field, value in given.items() if value is not None}}
    if changed != found:
        found = common.client().put(path, changed)["buyer"]
    print_record(found, as_json=common.json, name="buyer")


@app.command
def paid(number: str, amount: str, *, memo: str = "", common: Common = COMMON) -> None:
    """An invoice is paid, whole. Said again, it is a no-op.

    Example: baseload invoices paid 2026-000001 119.00

    Parameters
    ----------
    number
        The invoice.
    amount
        Its total, less what credit notes took back.
    memo
        A note.
    """
    body = {"amount": amount, "memo": memo}
    made = common.client().post(f"/api/invoices/{segment(number)}/paid", body)["payment"]
    print_record(made, as_json=common.json, name="payment")


@app.command
def show(number: str, *, common: Common = COMMON) -> None:
    """Show one invoice or credit note.

    Example: baseload invoices show 2026-000001

    Parameters
    ----------
    number
        Its number.
    """
    found = common.client().get(f"/api/invoices/{segment(number)}")
    if common.json:
        print_json(**{name: value for name, value in found.items() if name != "v"})
        return
    _print_lines([found["invoice"]])
    for note in found["credit_notes"]:
        exits.note(f"Credit note {note['number']}: {note['total']} {note['currency']}.")


for each in (pdf, csv, parquet):
    app.command(each)


@app.command
def credit(
    number: str, *, line: Many = None, whole: Flag = False, reason: str, key: str = "",
    common: Common = COMMON,
) -> None:  # fmt: skip
    """Take back lines of an invoice, or all that is left of it, by a credit note.

    Examples:
      baseload invoices credit 2026-000001 --line 2 --line 3=0.50 --reason "wrong model"
      baseload invoices credit 2026-000001 --whole --reason "wrong customer"

    Parameters
    ----------
    number
        The invoice.
    line
        A line, with =AMOUNT (net) a part of it; may be given more than once.
    whole
        All that is left.
    reason
        Why; it stands on the credit note.
    key
        What makes a repeat do nothing; default: a random one, which is printed.
    """
    key = key or secrets.token_hex(8)
    body = {"lines": [_line(each) for each in line or []], "whole": whole, "reason": reason, "key": key}
    found = common.client().post(f"/api/invoices/{segment(number)}/credit", body)["credit_note"]
    if common.json:
        print_json(credit_note=found)
        return
    _print_lines([found])
    exits.note(f"To say it again without effect: --key {key}" if found["made"] else "This was credited before.")


@app.command
def settings(
    *, name: str | None = None, address: str | None = None, tax_id: str | None = None, tax: Many = None,
    no_tax: Flag = False, series: str | None = None, common: Common = COMMON,
) -> None:  # fmt: skip
    """Show what stands on new invoices, or change what is given.

    Example: baseload invoices settings --name "Grid Ltd" --tax VAT=19

    Parameters
    ----------
    name
        Who sends them.
    address
        Its address; several lines are fine.
    tax_id
        Its number at the tax office.
    tax
        NAME=PERCENT, once for each tax; they replace those declared before.
    no_tax
        No taxes any more.
    series
        What numbers begin with: capital letters and digits; "" for none.
    """
    client = common.client()
    found = client.get("/api/invoices/settings")["settings"]
    given = {"name": name, "address": address, "tax_id": tax_id}
    changes: dict[str, Any] = {}
    if any(value is not None for value in given.values()):
        changes["seller"] = found["seller"] | {field: value for field, value in given.items() if value is not None}
    if tax or no_tax:
        changes["taxes"] = [_tax(each) for each in tax or []]
    if series is not None:
        changes["series"] = series
    if changes:
        found = client.put("/api/invoices/settings", found | changes)["settings"]
    if common.json:
        print_json(settings=found)
        return
    taxes = [f"{each['name']} {each['percent']} %" for each in found["taxes"]]
    print_record({**found["seller"], "taxes": taxes, "series": found["series"]}, as_json=False, name="settings")


def _given(month: str, since: str, until: str, currency: str = "") -> dict[str, str | None]:
    members = {"month": month, "since": since, "until": until, "currency": currency}
    return {name: value or None for name, value in members.items()}


def _line(text: str) -> dict[str, Any]:
    number, _, amount = text.partition("=")
    if not number.isascii() or not number.isdigit():
        raise Refusal(f"{text!r} names no line.", "As in --line 2, or --line 2=0.50.", code="usage")
    return {"line": int(number), "amount": amount}


def _tax(text: str) -> dict[str, str]:
    name, equals, percent = text.rpartition("=")
    if not equals:
        raise Refusal(f"{text!r} has no rate.", "As in --tax VAT=19.", code="usage")
    return {"name": name, "percent": percent}


def _print_lines(documents: list[dict[str, Any]]) -> None:
    rows = [
        {**line, "currency": found["currency"], **{name: line.get("meters", {}).get(name, 0) for name in _METERS}}
        for found in documents
        for line in [*found["lines"], *found["adjustments"]]
    ]
    columns = ("line", "text", "late_for", "of_line", "calls", *_METERS, "amount", "currency")
    print_rows(rows, columns, as_json=False, name="lines")
    for found in documents:
        taxes = "".join(f", {tax['name']} {tax['percent']} % {tax['amount']}" for tax in found["taxes"])
        rest = f", rounding {found['rounding']}" if found["rounding_nano"] else ""
        what = f"{found['kind'].replace('_', ' ')} {found['number'] or '(a draft)'} of {found['account_name']}"
        exits.note(f"{what}: net {found['net']}{taxes}{rest}, total {found['total']} {found['currency']}.")
