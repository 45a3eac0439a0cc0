"""Which pages there are. Plain functions, run in threads as FastAPI does: a slow query holds up no other request.

In:     the control plane's application. Out: its routes under /console. A refusal is shown as a page in its own words.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from baseload.console import assets, live
from baseload.console.pages import (
    accounts,
    assistant,
    calls,
    explore,
    front,
    invoices,
    ledger,
    me,
    merit,
    overview,
    people,
    planner,
    playground,
    prices,
    providers,
    reconcile,
    scoreboard,
    settings,
    usage,
)  # fmt: skip
from baseload.console.view import page
from baseload.control.context import Context
from baseload.errors import Refusal

log = logging.getLogger("baseload.console")
Page = Callable[..., Any]
GET: dict[str, Page] = {
    "/console/": overview.show,
    "/console/scoreboard": scoreboard.show,
    "/console/capital": scoreboard.capital_page,
    "/console/merit": merit.show,
    "/console/playground": playground.show,
    "/console/assistant": assistant.show,
    "/console/assistant/{chat:int}": assistant.show,
    "/console/assistant/files/{file:int}": assistant.file,
    "/console/usage": usage.show,
    "/console/usage.csv": usage.export,
    "/console/calls": calls.index,
    "/console/calls/{call}": calls.show,
    "/console/accounts": accounts.index,
    "/console/accounts/{name}": accounts.show,
    "/console/explore": explore.show,
    "/console/invoices": invoices.index,
    "/console/invoices/{number}": invoices.show,
    "/console/invoices/{number}/{kind}": invoices.file,
    "/console/planner": planner.show,
    "/console/prices": prices.show,
    "/console/reconcile": reconcile.show,
    "/console/settings": settings.show,
    "/console/providers": providers.index,
    "/console/ledger": ledger.show,
    "/console/people": people.index,
    "/console/audit": ledger.audit_log,
    "/console/me": me.show,
    "/console/sign-in": front.sign_in_page,
    "/console/link": front.link_page,
    "/console/oidc/{name}": front.to_provider,
    "/console/oidc/{name}/back": front.from_provider,
}
POST: dict[str, Page] = {
    "/console/sign-in": front.sign_in,
    "/console/sign-in/code": front.second_step,
    "/console/link": front.take_link,
    "/console/me/device": me.add_device,
    "/console/me/device/remove": me.remove_device,
    "/console/me/password": me.change_password,
    "/console/sign-out": front.sign_out,
    "/console/playground/run": playground.run,
    "/console/assistant/send": assistant.send,
    "/console/assistant/files": assistant.upload,
    "/console/assistant/{chat:int}/branch": assistant.branch,
    "/console/assistant/{chat:int}/title": assistant.rename,
    "/console/assistant/{chat:int}/delete": assistant.remove,
    "/console/language": front.set_language,
    "/console/accounts": accounts.create,
    "/console/accounts/{name}/keys": accounts.create_key,
    "/console/accounts/{name}/keys/{key}/revoke": accounts.revoke_key,
    "/console/accounts/{name}/topup": accounts.top_up,
    "/console/accounts/{name}/budgets": accounts.add_budget,
    "/console/accounts/{name}/budgets/{number:int}/end": accounts.end_budget,
    "/console/accounts/{name}/funding": accounts.set_funding,
    "/console/explore": explore.explain,
    "/console/invoices": invoices.issue,
    "/console/reconcile": reconcile.keep,
    "/console/reconcile/{number:int}/approve": reconcile.approve,
    "/console/settings/apply": settings.apply_file,
    "/console/settings/invoicing": settings.set_invoicing,
    "/console/settings/rate": settings.set_rate,
    "/console/settings/tokens": settings.make_token,
    "/console/settings/tokens/{number:int}/revoke": settings.revoke_token,
    "/console/providers": providers.add,
    "/console/providers/{name}/key": providers.store_key,
    "/console/offers": providers.add_offer,
    "/console/providers/{name}/test": providers.test,
    "/console/people": people.add,
    "/console/people/{name}/link": people.link,
    "/console/capital": scoreboard.add_capital,
    "/console/scoreboard/target": scoreboard.set_target,
}


def pages(app: FastAPI, context: Context) -> None:
    """Adds every page, and the stream of news."""
    board = live.Board(context)
    app.add_api_route("/console/assets/{version}/{name:path}", assets.serve, include_in_schema=False)
    app.add_api_route("/console/live", board.serve, include_in_schema=False)
    app.add_api_route("/console", _home, include_in_schema=False)
    for path, show in GET.items():
        app.add_api_route(path, _shown(show), methods=["GET", "HEAD"], include_in_schema=False)
    for path, act in POST.items():
        app.add_api_route(path, _shown(act), methods=["POST"], include_in_schema=False)


def _home() -> Response:
    return RedirectResponse("/console/", status_code=303)


def _shown(show: Page) -> Callable[[Request], Any]:
    """A page's own function reads the request; what it refuses becomes a page too."""

    async def serve(request: Request) -> Response:
        try:
            found = show(request) if _is_async(show) else run_in_threadpool(show, request)
            response: Response = await found
        except Refusal as refusal:
            return page(request, "refused.html", status=refusal.status, refusal=refusal)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            failed = Refusal("The control plane failed at this.", "See control.log.", code="internal", status=500)
            return page(request, "refused.html", status=500, refusal=failed)
        return response

    return serve


def _is_async(show: Page) -> bool:
    return bool(show.__code__.co_flags & 0x80)  # CO_COROUTINE: a form is read from the connection, in the loop
