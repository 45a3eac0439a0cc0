"""Questions of the gateway to the control plane, through the socket in the home. Never on the path of a call."""

from __future__ import annotations

import asyncio

import httptools

from baseload.errors import Refusal

TIMEOUT_S = 5.0
_ANSWER_MAX = 4 * 1024 * 1024


class ControlAway(Refusal):
    """The control plane does not answer."""

    code = "control_unavailable"
    status = 503


class _Answer:
    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def ask_control(socket: str, target: str) -> tuple[int, bytes]:
    """GET `target`: (status, body). Raises ControlAway."""
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(f"GET {target} HTTP/1.1\r\nhost: control\r\nconnection: close\r\n\r\n".encode("latin-1"))
                while not answer.complete and len(answer.body) < _ANSWER_MAX:
                    piece = await reader.read(65536)
                    if not piece:
                        break
                    parser.feed_data(piece)
            finally:
                writer.close()
        if answer.complete:
            return parser.get_status_code(), bytes(answer.body)
        raise ConnectionError("its answer was cut")
    except (OSError, TimeoutError, httptools.HttpParserError) as error:
        raise ControlAway(
            f"The control plane does not answer ({error or 'time-out'}).",
            "Calls are served all the same; ask again in a moment, or look at `baseload status`.",
            retry_after_s=2,
        ) from error
