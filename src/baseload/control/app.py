"""The application: the API, the plain page at `/`, and how a refusal looks. `door.py` decides who may come in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from baseload import __version__
from baseload.control import (
    api,
    api_archive,
    api_capital,
    api_grid,
    api_imports,
    api_invoices,
    api_money,
    api_people,
    api_reconcile,
    api_reports,
    gridtls,
    metrics,
    welcome,
)
from baseload.control.context import Context
from baseload.control.door import BODY_MAX, App, SocketDoor, TcpDoor, problem
from baseload.control.permit import permitted
from baseload.control.services import people
from baseload.errors import Refusal

log = logging.getLogger("baseload.control.app")


class Said(BaseModel):
    """What is wrong, and what to change."""

    code: str
    message: str
    fix: str
    param: str = ""
    findings: list[dict[str, Any]] = []


class Problem(BaseModel):
    """Every refusal of the API."""

    error: Said


Pages = Callable[[FastAPI, Context], None]


def build(context: Context, pages: Pages | None = None) -> FastAPI:
    """The application without a door; reach it only through `doors`. `pages`: adds those of the console."""
    app = FastAPI(
        title="Baseload control plane",
        version=__version__,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/openapi.json",
        max_body_size=BODY_MAX,
    )
    app.state.context = context
    closed = [Depends(permitted)]
    said: dict[int | str, dict[str, Any]] = {
        422: {"model": Problem}, "4XX": {"model": Problem}, "5XX": {"model": Problem}
    }  # fmt: skip
    for part in (
        api,
        api_reports,
        api_money,
        api_invoices,
        api_archive,
        api_capital,
        api_imports,
        api_reconcile,
        api_people,
    ):
        app.include_router(part.router, dependencies=closed, responses=said)
    app.add_api_route(
        "/api/metrics", _metrics, methods=["GET"], dependencies=closed, response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )  # fmt: skip
    app.include_router(api_money.hooks)
    app.include_router(api_grid.router)
    if pages is not None:
        pages(app, context)
        app.add_api_route("/", _console, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/healthz", _healthz, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/", _welcome, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(msgspec.ValidationError, _unlike)
    app.add_exception_handler(Exception, _failed)
    return app


def grid_door(context: Context) -> App:
    """For gateways elsewhere: /grid and nothing else."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, max_body_size=gridtls.BODY_MAX)
    app.state.context = context
    app.include_router(api_grid.router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)
    return gridtls.GridDoor(app, context)


def doors(context: Context, pages: Pages | None = None) -> tuple[App, App]:
    """(for the socket, for TCP)."""
    app = build(context, pages)
    return SocketDoor(app), TcpDoor(app, *people.verifiers(context))


async def _healthz() -> JSONResponse:
    return JSONResponse({"ok": True})


def _metrics(request: Request) -> Response:
    """Prometheus' text; a scraper needs a token whose role may read the grid."""
    return Response(metrics.render(request.app.state.context), media_type=metrics.MEDIA)


async def _console() -> Response:
    return RedirectResponse("/console/", status_code=303)


async def _welcome() -> Response:
    return HTMLResponse(welcome.page(), headers={"content-security-policy": welcome.CSP})


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return problem(error)


async def _invalid(_: Request, error: Exception) -> Response:
    """What pydantic found, without the values: one of them may be a key."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()[0]
    where = ".".join(str(step) for step in found["loc"][1:])
    return problem(Refusal(f"{found['msg']}.", "See /api/openapi.json.", code="request_wrong", status=422, param=where))


async def _unlike(_: Request, error: Exception) -> Response:
    """A body that the API's shape allows and its meaning does not."""
    return problem(Refusal(f"{error}.", "See the documentation of this route.", code="request_wrong", status=422))


async def _http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    fix = "See /api/openapi.json for what there is." if error.status_code in (404, 405) else ""
    return problem(Refusal(f"{error.detail}.", fix, code=f"http_{error.status_code}", status=error.status_code))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path)  # the server logs the traceback
    return problem(Refusal("The control plane failed at this.", "See control.log.", code="internal", status=500))
