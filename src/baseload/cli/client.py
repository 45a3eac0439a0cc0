"""How the command talks to the control plane: HTTP over the home's socket, or a URL with a token.

In:    a method, a path, JSON. Out: the reply's JSON, or a Refusal that carries the server's code, words and remedy.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from baseload.cli.exits import Unreachable
from baseload.cli.http import exchange, pieces
from baseload.control.home import Home
from baseload.errors import Refusal

READ_S = 60.0  # a bill over a long period may take its time; a dead server is noticed by the connection


class Client:
    def __init__(self, url: str, remedy: str, *, unix: Path | None = None, token: str = "") -> None:
        self.where = str(unix) if unix else url
        self._url, self._unix, self._remedy = url.rstrip("/"), unix, remedy
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    @classmethod
    def local(cls, home: Home) -> Client:
        """Through HOME/control.sock, which only its owner can open: no token needed."""
        return cls("http://baseload", f"baseload up{home.option}", unix=home.socket)

    @classmethod
    def remote(cls, url: str, token: str) -> Client:
        if not token:
            raise Refusal(
                f"A token is needed for {url}.",
                "Set BASELOAD_TOKEN, or give --token env:NAME or --token file:PATH.",
                code="token_missing",
                status=401,
            )
        if not token.isascii() or not token.isprintable():
            raise Refusal("The token holds characters that no token has.", "Check where it comes from.", code="usage")
        return cls(url, "Check the URL, and that a control plane runs there.", token=token)

    def get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> Any:
        return self._ask("POST", path, body={} if body is None else body)

    def put(self, path: str, body: Any) -> Any:
        return self._ask("PUT", path, body=body)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def _ask(self, method: str, path: str, *, params: dict[str, Any] | None = None, body: Any = None) -> Any:
        with self._exchange(method, path, params, body) as reply:
            return _opened(reply.status, reply.read(), self.where)

    @contextlib.contextmanager
    def download(self, method: str, path: str, *, body: Any = None, **params: Any) -> Iterator[Iterator[bytes]]:
        """The reply's body in pieces, for what may be large."""
        with self._exchange(method, path, params, body) as reply:
            if reply.status >= 400:
                _opened(reply.status, reply.read(), self.where)
            yield pieces(reply)

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, params: dict[str, Any] | None, body: Any
    ) -> Iterator[http.client.HTTPResponse]:
        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            with exchange(
                method, self._url + path, unix=self._unix, params=given, headers=self._headers, body=body, read_s=READ_S
            ) as reply:
                yield reply
        except TimeoutError as error:
            raise Unreachable(
                f"The control plane at {self.where} did not answer in time.", "baseload doctor"
            ) from error
        except PermissionError as error:
            raise Refusal(
                f"{self.where} may not be opened by you.",
                "Run as the home's owner, or use --url and a token.",
                code="home_closed",
                status=403,
            ) from error
        except BrokenPipeError:
            raise  # ours: the reader of stdout has gone
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"No control plane answers at {self.where}.", self._remedy) from error


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _opened(status: int, content: bytes, where: str) -> Any:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise Refusal(
            f"{where} answered {status} with something that is not JSON.",
            "Is this the control plane? Its port is 8401 by default.",
            status=502,
            code="not_control",
        ) from error
    if status < 400:
        return body
    said = body.get("error") if isinstance(body, dict) else None
    if not isinstance(said, dict):
        raise Refusal(f"{where} answered {status}.", "baseload doctor", status=status)
    raise Refusal(str(said.get("message", "")), str(said.get("fix", "")), code=said.get("code"), status=status)
