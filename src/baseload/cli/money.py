"""`baseload balance`, `budgets`, `payments`, `fx`, `audit`: money of accounts."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common, about
from baseload.cli.output import print_record, print_rows

balance_app = App(name="balance")
budgets_app = App(name="budgets", help="What limits the spending of accounts and keys.")
payments_app = App(name="payments", help="Top-ups, refunds, credits and debits of accounts.")
fx_app = App(name="fx", help="Dated rates of exchange, for charges in another currency than the price's.")
audit_app = App(name="audit")
alerts_app = App(name="alerts", help="What a person should know.")
codes_app = App(name="codes", help="Texts that are worth an amount, once.")

BALANCES = ("id", "account", "key", "name", "hard", "funds", "spent", "held", "at_gateways", "available", "currency")
PAYMENTS = ("id", "at", "account", "kind", "amount", "currency", "key", "memo")


@balance_app.default
def balance(
    account: str = "", *, leases: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON
) -> None:
    """Show what accounts may still spend: balances and budgets, with what is out at gateways.

    Example: baseload balance acme

    Parameters
    ----------
    account
        Only what binds this account.
    leases
        Show the leases of gateways instead.
    """
    client = common.client()
    if leases:
        rows = client.get("/api/leases")["leases"]
        columns = ("id", "account", "purse", "gateway", "state", "granted", "consumed", "returned", "left", "currency")
        print_rows(rows, columns, as_json=common.json, name="leases")
        return
    rows = client.get("/api/balances", account=account or None)["balances"]
    print_rows(rows, BALANCES, as_json=common.json, name="balances")


@budgets_app.command
def funding(
    account: str, kind: Literal["prepaid", "credit", "none"], *, credit: str = "0", common: Common = COMMON
) -> None:
    """Let an account pay in advance, or up to a credit line; "none": its parent pays, or it is billed later.

    Example: baseload budgets funding acme credit --credit 100

    Parameters
    ----------
    account
        The account.
    kind
        prepaid, credit or none.
    credit
        How much it may owe, in its currency.
    """
    body = {"funding": "" if kind == "none" else kind, "credit": credit}
    rows = common.client().put(f"/api/accounts/{segment(account)}/funding", body)["balances"]
    print_rows(rows, BALANCES, as_json=common.json, name="balances")


@budgets_app.command
def add(
    amount: str,
    *,
    account: str = "",
    key: int = 0,
    period: Literal["total", "day", "week", "month"] = "month",
    name: str = "",
    soft: Annotated[bool, Parameter(negative="")] = False,
    warn: str = "80,100",
    zone: str = "UTC",
    common: Common = COMMON,
) -> None:
    """Add a budget to an account (with all below it) or to one key.

    Examples:
      baseload budgets add 500 --account acme
      baseload budgets add 5 --key 12 --period day --zone Asia/Shanghai

    Parameters
    ----------
    amount
        In the account's currency, as in "500".
    account
        Whose budget it is.
    key
        Or the id of a key.
    period
        total, day, week or month.
    name
        A word to know it by; default: the period.
    soft
        Warn, and stop nobody.
    warn
        Per cent of the amount at which an alert is made, separated by commas.
    zone
        Where days begin.
    """
    body = {
        "account": account, "key": key, "period": period, "amount": amount, "name": name, "soft": soft, "zone": zone,
        "warn": [int(part) for part in warn.split(",") if part.strip()],
    }  # fmt: skip
    print_record(common.client().post("/api/budgets", body)["budget"], as_json=common.json, name="budget")


@budgets_app.command
def end(number: int, *, common: Common = COMMON) -> None:
    """End a budget; its number is in `baseload balance`.

    Example: baseload budgets end 3

    Parameters
    ----------
    number
        The budget.
    """
    print_record(common.client().delete(f"/api/budgets/{number}"), as_json=common.json, name="budget")


def _pay(common: Common, kind: str, account: str, amount: str, currency: str, key: str, memo: str) -> None:
    body = {"account": account, "kind": kind, "amount": amount, "currency": currency, "key": key, "memo": memo}
    print_record(common.client().post("/api/payments", body)["payment"], as_json=common.json, name="payment")


@payments_app.command
def topup(
    account: str, amount: str, *, currency: str = "USD", key: str = "", memo: str = "", common: Common = COMMON
) -> None:
    """An account has paid.

    Example: baseload payments topup acme 50 --key invoice-17

    Parameters
    ----------
    account
        Who has paid.
    amount
        How much, as in "12.50".
    currency
        The account's currency.
    key
        Names the payment: the same key again posts nothing. Default: a new one.
    memo
        A note.
    """
    _pay(common, "topup", account, amount, currency, key, memo)


@payments_app.command
def refund(
    account: str, amount: str, *, currency: str = "USD", key: str = "", memo: str = "", common: Common = COMMON
) -> None:
    """An account gets money back; never more than is left.

    Example: baseload payments refund acme 10 --key refund-3

    Parameters
    ----------
    account
        Who gets it.
    amount
        How much.
    currency
        The account's currency.
    key
        Names the refund: the same key again posts nothing.
    memo
        A note.
    """
    _pay(common, "refund", account, amount, currency, key, memo)


@payments_app.command
def credit(
    account: str, amount: str, *, currency: str = "USD", key: str = "", memo: str = "", common: Common = COMMON
) -> None:
    """An account is given some.

    Example: baseload payments credit acme 5 --memo "sorry for the outage"

    Parameters
    ----------
    account
        Who gets it.
    amount
        How much.
    currency
        The account's currency.
    key
        Names the credit: the same key again posts nothing.
    memo
        A note.
    """
    _pay(common, "credit", account, amount, currency, key, memo)


@payments_app.command
def debit(
    account: str, amount: str, *, currency: str = "USD", key: str = "", memo: str = "", common: Common = COMMON
) -> None:
    """Take back from a balance by hand; never more than is left.

    Example: baseload payments debit acme 5 --memo "credited twice"

    Parameters
    ----------
    account
        From whom.
    amount
        How much.
    currency
        The account's currency.
    key
        Names the debit: the same key again posts nothing.
    memo
        A note.
    """
    _pay(common, "debit", account, amount, currency, key, memo)


@payments_app.command(name="list")
def list_(*, account: str = "", limit: int = 50, common: Common = COMMON) -> None:
    """List payments, newest first.

    Example: baseload payments list --account acme

    Parameters
    ----------
    account
        Only this account's.
    limit
        How many.
    """
    rows = common.client().get("/api/payments", account=account or None, limit=limit)["payments"]
    print_rows(rows, PAYMENTS, as_json=common.json, name="payments")


@fx_app.command(name="set")
def set_(currency: str, rate: str, *, since: str = "", common: Common = COMMON) -> None:
    """Add a rate: US dollars for one unit of a currency, from now or an instant on.

    Example: baseload fx set CNY 0.139 --since 2026-11-01

    Parameters
    ----------
    currency
        As in CNY.
    rate
        A decimal.
    since
        An instant or date in UTC; default: now.
    """
    rows = common.client().post("/api/fx", {"currency": currency, "rate": rate, "since": since})["rates"]
    print_rows(rows, ("currency", "rate", "base", "from", "source"), as_json=common.json, name="rates")


@fx_app.command(name="list")
def list_rates(*, common: Common = COMMON) -> None:
    """List all rates.

    Example: baseload fx list
    """
    rows = common.client().get("/api/fx")["rates"]
    print_rows(rows, ("currency", "rate", "base", "from", "source"), as_json=common.json, name="rates")


@fx_app.command
def revalue(month: str, *, dry_run: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON) -> None:
    """Post the gains and losses of exchange of a month that is over: money held and owed in other currencies.

    Example: baseload fx revalue 2026-10

    Parameters
    ----------
    month
        As in 2026-10. Said again, nothing is posted.
    dry_run
        Show it, post nothing.
    """
    found = common.client().post("/api/fx/revalue", {"month": month, "dry_run": dry_run})["revaluations"]
    columns = ("currency", "held", "rate", "gain", "base", "end", "transaction", "made")
    print_rows(found, columns, as_json=common.json, name="revaluations")


@audit_app.default
def audit(*, limit: int = 50, common: Common = COMMON) -> None:
    """Show the latest administrative acts; `baseload ledger check` proves that none was changed or removed.

    Example: baseload audit --limit 10

    Parameters
    ----------
    limit
        How many.
    """
    rows = common.client().get("/api/audit", limit=limit)["audit"]
    print_rows(rows, ("id", "at", "actor", "action", "subject", "detail"), as_json=common.json, name="audit")


@alerts_app.command(name="list")
def list_alerts(*, limit: int = 50, common: Common = COMMON) -> None:
    """List alerts, newest first: budgets that reached a part of their limit, payments that could not be posted.

    Example: baseload alerts list

    Parameters
    ----------
    limit
        How many.
    """
    rows = common.client().get("/api/alerts", limit=limit)["alerts"]
    print_rows(rows, ("id", "at", "kind", "body", "sent", "trouble"), as_json=common.json, name="alerts")


@alerts_app.command
def webhook(url: str, *, secret: str = "", common: Common = COMMON) -> None:
    """Send every alert to a URL, signed.

    Example: baseload alerts webhook https://ops.example/hook --secret env:ALERT_SECRET

    Parameters
    ----------
    url
        Where to; "" sends none.
    secret
        What messages are signed by: env:NAME or file:PATH, as the control plane sees it.
    """
    body = {"url": url, "secret": secret}
    print_record(common.client().put("/api/hooks/alerts", body), as_json=common.json, name="hook")


@payments_app.command
def hook(name: str, secret: str, *, common: Common = COMMON) -> None:
    """Take payments that a provider tells of: Stripe at /hooks/stripe, others at /hooks/payment/NAME.

    Example: baseload payments hook stripe env:STRIPE_WEBHOOK_SECRET

    Parameters
    ----------
    name
        stripe, or a name of your own.
    secret
        The endpoint's signing secret: env:NAME or file:PATH, as the control plane sees it.
    """
    print_record(
        common.client().put(f"/api/hooks/{segment(name)}", {"secret": secret}), as_json=common.json, name="hook"
    )


@codes_app.command
def make(
    count: int, amount: str, *, currency: str = "USD", expires_days: int = 0, memo: str = "", common: Common = COMMON
) -> None:
    """Make codes of an amount each; their texts are shown once.

    Example: baseload codes make 10 5 --expires-days 90

    Parameters
    ----------
    count
        How many.
    amount
        What each is worth.
    currency
        In which currency.
    expires_days
        Days until they are worth nothing; 0 means never.
    memo
        A note.
    """
    body = {"count": count, "amount": amount, "currency": currency, "expires_days": expires_days, "memo": memo}
    made = common.client().post("/api/codes", body)["codes"]
    print_rows([{"code": code} for code in made], ("code",), as_json=common.json, name="codes")


@codes_app.command
def redeem(code: str, account: str, *, common: Common = COMMON) -> None:
    """Credit a code to an account, once.

    Example: baseload codes redeem BL-ABCDE-FGHJK-LMNPQ-RSTUV-WXYZ2-3 acme

    Parameters
    ----------
    code
        Its text; case and dashes do not matter.
    account
        Who gets it.
    """
    body = {"code": code, "account": account}
    print_record(common.client().post("/api/codes/redeem", body)["payment"], as_json=common.json, name="payment")


@codes_app.command(name="list")
def list_codes(*, common: Common = COMMON) -> None:
    """List codes by their first letters.

    Example: baseload codes list
    """
    rows = common.client().get("/api/codes")["codes"]
    columns = ("id", "prefix", "amount", "currency", "made", "expires", "redeemed", "revoked", "memo")
    print_rows(rows, columns, as_json=common.json, name="codes")


@codes_app.command
def revoke(number: int, *, common: Common = COMMON) -> None:
    """Make a code worthless.

    Example: baseload codes revoke 3

    Parameters
    ----------
    number
        Its id in `baseload codes list`.
    """
    print_record(common.client().delete(f"/api/codes/{number}"), as_json=common.json, name="code")


balance_app.help_epilogue = about(balance)
audit_app.help_epilogue = about(audit)
