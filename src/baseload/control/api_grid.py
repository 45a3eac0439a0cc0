"""The routes gateways use, under /grid: msgpack in and out. See `grid.py`."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
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
    except msgspec.DecodeError as error:
        raise Refusal(f"The message cannot be read ({error}).", "Is the gateway of another version?",
                      code="message_wrong") from error  # fmt: skip


@router.post("/begin")
async def begin(request: Request, ctx: Ctx, actor: Actor) -> Response:
    only_gateways(actor)
    run = await _read(request, Run)
    await run_in_threadpool(ctx.grid.began, run)
    return Response(b"", media_type=MEDIA)


@router.post("/end")
async def end(request: Request, ctx: Ctx, actor: Actor) -> Response:
    only_gateways(actor)
    run = await _read(request, Run)
    await run_in_threadpool(ctx.grid.ended, run.journal, run.epoch, Position(run.segment, run.offset))
    return Response(b"", media_type=MEDIA)


@router.post("/leases")
async def lease(request: Request, ctx: Ctx, actor: Actor) -> Response:
    only_gateways(actor)
    asking = await _read(request, Asking)
    return Response(_encode(await run_in_threadpool(ctx.grid.lease, asking)), media_type=MEDIA)


@router.get("/news")
async def news(ctx: Ctx, actor: Actor, journal: str, wait: Annotated[float, Query(ge=0, le=60)] = 25.0) -> Response:
    only_gateways(actor)
    return Response(_encode(await ctx.grid.news(journal, wait)), media_type=MEDIA)
