"""The part of the admin API that reads the book: calls, usage, bills, checks, exports, backups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from baseload.control.api import Actor, Body, Ctx, Json, Number, of
from baseload.control.services import content, dispatch, reports
from baseload.errors import Refusal
from baseload.ledger.export import Format

router = APIRouter(prefix="/api")


@router.get("/calls")
def list_calls(
    ctx: Ctx, account: str = "", before: Number | None = None, limit: Annotated[int, Query(ge=1)] = 20
) -> Json:
    return {"calls": reports.recent(ctx, account=account, before=before, limit=limit)}


@router.get("/calls/{call}/content")
def call_content(ctx: Ctx, actor: Actor, call: str) -> Json:
    return {"content": content.show(ctx, actor, call)}


@router.get("/calls/{call}")
def show_call(ctx: Ctx, call: str) -> Json:
    return {"call": reports.call(ctx, call)}


@router.get("/internal/calls/{call}")
def own_call(request: Request, ctx: Ctx, actor: Actor, call: str, account: Number) -> Json:
    """For the gateway's GET /v1/calls/{id}: only the account's own calls, and only through the socket."""
    if actor != "socket":
        raise Refusal("This is for gateways of this home.", code="socket_only", status=403)
    return reports.own_call(ctx, call, account)


By = Literal["model", "account", "key", "offer", "provider", "outcome", "day", "hour"]


@router.get("/usage")
def usage(ctx: Ctx, by: By = "model", account: str = "", since: str = "30d", until: str = "") -> Json:
    return reports.usage(ctx, by=by, account=account, since=since, until=until)


@router.get("/bill")
def bill(ctx: Ctx, account: str = "default", since: str = "", until: str = "", month: str = "") -> Json:
    return reports.bill(ctx, account=account, since=since, until=until, month=month)


@router.get("/dispatch/report")
def dispatch_report(ctx: Ctx, model: str = "", account: str = "", since: str = "7d", until: str = "") -> Json:
    return {"report": dispatch.report(ctx, model=model, account=account, since=since, until=until)}


class NewReplay(BaseModel):
    policy: dict[str, Any] = {}
    without: list[str] = []
    factors: dict[str, str] = {}
    account: str = ""
    since: str = "7d"
    until: str = ""


@router.post("/dispatch/replay")
def dispatch_replay(ctx: Ctx, body: NewReplay) -> Json:
    return {"replay": dispatch.run_replay(ctx, **body.model_dump())}


@router.get("/ledger/check")
def check_ledger(ctx: Ctx) -> Json:
    return {"findings": reports.check(ctx)}


class Resettle(Body):
    cost_price: Number = 0
    charge_price: Number = 0


@router.post("/ledger/resettle")
def resettle_ledger(ctx: Ctx, actor: Actor, body: Resettle) -> Json:
    return reports.resettle(ctx, cost_price=body.cost_price, charge_price=body.charge_price, actor=actor)


@router.get("/ledger/export", response_class=Response, responses=of(*reports.MEDIA.values()))
def export_ledger(ctx: Ctx, format: Annotated[Format, Query()] = "csv", since: str = "", until: str = "") -> Response:
    pieces: Iterator[bytes] = reports.export_book(ctx, format=format, since=since, until=until)
    return StreamingResponse(pieces, media_type=reports.MEDIA[format])


@router.post("/backup", response_class=Response, responses=of("application/octet-stream"))
def backup(ctx: Ctx, actor: Actor) -> Response:
    return StreamingResponse(reports.backup(ctx, actor), media_type="application/octet-stream")
