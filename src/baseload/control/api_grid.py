"""The routes gateways use, under /grid: msgpack in and out. See `grid.py`."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from baseload.control.api import Actor, Ctx
from baseload.control.grid import Asking, Run, only_gateways
from baseload.errors import Refusal
from baseload.gateway.journal.reader import Position

router = APIRouter(prefix="/grid", include_in_schema=False)
MEDIA = "application/msgpack"
T = TypeVar("T")
_encode = msgspec.msgpack.Encoder().encode


async def _read(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(await request.body(), type=kind)
    except ClientDisconnect as error:  # a gateway that was killed while it spoke
        raise Refusal("The message is not whole.", code="message_wrong") from error
    except msgspec.DecodeError as error:
        raise Refusal(f"The message cannot be read ({error}).", "Is the gateway of another version?",
                      code="message_wrong") from error  # fmt: skip


@router.post("/begin")
async def begin(request: Request, ctx: Ctx, actor: Actor) -> Response:
    run = await _read(request, Run)
    only_gateways(actor, run.journal)
    await run_in_threadpool(ctx.grid.began, run)
    return Response(b"", media_type=MEDIA)


@router.post("/end")
async def end(request: Request, ctx: Ctx, actor: Actor) -> Response:
    run = await _read(request, Run)
    only_gateways(actor, run.journal)
    await run_in_threadpool(ctx.grid.ended, run.journal, run.epoch, Position(run.segment, run.offset))
    return Response(b"", media_type=MEDIA)


@router.post("/leases")
async def lease(request: Request, ctx: Ctx, actor: Actor) -> Response:
    asking = await _read(request, Asking)
    only_gateways(actor, asking.journal)
    return Response(_encode(await run_in_threadpool(ctx.grid.lease, asking)), media_type=MEDIA)


@router.post("/returns")
async def returned(request: Request, ctx: Ctx, actor: Actor) -> Response:
    asking = await _read(request, Asking)
    only_gateways(actor, asking.journal)
    await run_in_threadpool(ctx.grid.returned, asking)
    return Response(b"", media_type=MEDIA)


@router.get("/news")
async def news(ctx: Ctx, actor: Actor, journal: str, wait: Annotated[float, Query(ge=0, le=60)] = 25.0) -> Response:
    only_gateways(actor, journal)
    return Response(_encode(await ctx.grid.news(journal, wait)), media_type=MEDIA)


def _name(actor: str) -> str:
    """The gateway elsewhere that asks."""
    kind, _, name = actor.partition(":")
    if kind != "gateway":
        raise Refusal("This is for gateways elsewhere.", code="gateways_only", status=403)
    return name


@router.get("/secret")
def secret(ctx: Ctx, actor: Actor) -> Response:
    """What keys are hashed with and credentials sealed by: a gateway cannot serve without it."""
    _name(actor)
    return Response(ctx.home.secret.read_bytes(), media_type="text/plain")


@router.get("/snapshot")
def snapshot(ctx: Ctx, actor: Actor) -> Response:
    _name(actor)
    return Response(ctx.home.snapshot.read_bytes(), media_type=MEDIA)


@router.get("/journal")
def journal_reached(ctx: Ctx, actor: Actor, mark: str) -> Response:
    return Response(_encode(ctx.shipments.reached(_name(actor), mark)), media_type=MEDIA)


@router.post("/journal")
async def journal_piece(request: Request, ctx: Ctx, actor: Actor, mark: str, segment: int, offset: int) -> Response:
    name, data = _name(actor), await request.body()
    done = await run_in_threadpool(ctx.shipments.write, name, mark, segment, offset, data)
    return Response(_encode(done), media_type=MEDIA)
