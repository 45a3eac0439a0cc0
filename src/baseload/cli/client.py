"""How the command talks to the control plane: HTTP over the home's socket, or a URL with a token.

In:    a method, a path, JSON. Out: the reply's JSON, or a Refusal that carries the server's code, words and remedy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from baseload.cli.exits import Unreachable
from baseload.control.home import Home
from baseload.errors import Refusal

TIMEOUT_S = 60.0  # a bill over a long period may take its time; a dead server is noticed by `connect`


class Client:
    def __init__(self, http: httpx.Client, where: str, remedy: str) -> None:
        self._http, self.where, self._remedy = http, where, remedy

    @classmethod
    def local(cls, home: Home) -> Client:
        """Through HOME/control.sock, which only its owner can open: no token needed."""
        transport = httpx.HTTPTransport(uds=str(home.socket))
        http = httpx.Client(transport=transport, base_url="http://baseload", timeout=_timeout(), trust_env=False)
        return cls(http, str(home.socket), f"baseload up{home.option}")

    @classmethod
    def remote(cls, url: str, token: str) -> Client:
        if not token:
            raise Refusal(
                f"A token is needed for {url}.",
                "Set BASELOAD_TOKEN, or give --token env:NAME or --token file:PATH.",
                code="token_missing",
                status=401,
            )
        headers = {"authorization": f"Bearer {token}"}
        http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=_timeout(), trust_env=False)
        return cls(http, url, "Check the URL, and that the control plane runs there: baseload status --url URL")

    def get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params={name: value for name, value in params.items() if value is not None})

    def post(self, path: str, body: Any = None) -> Any:
        return self._ask("POST", path, json={} if body is None else body)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        with self._reach():
            reply = self._http.request(method, path, **how)
        return _opened(reply)

    @contextlib.contextmanager
    def download(self, method: str, path: str, **params: Any) -> Iterator[Iterator[bytes]]:
        """The reply's body in pieces, for what may be large."""
        given = {name: value for name, value in params.items() if value is not None}
        with self._reach(), self._http.stream(method, path, params=given) as reply:
            if reply.is_error:
                reply.read()
                _opened(reply)
            yield reply.iter_bytes()

    @contextlib.contextmanager
    def _reach(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise Unreachable(
                f"The control plane at {self.where} did not answer in time.", "baseload doctor"
            ) from error
        except httpx.TransportError as error:
            raise Unreachable(f"No control plane answers at {self.where}.", self._remedy) from error


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _timeout() -> httpx.Timeout:
    return httpx.Timeout(TIMEOUT_S, connect=3.0)


def _opened(reply: httpx.Response) -> Any:
    try:
        body = reply.json()
    except ValueError as error:
        raise Refusal(
            f"{reply.request.url} answered {reply.status_code} with something that is not JSON.",
            "Is this the control plane? Its port is 8401 by default.",
            status=502,
            code="not_control",
        ) from error
    if not reply.is_error:
        return body
    said = body.get("error") if isinstance(body, dict) else None
    if not isinstance(said, dict):
        raise Refusal(f"The control plane answered {reply.status_code}.", "baseload doctor", status=reply.status_code)
    raise Refusal(
        str(said.get("message", "")), str(said.get("fix", "")), code=said.get("code"), status=reply.status_code
    )
