"""Who may come in. One application, two doors: the socket in the home, and TCP.

Who asks is known from the listener a request came through, never from a header: each door wraps the application by
itself, so no Host, X-Forwarded-* or path can turn one into the other. The socket lies in a folder and has a mode
that only its owner passes; TCP needs a bearer token, or the cookie of a session, for everything but the open paths.
What a session changes must come from our own pages. Pure ASGI: streams pass through unbuffered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, RedirectResponse, Response

from baseload.control.people.roles import OWNER, Principal
from baseload.errors import Refusal

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
Verify = Callable[[str], Principal | None]

OPEN = {("GET", "/"), ("HEAD", "/"), ("GET", "/healthz"), ("HEAD", "/healthz")}
SIGNED = "/hooks/"  # what comes here proves by its own signature who sent it
BODY_MAX = 32 * 2**20  # bytes of an admin request: a vendor's statement; others are a few KB
OPEN_BELOW = ("/console/sign-in", "/console/oidc/", "/console/link", "/console/language", "/console/assets/")
SIGN_IN = "/console/sign-in"
SAFE = ("GET", "HEAD", "OPTIONS")
COOKIE, COOKIE_SECURE = "session", "__Host-session"
LOST = "Send Authorization: Bearer TOKEN. Lost it? On the machine itself: baseload admin-token rotate"
HOOK_MAX = 2**20  # of what strangers may send
HEADERS = {
    b"content-security-policy": b"default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-resource-policy": b"same-origin",
}


class SocketDoor:
    """The owner's door: whoever could open the socket is the owner of the home."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            _is(scope, Principal("socket", OWNER))
        await self._app(scope, receive, with_headers(send) if scope["type"] == "http" else send)


class TcpDoor:
    """Everybody's door: closed until a token is shown, or the cookie of a session."""

    def __init__(self, app: App, by_token: Verify, by_cookie: Verify) -> None:
        self._app, self._by_token, self._by_cookie = app, by_token, by_cookie

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here")
        send = with_headers(send)
        signed = scope["method"] == "POST" and scope["path"].startswith(SIGNED)
        if signed and not 0 <= _length(scope) <= HOOK_MAX:
            say = f"A message here has a length, of at most {HOOK_MAX} bytes."
            await problem(Refusal(say, code="body_too_large", status=413))(scope, receive, send)
            return
        try:
            who = None if signed else await run_in_threadpool(self._who, scope)
            if who is None:
                self._anyone(scope, signed)
                who = Principal("anyone", "")
        except Refusal as refusal:  # no token, or a database that cannot say whose it is: closed
            if refusal.status == 401 and _wants_page(scope):
                to = quote(scope["path"], safe="/")
                await RedirectResponse(f"{SIGN_IN}?next={to}", status_code=303)(scope, receive, send)
                return
            await problem(refusal)(scope, receive, send)
            return
        _is(scope, who)
        await self._app(scope, receive, send)

    def _who(self, scope: Scope) -> Principal | None:
        """By the token that is shown, else by the cookie; None = neither is there, or no session is any more."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if given:
            scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
            who = self._by_token(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
            if who is None:
                raise Refusal("The token is not valid.", LOST, code="token_wrong", status=401)
            return who
        cookie = cookie_of(scope)
        who = self._by_cookie(cookie) if cookie else None
        if who is not None and scope["method"] not in SAFE and not same_origin(scope):
            raise Refusal("This came from another site.", "Use the page itself.", code="cross_site", status=403)
        return who

    def _anyone(self, scope: Scope, signed: bool) -> None:
        """Raises Refusal where somebody must be known."""
        place = (scope["method"], scope["path"])
        if signed or place in OPEN:
            return
        if scope["path"].startswith(OPEN_BELOW):
            if scope["method"] not in SAFE and not same_origin(scope):
                raise Refusal("This came from another site.", "Use the page itself.", code="cross_site", status=403)
            return
        raise Refusal("This needs the administrator's token, or to sign in.", LOST, code="token_missing", status=401)


def _is(scope: Scope, who: Principal) -> None:
    state = scope.setdefault("state", {})
    state["principal"], state["actor"] = who, who.actor


def _wants_page(scope: Scope) -> bool:
    return scope["method"] in SAFE and scope["path"].startswith("/console")


def cookie_of(scope: Scope) -> str:
    """The session's cookie, "" = there is none."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                if key in (COOKIE_SECURE, COOKIE):
                    return str(text)
    return ""


def same_origin(scope: Scope) -> bool:
    """By what the browser says of where the request comes from (Fetch Metadata; RFC 6454's Origin where it is old)."""
    said = {name: value.decode("latin-1") for name, value in scope["headers"]}
    site = said.get(b"sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = said.get(b"origin", "")
    return bool(origin) and origin.partition("://")[2] == said.get(b"host", "")


def over_https(scope: Scope) -> bool:
    """Whether the browser speaks TLS with a proxy in front of us."""
    return scope.get("scheme") == "https" or any(
        name == b"x-forwarded-proto" and value.strip().lower() == b"https" for name, value in scope["headers"]
    )


def _length(scope: Scope) -> int:
    """The body's length as it is told, -1 = it is not."""
    told = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(told[0]) if len(told) == 1 and told[0].isdigit() else -1


def problem(refusal: Refusal) -> Response:
    """A refusal as JSON: {"error": {code, message, fix}}."""
    body: dict[str, Any] = {"code": refusal.code, "message": refusal.say, "fix": refusal.fix}
    if refusal.param:
        body["param"] = refusal.param
    if findings := getattr(refusal, "findings", None):
        body["findings"] = [
            {"file": f.file, "line": f.line, "field": f.field, "say": f.say, "fix": f.fix} for f in findings
        ]
    headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else None
    return JSONResponse({"error": body}, status_code=refusal.status, headers=headers)


def with_headers(send: Any) -> Any:
    """Every answer forbids what a page could be made to do."""

    async def sender(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", ())}
            extra = [(name, value) for name, value in HEADERS.items() if name not in present]
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return sender
