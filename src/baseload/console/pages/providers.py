"""Providers and their offers, with a button that makes one tiny real call."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from baseload.console.view import allow, context_of, page
from baseload.control.services import offers, probe, providers


def index(request: Request, tested: dict[str, object] | None = None) -> Response:
    who, context = allow(request, "grid.read"), context_of(request)
    return page(
        request, "providers.html", providers=providers.list_providers(context), offers=offers.list_offers(context),
        tested=tested, may_write=who.may("grid.write"),
    )  # fmt: skip


async def test(request: Request) -> Response:
    allow(request, "grid.write")
    name = request.path_params["name"]
    found = await run_in_threadpool(probe.try_out, context_of(request), name, "")
    return await run_in_threadpool(index, request, {"provider": name, **found})
