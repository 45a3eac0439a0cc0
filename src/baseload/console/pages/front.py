"""Signing in and out, one-time links, the language."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from baseload.console.view import context_of, form, page, principal_of
from baseload.console.words import LANGUAGES
from baseload.control.door import COOKIE, COOKIE_SECURE, cookie_of, over_https
from baseload.control.people import sessions
from baseload.control.people.oidc import BEGUN_S
from baseload.control.people.sessions import WHOLE_NS
from baseload.control.services import people
from baseload.control.services import sign_in as single
from baseload.errors import Refusal

OIDC = "oidc"  # the cookie between going to a provider and coming back


def sign_in_page(request: Request) -> Response:
    if principal_of(request).role:
        return RedirectResponse("/console/", status_code=303)
    return page(request, "sign_in.html", next=_local(request.query_params.get("next", "")), refusal=None, name="",
                providers=single.providers(context_of(request)))  # fmt: skip


async def sign_in(request: Request) -> Response:
    given = await form(request)
    after, name = _local(given.get("next", "")), given.get("name", "")
    try:
        cookie = await run_in_threadpool(
            people.sign_in, context_of(request), name=name, password=given.get("password", ""),
            address=_address(request), agent=request.headers.get("user-agent", ""),
        )  # fmt: skip
    except people.CodeNeeded as needed:
        return page(request, "code.html", next=after, refusal=None, pending=needed.pending)
    except Refusal as refusal:
        return page(request, "sign_in.html", status=refusal.status, next=after, refusal=refusal, name=name,
                    providers=single.providers(context_of(request)))  # fmt: skip
    return _signed_in(request, cookie, after)


async def second_step(request: Request) -> Response:
    given = await form(request)
    after, pending = _local(given.get("next", "")), given.get("pending", "")
    try:
        cookie = await run_in_threadpool(
            people.second_step, context_of(request), pending=pending, code=given.get("code", ""),
            address=_address(request), agent=request.headers.get("user-agent", ""),
        )  # fmt: skip
    except Refusal as refusal:
        return page(request, "code.html", status=refusal.status, next=after, refusal=refusal, pending=pending)
    return _signed_in(request, cookie, after)


def to_provider(request: Request) -> Response:
    """Off to an identity provider, with a sealed cookie to know who comes back."""
    name = request.path_params["name"]
    after = _local(request.query_params.get("next", ""))
    address, sealed = single.begin(context_of(request), name, _back(request, name), after)
    answer = RedirectResponse(address, status_code=303)
    answer.set_cookie(OIDC, sealed, max_age=BEGUN_S, httponly=True, secure=over_https(request.scope), samesite="lax",
                      path="/console/oidc")  # fmt: skip
    return answer


def from_provider(request: Request) -> Response:
    name, query = request.path_params["name"], dict(request.query_params)
    try:
        cookie, after = single.end(
            context_of(request), name, redirect=_back(request, name), cookie=request.cookies.get(OIDC, ""),
            query=query, address=_address(request), agent=request.headers.get("user-agent", ""),
        )  # fmt: skip
    except people.CodeNeeded as needed:
        return page(request, "code.html", next="/console/", refusal=None, pending=needed.pending)
    except Refusal as refusal:
        return page(request, "sign_in.html", status=refusal.status, next="/console/", refusal=refusal, name="",
                    providers=single.providers(context_of(request)))  # fmt: skip
    answer = _signed_in(request, cookie, after)
    answer.delete_cookie(OIDC, path="/console/oidc")
    return answer


def _back(request: Request, name: str) -> str:
    """Where the provider sends a browser back to; it takes only addresses that were registered there."""
    scheme = "https" if over_https(request.scope) else "http"
    return f"{scheme}://{request.headers.get('host', '')}/console/oidc/{name}/back"


def link_page(request: Request) -> Response:
    """The link's secret stands behind #: it reaches us only in the form."""
    return page(request, "link.html", refusal=None, name="", link="")


async def take_link(request: Request) -> Response:
    given = await form(request)
    name, link = given.get("name", "").strip().lower(), given.get("link", "")
    try:
        cookie = await run_in_threadpool(
            people.by_link, context_of(request), link=link, name=name, password=given.get("password", ""),
            agent=request.headers.get("user-agent", ""),
        )  # fmt: skip
    except Refusal as refusal:
        return page(request, "link.html", status=refusal.status, refusal=refusal, name=name, link=link)
    return _signed_in(request, cookie, "/console/")


def sign_out(request: Request) -> Response:
    context = context_of(request)
    if cookie := cookie_of(request.scope):
        sessions.end(context.engine, context.vault, cookie)
    answer = RedirectResponse("/console/sign-in", status_code=303)
    for name in (COOKIE, COOKIE_SECURE):
        answer.delete_cookie(name, secure=name == COOKIE_SECURE, httponly=True, samesite="lax")
    return answer


async def set_language(request: Request) -> Response:
    given = await form(request)
    answer = RedirectResponse(_local(given.get("next", "")), status_code=303)
    if given.get("language") in LANGUAGES:
        answer.set_cookie("language", given["language"], max_age=365 * 86_400, httponly=True, samesite="lax")
    return answer


def _signed_in(request: Request, cookie: str, after: str) -> Response:
    answer = RedirectResponse(after, status_code=303)
    secure = over_https(request.scope)
    answer.set_cookie(
        COOKIE_SECURE if secure else COOKIE, cookie, max_age=WHOLE_NS // 10**9, httponly=True, secure=secure,
        samesite="lax", path="/",
    )  # fmt: skip
    return answer


def _local(path: str) -> str:
    """A page of ours, never another site's: "//evil" and "/\\evil" are addresses of hosts to a browser."""
    if path.startswith("/console") and "\\" not in path and "//" not in path and path.isprintable():
        return path
    return "/console/"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
