"""The part of the admin API about the archive: days to Parquet, what was written, whether it is still right."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from baseload.control.api import Actor, Body, Ctx, Json, of
from baseload.control.services import archive

router = APIRouter(prefix="/api/archive")


class NewArchive(Body):
    until: str
    since: str = ""  # none = the first day
    folder: str = ""  # none = HOME/archive


@router.get("")
def list_archive(ctx: Ctx) -> Json:
    return {"archives": archive.noted(ctx)}


@router.post("", response_class=Response, responses=of(archive.MEDIA))
def make_archive(ctx: Ctx, actor: Actor, body: NewArchive) -> Response:
    return StreamingResponse(archive.make(ctx, actor, **body.model_dump()), media_type=archive.MEDIA)


@router.get("/verify", response_class=Response, responses=of(archive.MEDIA))
def verify_archive(ctx: Ctx, actor: Actor, folder: str = "") -> Response:
    return StreamingResponse(archive.verify(ctx, actor, folder=folder), media_type=archive.MEDIA)
