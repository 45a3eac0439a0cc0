"""Accounts as a tree with what each may still spend; one account with its keys, budgets and payments."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console.pages.usage import own_accounts
from baseload.console.view import allow, context_of, form, page
from baseload.control.people.roles import MEMBER, Principal
from baseload.control.services import accounts, keys, money
from baseload.errors import Refusal


def index(request: Request) -> Response:
    who, context = allow(request, "own.read"), context_of(request)
    mine = set(own_accounts(context, who))
    rows = [row for row in accounts.list_accounts(context) if row["name"] in mine]
    purses: dict[str, list[dict[str, Any]]] = {}
    for purse in money.balances(context, ""):
        purses.setdefault(purse["account"], []).append({**purse, **bar(purse)})
    tree = list(as_tree(rows))
    return page(request, "accounts.html", tree=tree, purses=purses, may_write=who.may("grid.write"))


def as_tree(rows: list[dict[str, Any]]) -> Any:
    """(depth, row), each after its parent; an account whose parent is not shown is a root."""
    known = {row["name"] for row in rows}
    below: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        below.setdefault(row["parent"] if row["parent"] in known else "", []).append(row)

    def walk(name: str, depth: int) -> Any:
        for row in sorted(below.get(name, []), key=lambda one: one["name"]):
            yield depth, row
            yield from walk(row["name"], depth + 1)

    yield from walk("", 0)


def bar(purse: dict[str, Any]) -> dict[str, Any]:
    """How much of a purse is spent and held, in per cent of its funds."""
    funds = float(purse["funds"])
    spent, held = float(purse["spent"]), float(purse["held"]) + float(purse["at_gateways"])
    if funds <= 0:
        return {"spent_pc": 100 if spent else 0, "held_pc": 0}
    spent_pc = min(100, round(100 * spent / funds))
    return {"spent_pc": spent_pc, "held_pc": min(100 - spent_pc, round(100 * held / funds))}


def show(request: Request, secret: str = "", refusal: Refusal | None = None) -> Response:
    who, context = allow(request, "own.read"), context_of(request)
    name = _own(request, who)
    found = accounts.show(context, name)
    purses = [{**one, **bar(one)} for one in money.balances(context, name)]
    return page(
        request, "account.html", status=refusal.status if refusal else 200, account=found, secret=secret, purses=purses,
        keys=keys.list_keys(context, name), payments=money.list_payments(context, name, 20), refusal=refusal,
        may_write=who.may("grid.write"), may_pay=who.may("money.write"), once=secrets.token_hex(8),
    )  # fmt: skip


async def create(request: Request) -> Response:
    who, given = allow(request, "grid.write"), await form(request)
    await run_in_threadpool(
        accounts.create, context_of(request), who.actor, name=given.get("name", "").strip(),
        tariff=given.get("tariff") or "default", parent=given.get("parent", ""),
        currency=given.get("currency") or "USD",
    )  # fmt: skip
    return RedirectResponse(f"/console/accounts/{given.get('name', '').strip()}", status_code=303)


async def create_key(request: Request) -> Response:
    """The page shows the key once: it is in no address and no log."""
    who, given = allow(request, "grid.write"), await form(request)
    made = await run_in_threadpool(
        keys.create, context_of(request), who.actor, account=request.path_params["name"],
        name=given.get("name", "")[:200], models=[], expires_days=0, policy="",
    )  # fmt: skip
    return await run_in_threadpool(show, request, made["secret"])


async def revoke_key(request: Request) -> Response:
    who = allow(request, "grid.write")
    await run_in_threadpool(keys.revoke, context_of(request), who.actor, request.path_params["key"])
    return RedirectResponse(f"/console/accounts/{request.path_params['name']}", status_code=303)


async def top_up(request: Request) -> Response:
    """`once` was made with the page: sending the form twice pays once."""
    who, given = allow(request, "money.write"), await form(request)
    try:
        await run_in_threadpool(
            money.pay, context_of(request), who.actor, account=request.path_params["name"], kind="topup",
            amount=given.get("amount", ""), currency=given.get("currency", ""), key=f"console:{given.get('once', '')}",
            memo=given.get("memo", "")[:500],
        )  # fmt: skip
    except Refusal as refusal:
        return await run_in_threadpool(show, request, "", refusal)
    return RedirectResponse(f"/console/accounts/{request.path_params['name']}", status_code=303)


async def add_budget(request: Request) -> Response:
    """Of the account with all below it, or of one of its keys."""
    who, given = allow(request, "money.write"), await form(request)
    key = given.get("key", "")
    try:
        await run_in_threadpool(
            lambda: money.add_budget(
                context_of(request),
                who.actor,
                account=request.path_params["name"],
                key=int(key) if key.isdecimal() and len(key) < 19 else 0,
                period=given.get("period", "month"),
                amount=given.get("amount", ""),
                name=given.get("name", "")[:100],
                soft=bool(given.get("soft")),
                warn=[80, 100],
                zone=given.get("zone") or "UTC",
            )
        )
    except Refusal as refusal:
        return await run_in_threadpool(show, request, "", refusal)
    return RedirectResponse(f"/console/accounts/{request.path_params['name']}", status_code=303)


async def end_budget(request: Request) -> Response:
    who = allow(request, "money.write")
    try:
        await run_in_threadpool(
            lambda: money.end_budget(context_of(request), who.actor, number=int(request.path_params["number"]))
        )
    except Refusal as refusal:
        return await run_in_threadpool(show, request, "", refusal)
    return RedirectResponse(f"/console/accounts/{request.path_params['name']}", status_code=303)


async def set_funding(request: Request) -> Response:
    who, given = allow(request, "money.write"), await form(request)
    try:
        await run_in_threadpool(
            lambda: money.set_funding(
                context_of(request),
                who.actor,
                account=request.path_params["name"],
                funding=given.get("funding", ""),
                credit=given.get("credit") or "0",
            )
        )
    except Refusal as refusal:
        return await run_in_threadpool(show, request, "", refusal)
    return RedirectResponse(f"/console/accounts/{request.path_params['name']}", status_code=303)


def _own(request: Request, who: Principal) -> str:
    name: str = request.path_params["name"]
    if who.role == MEMBER and name not in own_accounts(context_of(request), who):
        raise Refusal(f"There is no account {name!r} for you.", code="account_not_found", status=404)
    return name
