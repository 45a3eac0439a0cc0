"""The part of the admin API about the bet: capital planned and spent, the scoreboard, the load to plan for."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from baseload.control.api import Actor, Body, Ctx, Json
from baseload.control.services import capital, planning, scoreboard

router = APIRouter(prefix="/api")


class NewPlan(Body):
    quarter: str
    amount: str
    currency: str = "USD"
    project: str = "capacity"
    memo: str = Field(default="", max_length=500)


class NewSpending(Body):
    amount: str
    currency: str = "USD"
    quarter: str = ""  # "" = this one
    project: str = "capacity"
    key: str = Field(default="", max_length=200)
    memo: str = Field(default="", max_length=500)
    back: bool = False


@router.get("/capital")
def show(ctx: Ctx, currency: str = "USD", quarter: str = "") -> Json:
    return capital.show(ctx, currency, quarter)


@router.post("/capital/plan", status_code=201)
def plan(ctx: Ctx, actor: Actor, body: NewPlan) -> Json:
    return capital.plan(ctx, actor, **body.model_dump())


@router.post("/capital/spend", status_code=201)
def spend(ctx: Ctx, actor: Actor, body: NewSpending) -> Json:
    return capital.spend(ctx, actor, **body.model_dump())


@router.get("/scoreboard")
def board(ctx: Ctx, currency: str = "USD") -> Json:
    return scoreboard.board(ctx, currency)


@router.get("/plan/load")
def load(ctx: Ctx, since: str = "30d", until: str = "", model: str = "") -> Json:
    return {"hours": planning.hours(ctx, since=since, until=until, model=model)}
