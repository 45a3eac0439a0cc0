"""Providers and their offers, with a button that makes one tiny real call."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console.view import allow, context_of, form, page
from baseload.control.services import health_grid, offers, probe, providers
from baseload.errors import Refusal


def index(
    request: Request, tested: dict[str, object] | None = None, refusal: Refusal | None = None
) -> Response:  # fmt: skip
    who, context = allow(request, "grid.read"), context_of(request)
    return page(
        request, "providers.html", providers=providers.list_providers(context), offers=offers.list_offers(context),
        tested=tested, may_write=who.may("grid.write"), refusal=refusal, grid=health_grid.last_hour(context),
        status=refusal.status if refusal else 200, vendors=providers.vendors(),
    )  # fmt: skip


async def add(request: Request) -> Response:
    """A vendor of the catalogue, or any server by its address; the key is sealed and never shown."""
    who, given = allow(request, "grid.write"), await form(request)
    return await _done(request, lambda: providers.add(
        context_of(request), who.actor, vendor=given.get("vendor", ""), name=given.get("name", "").strip(),
        base_url=given.get("base_url", "").strip(), scope=given.get("scope", "").strip(),
        models=given.get("models", "").replace(",", " ").split(), key=given.get("key", "").strip(),
    ))  # fmt: skip


async def store_key(request: Request) -> Response:
    who, given = allow(request, "grid.write"), await form(request)
    name = request.path_params["name"]
    return await _done(
        request, lambda: providers.store_key(context_of(request), who.actor, name, key=given.get("key", "").strip())
    )


async def add_offer(request: Request) -> Response:
    who, given = allow(request, "grid.write"), await form(request)
    rate = {meter: given[f"price_{meter}"].strip() for meter in ("input", "cache_read", "output")
            if given.get(f"price_{meter}", "").strip()}  # fmt: skip
    return await _done(request, lambda: offers.add(
        context_of(request), who.actor, model=given.get("model", "").strip(), provider=given.get("provider", ""),
        name="", upstream_model=given.get("upstream_model", "").strip(), endpoints=[],
        price={"currency": given.get("currency") or "USD", "rate": rate} if rate else "catalogue", context_max=0,
    ))  # fmt: skip


async def _done(request: Request, act: Callable[[], object]) -> Response:
    try:
        await run_in_threadpool(act)
    except Refusal as refusal:
        return await run_in_threadpool(index, request, None, refusal)
    return RedirectResponse("/console/providers", status_code=303)


async def test(request: Request) -> Response:
    allow(request, "grid.write")
    name = request.path_params["name"]
    found = await run_in_threadpool(probe.try_out, context_of(request), name, "")
    return await run_in_threadpool(index, request, {"provider": name, **found})
