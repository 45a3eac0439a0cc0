"""The part of the admin API about money: balances, budgets, leases, payments, rates of exchange, the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from baseload.control import audit, gridtls, payhooks
from baseload.control.api import Actor, Body, Ctx, Json, Number
from baseload.control.services import money
from baseload.ledger import alerts, codes

router = APIRouter(prefix="/api")


class Funding(Body):
    funding: str = ""
    credit: str = "0"


class NewBudget(Body):
    account: str = ""
    key: Number = 0
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
def end_budget(ctx: Ctx, actor: Actor, number: Number) -> Json:
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


class Revaluation(Body):
    month: str
    dry_run: bool = False


@router.post("/fx/revalue")
def revalue(ctx: Ctx, actor: Actor, body: Revaluation) -> Json:
    return {"revaluations": money.revalue(ctx, actor, **body.model_dump())}


@router.get("/audit")
def audit_log(ctx: Ctx, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Json:
    return {"audit": audit.latest(ctx.engine, limit)}


class NewCodes(Body):
    count: int = Field(default=1, ge=1, le=1000)
    amount: str
    currency: str = "USD"
    expires_days: int = Field(default=0, ge=0, le=36_500)
    memo: str = Field(default="", max_length=500)


class Redemption(Body):
    code: str = Field(max_length=200)
    account: str


class Hook(Body):
    secret: str = ""
    url: str = ""


@router.get("/codes")
def list_codes(ctx: Ctx) -> Json:
    return {"codes": codes.codes(ctx.engine)}


@router.post("/codes", status_code=201)
def make_codes(ctx: Ctx, actor: Actor, body: NewCodes) -> Json:
    return {"codes": money.make_codes(ctx, actor, **body.model_dump())}


@router.post("/codes/redeem", status_code=201)
def redeem_code(ctx: Ctx, actor: Actor, body: Redemption) -> Json:
    return {"payment": money.redeem_code(ctx, actor, **body.model_dump())}


@router.delete("/codes/{number}")
def revoke_code(ctx: Ctx, actor: Actor, number: Number) -> Json:
    return {"revoked": money.revoke_code(ctx, actor, number=number)}


@router.put("/hooks/{name}")
def set_hook(ctx: Ctx, actor: Actor, name: str, body: Hook) -> Json:
    money.set_hook(ctx, actor, name=name, **body.model_dump())
    return {"hook": name}


@router.get("/alerts")
def list_alerts(ctx: Ctx, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Json:
    return {"alerts": alerts.latest(ctx.engine, limit)}


class Invite(Body):
    name: str


@router.get("/gateways")
def list_gateways(ctx: Ctx) -> Json:
    return {"gateways": gridtls.list_gateways(ctx)}


@router.post("/gateways", status_code=201)
def invite_gateway(ctx: Ctx, actor: Actor, body: Invite) -> Json:
    return {"join": gridtls.invite(ctx, actor, name=body.name)}


@router.delete("/gateways/{name}")
def retire_gateway(ctx: Ctx, actor: Actor, name: str) -> Json:
    return {"gateway": gridtls.retire(ctx, actor, name=name)}


hooks = APIRouter(prefix="/hooks", include_in_schema=False)


@hooks.post("/stripe")
async def stripe(request: Request, ctx: Ctx) -> Json:
    """Authentic by its signature: no token."""
    body = await request.body()
    header = request.headers.get("stripe-signature", "")
    return await run_in_threadpool(payhooks.receive, ctx, "stripe", header, body)


@hooks.post("/payment/{name}")
async def payment(request: Request, ctx: Ctx, name: str) -> Json:
    body = await request.body()
    header = request.headers.get("x-baseload-signature", "")
    return await run_in_threadpool(payhooks.receive, ctx, name, header, body)
