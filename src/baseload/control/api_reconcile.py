"""The part of the admin API about vendors' statements."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from baseload.control.api import Actor, Body, Ctx, Json, Number
from baseload.control.services import reconcile

router = APIRouter(prefix="/api/reconcile")


class NewStatement(Body):
    provider: str
    format: str
    data: str = Field(repr=False)
    mapping: str = ""


class Approval(Body):
    kinds: list[str] = Field(default_factory=list)
    keys: list[str] = Field(default_factory=list)


@router.get("")
def list_statements(ctx: Ctx) -> Json:
    return {"statements": reconcile.statements(ctx)}


@router.post("", status_code=201)
def keep(ctx: Ctx, actor: Actor, body: NewStatement) -> Json:
    return {"statement": reconcile.keep(ctx, actor, **body.model_dump())}


@router.get("/{number}")
def show(ctx: Ctx, number: Number) -> Json:
    return reconcile.show(ctx, number)


@router.post("/{number}/approve")
def approve(ctx: Ctx, actor: Actor, number: Number, body: Approval) -> Json:
    return reconcile.approve(ctx, actor, number=number, **body.model_dump())
