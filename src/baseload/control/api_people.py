"""The part of the admin API about people, tokens and one's own session."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import Field

from baseload.control.api import Actor, Body, Ctx, Json, Number
from baseload.control.door import COOKIE, COOKIE_SECURE, cookie_of
from baseload.control.people import sessions
from baseload.control.people.roles import MAY, Principal
from baseload.control.services import people

router = APIRouter(prefix="/api")


class NewPerson(Body):
    name: str
    role: str = "member"
    account: str = ""


class Change(Body):
    role: str | None = None
    account: str | None = None
    disabled: bool | None = None


class NewToken(Body):
    name: str = Field(max_length=100)
    role: str = "auditor"
    account: str = ""
    expires_days: int = Field(default=0, ge=0, le=3650)


class NewPassword(Body):
    old: str = Field(repr=False, max_length=2000)
    new: str = Field(repr=False, max_length=2000)


@router.get("/people")
def list_people(ctx: Ctx) -> Json:
    return {"people": people.list_people(ctx)}


@router.post("/people", status_code=201)
def add_person(ctx: Ctx, actor: Actor, body: NewPerson) -> Json:
    return {"person": people.add(ctx, actor, **body.model_dump())}


@router.post("/people/first", status_code=201)
def first(ctx: Ctx, actor: Actor) -> Json:
    return {"link": people.link_for_first(ctx, actor)}


@router.put("/people/{name}")
def change_person(ctx: Ctx, actor: Actor, name: str, body: Change) -> Json:
    return {"person": people.change(ctx, actor, name, **body.model_dump())}


@router.post("/people/{name}/link", status_code=201)
def link(ctx: Ctx, actor: Actor, name: str) -> Json:
    return {"link": people.link_for(ctx, actor, name)}


@router.get("/tokens")
def list_tokens(ctx: Ctx) -> Json:
    return {"tokens": people.list_tokens(ctx)}


@router.post("/tokens", status_code=201)
def make_token(ctx: Ctx, actor: Actor, body: NewToken) -> Json:
    return {"token": people.make_token(ctx, actor, **body.model_dump())}


@router.delete("/tokens/{number}")
def revoke_token(ctx: Ctx, actor: Actor, number: Number) -> Json:
    return {"revoked": people.revoke_token(ctx, actor, number)}


@router.get("/session")
def who_am_i(request: Request) -> Json:
    who: Principal = request.state.principal
    may = sorted(word for word in MAY if who.may(word))
    return {"session": {"actor": who.actor, "name": who.name, "role": who.role, "account": who.account, "may": may}}


@router.delete("/session")
def sign_out(request: Request, response: Response, ctx: Ctx) -> Json:
    if cookie := cookie_of(request.scope):
        sessions.end(ctx.engine, ctx.vault, cookie)
    for name in (COOKIE, COOKIE_SECURE):
        response.delete_cookie(name, secure=name == COOKIE_SECURE, httponly=True, samesite="lax")
    return {"ended": True}


@router.put("/session/password")
def change_password(request: Request, ctx: Ctx, body: NewPassword) -> Json:
    address = request.client.host if request.client else ""
    people.change_password(ctx, request.state.principal, old=body.old, new=body.new, address=address)
    return {"changed": True}
