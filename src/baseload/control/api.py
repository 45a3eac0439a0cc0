"""The admin API under /api: thin handlers over `services`. A handler reads the request and calls one function.

Handlers are plain functions: FastAPI runs them in threads, so a slow query holds up no other request. Bodies are
checked here; what they mean is checked by the service. `Refusal` becomes {"error": {code, message, fix}} in `app.py`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from baseload.control.context import Context
from baseload.control.services import (
    accounts,
    admin,
    config,
    health,
    health_grid,
    keys,
    offers,
    policies,
    price_changes,
    prices,
    probe,
    providers,
)


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _actor(request: Request) -> str:
    actor: str = request.state.actor
    return actor


Ctx = Annotated[Context, Depends(_context)]
Actor = Annotated[str, Depends(_actor)]
Json = dict[str, Any]
Number = Annotated[int, Field(ge=0, le=2**63 - 1)]  # an id, as both databases keep one
router = APIRouter(prefix="/api")


def of(*media: str) -> dict[int | str, dict[str, Any]]:
    """What a route that answers no JSON says of itself."""
    return {200: {"content": {one.partition(";")[0]: {} for one in media}}}


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewAccount(Body):
    name: str
    tariff: str = "default"
    parent: str = ""
    currency: str = "USD"


class NewKey(Body):
    account: str = "default"
    name: str = Field(default="", max_length=200)
    models: list[str] = []
    expires_days: int = 0
    policy: str = ""


class NewProvider(Body):
    vendor: str
    name: str = ""
    base_url: str = ""
    scope: str = ""
    models: list[str] = []
    key: str = Field(default="", repr=False)


class NewOffer(Body):
    model: str
    provider: str
    name: str = ""
    upstream_model: str = ""
    endpoints: list[str] = []  # none = the vendor's default
    price: dict[str, Any] | str = "catalogue"
    context_max: int = Field(default=0, ge=0)


class NewProviderKey(Body):
    key: str


class Probe(Body):
    model: str = ""


@router.get("/status")
def status(ctx: Ctx) -> Json:
    return {"status": health.status(ctx)}


@router.get("/doctor")
def doctor(ctx: Ctx) -> Json:
    return {"checks": health.doctor(ctx)}


@router.get("/engine")
def engine(ctx: Ctx) -> Json:
    return {"engine": health.engine(ctx)}


@router.get("/accounts")
def list_accounts(ctx: Ctx) -> Json:
    return {"accounts": accounts.list_accounts(ctx)}


@router.post("/accounts", status_code=201)
def create_account(ctx: Ctx, actor: Actor, body: NewAccount) -> Json:
    return {"account": accounts.create(ctx, actor, **body.model_dump())}


@router.get("/accounts/{name}")
def show_account(ctx: Ctx, name: str) -> Json:
    return {"account": accounts.show(ctx, name)}


@router.get("/keys")
def list_keys(ctx: Ctx, account: str | None = None) -> Json:
    return {"keys": keys.list_keys(ctx, account)}


@router.post("/keys", status_code=201)
def create_key(ctx: Ctx, actor: Actor, body: NewKey) -> Json:
    return {"key": keys.create(ctx, actor, **body.model_dump())}


@router.delete("/keys/{key}")
def revoke_key(ctx: Ctx, actor: Actor, key: str) -> Json:
    return {"key": keys.revoke(ctx, actor, key)}


@router.get("/catalogue")
def catalogue(ctx: Ctx) -> Json:
    return {"vendors": providers.vendors()}


@router.get("/providers")
def list_providers(ctx: Ctx) -> Json:
    return {"providers": providers.list_providers(ctx)}


@router.post("/providers", status_code=201)
def add_provider(ctx: Ctx, actor: Actor, body: NewProvider) -> Json:
    return providers.add(ctx, actor, **body.model_dump())


@router.put("/providers/{name}/key")
def store_provider_key(ctx: Ctx, actor: Actor, name: str, body: NewProviderKey) -> Json:
    return {"provider": providers.store_key(ctx, actor, name, key=body.key)}


@router.post("/providers/{name}/test")
def test_provider(ctx: Ctx, name: str, body: Probe) -> Json:
    return {"test": probe.try_out(ctx, name, body.model)}


@router.get("/policies")
def list_policies(ctx: Ctx) -> Json:
    return {"policies": policies.list_policies(ctx), "groups": policies.list_groups(ctx)}


@router.get("/offers")
def list_offers(ctx: Ctx, model: str | None = None) -> Json:
    return {"offers": offers.list_offers(ctx, model)}


@router.post("/offers", status_code=201)
def add_offer(ctx: Ctx, actor: Actor, body: NewOffer) -> Json:
    return {"offer": offers.add(ctx, actor, **body.model_dump())}


@router.get("/prices")
def show_prices(ctx: Ctx, model: str | None = None) -> Json:
    return {"prices": prices.show(ctx, model)}


@router.get("/prices/changes")
def price_changes_(ctx: Ctx) -> Json:
    return {"changes": price_changes.changes(ctx)}


@router.get("/health/hour")
def health_hour(ctx: Ctx) -> Json:
    return {"hour": health_grid.last_hour(ctx)}


@router.get("/prices/check")
def check_prices(ctx: Ctx) -> Json:
    return {"findings": prices.check(ctx)}


@router.post("/config/diff")
def diff_config(ctx: Ctx) -> Json:
    return {"changes": config.diff(ctx)}


@router.post("/config/apply")
def apply_config(ctx: Ctx, actor: Actor) -> Json:
    return {"changes": config.apply(ctx, actor)}


@router.post("/admin-token/rotate")
def rotate_token(ctx: Ctx, actor: Actor) -> Json:
    return {"token": admin.rotate(ctx, actor)}
