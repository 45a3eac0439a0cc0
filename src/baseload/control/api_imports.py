"""The part of the admin API that brings in other gateways' configurations."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from baseload.control.api import Actor, Body, Ctx, Json
from baseload.control.services import imports

router = APIRouter(prefix="/api")


class NewImport(Body):
    source: Literal["litellm", "newapi"]
    text: str = Field(default="", repr=False)
    tables: dict[str, list[dict[str, Any]]] = Field(default={}, repr=False)
    dry_run: bool = False
    with_secrets: bool = False
    replace: bool = False


@router.post("/imports")
def run(ctx: Ctx, actor: Actor, body: NewImport) -> Json:
    return {"import": imports.run(ctx, actor, **body.model_dump())}
