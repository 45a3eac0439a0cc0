"""The part of the admin API about money: balances, budgets, leases, payments, rates of exchange, the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from baseload.control import audit
from baseload.control.api import Actor, Body, Ctx, Json
from baseload.control.services import money

router = APIRouter(prefix="/api")


class Funding(Body):
    funding: str = ""
    credit: str = "0"


class NewBudget(Body):
    account: str = ""
    key: int = Field(default=0, ge=0)
    period: str
    amount: str
    name: str = ""
    soft: bool = False
    warn: list[int] = Field(default_factory=lambda: [80, 100])
    zone: str = "UTC"


class NewPayment(Body):
    account: str
    kind: str = "topup"
    amount: str
    currency: str = "USD"
    key: str = Field(default="", max_length=200)
    memo: str = Field(default="", max_length=500)


class NewRate(Body):
    currency: str
    rate: str
    since: str = ""


@router.get("/balances")
def balances(ctx: Ctx, account: str = "") -> Json:
    return {"balances": money.balances(ctx, account)}


@router.get("/leases")
def leases(ctx: Ctx) -> Json:
    return {"leases": money.leases(ctx)}


@router.put("/accounts/{name}/funding")
def set_funding(ctx: Ctx, actor: Actor, name: str, body: Funding) -> Json:
    return {"balances": money.set_funding(ctx, actor, account=name, **body.model_dump())}


@router.post("/budgets", status_code=201)
def add_budget(ctx: Ctx, actor: Actor, body: NewBudget) -> Json:
    return {"budget": money.add_budget(ctx, actor, **body.model_dump())}


@router.delete("/budgets/{number}")
def end_budget(ctx: Ctx, actor: Actor, number: int) -> Json:
    money.end_budget(ctx, actor, number=number)
    return {"ended": number}


@router.get("/payments")
def list_payments(ctx: Ctx, account: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Json:
    return {"payments": money.list_payments(ctx, account, limit)}


@router.post("/payments", status_code=201)
def pay(ctx: Ctx, actor: Actor, body: NewPayment) -> Json:
    return {"payment": money.pay(ctx, actor, **body.model_dump())}


@router.get("/fx")
def rates(ctx: Ctx) -> Json:
    return {"rates": money.rates(ctx)}


@router.post("/fx", status_code=201)
def set_rate(ctx: Ctx, actor: Actor, body: NewRate) -> Json:
    return {"rates": money.set_rate(ctx, actor, **body.model_dump())}


@router.get("/audit")
def audit_log(ctx: Ctx, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Json:
    return {"audit": audit.latest(ctx.engine, limit)}
