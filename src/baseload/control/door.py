"""Who may come in. One application, two doors: the socket in the home, and TCP.

Who asks is known from the listener a request came through, never from a header: each door wraps the application by
itself, so no Host, X-Forwarded-* or path can turn one into the other. The socket lies in a folder and has a mode
that only its owner passes; TCP needs a bearer token for everything but the open paths. Pure ASGI:
streams pass through unbuffered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from baseload.errors import Refusal

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
Verify = Callable[[str], str | None]  # token -> who, or None

OPEN = {("GET", "/"), ("HEAD", "/"), ("GET", "/healthz"), ("HEAD", "/healthz")}
SIGNED = "/hooks/"  # what comes here proves by its own signature who sent it
BODY_MAX = 32 * 2**20  # bytes of an admin request: a vendor's statement; others are a few KB
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
            scope.setdefault("state", {})["actor"] = "socket"
        await self._app(scope, receive, with_headers(send) if scope["type"] == "http" else send)


class TcpDoor:
    """Everybody's door: closed until a token is shown."""

    def __init__(self, app: App, verify: Verify) -> None:
        self._app, self._verify = app, verify

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
        if signed or (scope["method"], scope["path"]) in OPEN:
            scope.setdefault("state", {})["actor"] = "anyone"
            await self._app(scope, receive, send)
            return
        try:
            actor = await run_in_threadpool(self._who, scope)
        except Refusal as refusal:  # no token, or a database that cannot say whose it is: closed
            await problem(refusal)(scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, send)

    def _who(self, scope: Scope) -> str:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        scheme, _, token = given[0].decode("latin-1").partition(" ") if len(given) == 1 else ("", "", "")
        who = self._verify(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
        if who is None:
            raise Refusal(
                "This needs the administrator's token." if not given else "The token is not valid.",
                "Send Authorization: Bearer TOKEN. Lost it? On the machine itself: baseload admin-token rotate",
                code="token_missing" if not given else "token_wrong",
                status=401,
            )
        return who


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
