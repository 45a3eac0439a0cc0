"""Money of accounts: what limits them and what is left, payments, rates of exchange."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from baseload import store
from baseload.control import audit
from baseload.control.apply import id_of, set_setting, setting
from baseload.control.config import BudgetConf
from baseload.control.context import Context
from baseload.control.rules import amount_nano, budget_wish, credential_fault
from baseload.control.services.times import instant_ns, period_ns
from baseload.errors import Refusal
from baseload.ledger import codes, fx, limits, payments, purses
from baseload.ledger import revalue as revaluation
from baseload.ledger.limits import Wish
from baseload.ledger.purses import PurseBook, State
from baseload.ledger.settled import account_id
from baseload.ledger.texts import decimal, instant
from baseload.money.period import check_zone
from baseload.store import tables as t


def balances(context: Context, account: str) -> list[dict[str, Any]]:
    """Every purse, or those that bind an account: funds, spent, held, and what is available."""
    found = purses.states(context.engine, time.time_ns(), account or None)
    with store.reading(context.engine) as connection:
        names = {row.id: row.name for row in connection.execute(select(t.accounts.c.id, t.accounts.c.name))}
    return [_shown(state, names) for state in found]


def _shown(state: State, names: dict[int, str]) -> dict[str, Any]:
    purse = state.purse
    return {
        "id": purse.id,
        "account": names.get(purse.account, ""),
        "key": purse.key or "",
        "name": purse.name,
        "kind": purse.kind,
        "hard": purse.hard,
        "period": purse.period,
        "since": instant(state.window_ns) if state.window_ns else "",
        "funds": decimal(state.funds_nano),
        "spent": decimal(state.spent_nano),
        "held": decimal(state.pending_nano),
        "at_gateways": decimal(state.out_nano),
        "available": decimal(state.available_nano),
        "currency": purse.currency,
    }


def leases(context: Context) -> list[dict[str, Any]]:
    """Money out at gateways."""
    lease = t.leases.c
    query = select(t.leases, t.purses.c.name, t.purses.c.currency, t.accounts.c.name.label("account")).select_from(
        t.leases.join(t.purses, t.purses.c.id == lease.purse_id).join(
            t.accounts, t.accounts.c.id == t.purses.c.account_id
        )
    ).where(lease.state != "home").order_by(lease.id)  # fmt: skip
    with store.reading(context.engine) as connection:
        return [
            {
                "id": row.id, "account": row.account, "purse": row.name, "gateway": row.journal, "state": row.state,
                "granted": decimal(row.granted_nano), "consumed": decimal(row.consumed_nano),
                "returned": decimal(row.returned_nano),
                "left": decimal(row.granted_nano - row.consumed_nano - row.returned_nano), "currency": row.currency,
                "expires": instant(row.expires_ns),
            }
            for row in connection.execute(query)
        ]  # fmt: skip


def set_funding(context: Context, actor: str, *, account: str, funding: str, credit: str) -> list[dict[str, Any]]:
    """An account pays in advance, up to a credit line, or (funding "") no longer by itself."""
    if funding not in ("", "prepaid", "credit"):
        raise Refusal(f"{funding!r} is no funding.", "prepaid, credit, or none.", code="funding_wrong", param="funding")
    line = amount_nano(credit) if funding == "credit" else 0
    now_ns = time.time_ns()
    with store.writing(context.engine) as connection:
        number = id_of(connection, t.accounts, account)
        book = PurseBook(connection)
        known = next(
            (p for p in book.purses.values() if p.account == number and p.kind == "funding" and p.in_force(now_ns)),
            None,
        )
        _by_command(connection, known.id if known is not None else 0)
        wish = Wish(kind="funding", name="funding", limit_nano=line)
        if not funding and known is not None:
            limits.end(connection, known.id, now_ns)
        elif funding and known is None:
            limits.open_purse(connection, number, wish, now_ns)
        elif funding and known is not None:
            limits.change(connection, known, msgspec.structs.replace(wish, zone=known.zone), now_ns, declared=False)
        audit.record(connection, actor, "account.funding", account, {"funding": funding, "credit": credit})
    context.changed()
    return balances(context, account)


def add_budget(
    context: Context, actor: str, *, account: str, key: int, period: str, amount: str, name: str, soft: bool,
    warn: list[int], zone: str,
) -> dict[str, Any]:  # fmt: skip
    """A budget of an account with all below it, or of one key."""
    check_zone(zone)
    conf = msgspec.convert({"period": period, "amount": amount, "name": name, "soft": soft, "warn": warn}, BudgetConf)
    wish = budget_wish(conf, zone)
    with store.writing(context.engine) as connection:
        if key:
            row = connection.execute(select(t.keys).where(t.keys.c.id == key)).one_or_none()
            if row is None:
                raise Refusal(f"There is no key {key}.", "baseload keys list", code="key_not_found", status=404)
            number = int(row.account_id)
            wish = msgspec.structs.replace(wish, name=conf.name or f"{period} of key {key}")
        else:
            number = account_id(connection, account)
        made = limits.open_purse(connection, number, wish, time.time_ns(), key=key)
        detail = {"purse": made, "key": key, "period": period, "amount": amount, "soft": soft}
        audit.record(connection, actor, "budget.add", account or str(key), detail)
    context.changed()
    return next(row for row in balances(context, "") if row["id"] == made)


def end_budget(context: Context, actor: str, *, number: int) -> None:
    """A budget limits no longer."""
    with store.writing(context.engine) as connection:
        row = connection.execute(select(t.purses).where(t.purses.c.id == number, t.purses.c.to_ns == 0)).one_or_none()
        if row is None:
            raise Refusal(f"There is no budget {number}.", "baseload balance", code="budget_not_found", status=404)
        _by_command(connection, number)
        limits.end(connection, number, time.time_ns())
        audit.record(connection, actor, "budget.end", str(number), {"name": row.name})
    context.changed()


def _by_command(connection: Connection, number: int) -> None:
    if number and connection.execute(select(t.purses.c.declared).where(t.purses.c.id == number)).scalar():
        raise Refusal(
            "The configuration file declares this; a command cannot change it.", "Edit baseload.toml.",
            code="declared", status=409,
        )  # fmt: skip


def pay(
    context: Context, actor: str, *, account: str, kind: str, amount: str, currency: str, key: str, memo: str
) -> dict[str, Any]:
    """A top-up, refund, credit or debit; the same key again is a no-op."""
    if kind not in ("topup", "refund", "credit", "debit"):
        raise Refusal(f"{kind!r} is no payment.", "topup, refund, credit or debit.", code="kind_wrong", param="kind")
    made = payments.pay(
        context.engine, account, kind, amount_nano(amount), currency, key=key or secrets.token_hex(8), actor=actor,
        at_ns=time.time_ns(), memo=memo, record=audit.recorder(actor),
    )  # fmt: skip
    return dict(msgspec.to_builtins(made))


def pay_invoice(context: Context, actor: str, *, number: str, amount: str, memo: str) -> dict[str, Any]:
    """An invoice is paid whole; again: a no-op."""
    made = payments.pay_invoice(
        context.engine, number, amount_nano(amount), actor=actor, at_ns=time.time_ns(), memo=memo,
        record=audit.recorder(actor),
    )  # fmt: skip
    return dict(msgspec.to_builtins(made))


def revalue(context: Context, actor: str, *, month: str, dry_run: bool) -> list[dict[str, Any]]:
    """Gains and losses of exchange of a month that is over."""
    now_ns = time.time_ns()
    _, end_ns = period_ns("", "", month, now_ns)
    if end_ns > now_ns and not dry_run:
        raise Refusal(f"{month} is not over.", "Wait, or look at it: --dry-run", code="period_open", status=409)
    found = revaluation.revalue(
        context.engine, end_ns, month, dry_run=dry_run, record=None if dry_run else audit.recorder(actor)
    )
    return [dict(msgspec.to_builtins(one)) for one in found]


def list_payments(context: Context, account: str, limit: int) -> list[dict[str, Any]]:
    return [msgspec.to_builtins(one) for one in payments.payments(context.engine, account or None, limit)]


def set_rate(context: Context, actor: str, *, currency: str, rate: str, since: str) -> list[dict[str, Any]]:
    """A dated rate of exchange."""
    from_ns = instant_ns(since, time.time_ns()) if since else time.time_ns()
    with store.writing(context.engine) as connection:
        if fx.keep(connection, currency, rate, from_ns, source=actor):
            audit.record(connection, actor, "fx.set", currency, {"rate": rate, "from": instant(from_ns)})
    context.changed()
    return rates(context)


def rates(context: Context) -> list[dict[str, Any]]:
    return [
        {
            "currency": one.currency,
            "base": one.base,
            "rate": one.rate,
            "from": instant(one.from_ns),
            "source": one.source,
        }
        for one in fx.list_rates(context.engine)
    ]


def make_codes(
    context: Context, actor: str, *, count: int, amount: str, currency: str, expires_days: int, memo: str
) -> list[str]:
    """New redemption codes: the only reply that holds their texts."""
    now_ns = time.time_ns()
    return codes.make(
        context.engine, count, amount_nano(amount), currency, now_ns=now_ns, memo=memo,
        expires_ns=now_ns + expires_days * 86_400 * 10**9 if expires_days else 0, record=audit.recorder(actor),
    )  # fmt: skip


def redeem_code(context: Context, actor: str, *, code: str, account: str) -> dict[str, Any]:
    paid = codes.redeem(context.engine, code, account, actor=actor, now_ns=time.time_ns(), record=audit.recorder(actor))
    return dict(msgspec.to_builtins(paid))


def revoke_code(context: Context, actor: str, *, number: int) -> bool:
    with store.writing(context.engine) as connection:
        done = codes.revoke(connection, number, time.time_ns())
        if done:
            audit.record(connection, actor, "codes.revoke", str(number))
    return done


def set_hook(context: Context, actor: str, *, name: str, secret: str, url: str = "") -> None:
    """Where payments come from (its secret), or where alerts go to (`alerts`, with a URL). Secrets by reference."""
    if secret and (say := credential_fault(secret)):
        raise Refusal(say, "env:NAME or file:PATH.", code="secret_literal", param="secret")
    with store.writing(context.engine) as connection:
        if name == "alerts":
            set_setting(connection, "alert_webhook", {"url": url, "secret": secret})
        else:
            known = setting(connection, "payment_hooks", {})
            set_setting(connection, "payment_hooks", {**known, name: secret})
        audit.record(connection, actor, "hook.set", name, {"url": url})
