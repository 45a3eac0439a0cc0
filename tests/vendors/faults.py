"""What can be made to go wrong with one reply. A `Fault` describes a reply; its defaults are a healthy one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.vendors.dialects import KEEP

FOREVER = 3600.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Byte counts are of the body as the client reads it (without chunk framing). Seconds are wall time.

    The connection
    close         "before_head": not a byte; "after_head": the head and no body
    reset         ends by RST instead of FIN
    cut_at        closes after so many bytes of the body
    stall         "before_head" | "after_head" | "body": goes silent there for `stall_s`, then goes on
    stall_at      with "body": after so many bytes
    raw           these bytes instead of an HTTP reply, then closes
    last_close    `Connection: close` and closes after the reply

    The reply
    failure       a class of failures.py, in the dialect's own words
    status, body, headers     another status, body, more headers
    garbage_json  the body is cut in the middle of its JSON, well framed
    sized         True: content-length; False: chunked; None: streams chunked, others sized
    until_close   neither of both: ends with the connection
    length_off    content-length says so many bytes more (or less)
    piece_bytes   the whole reply, head too, is sent in pieces of so many bytes
    delay_s       before the head

    The answer
    words         so many words instead of an echo
    word_bytes    each text frame carries at least so many bytes of text
    flood_bytes   streams text frames of 64 KiB until so many bytes went out
    interval_s    between the frames of a stream
    error_after   a failure inside the stream, after so many text frames
    usage         another usage object; None: none at all
    finish        another finish_reason
    error_as      another form of it: chat none; responses "event"; gemini "array"; converse an exception's name, or
                  "error" for the framing's own; messages an error type
    beats         so many keep-alives before the answer (None: as the dialect does): comments, pings, blank lines
    no_done       no `[DONE]` (or other last event) at the end
    crlf          lines of the stream end in CRLF
    """

    close: str = ""
    reset: bool = False
    cut_at: int | None = None
    stall: str = ""
    stall_at: int = 0
    stall_s: float = FOREVER
    raw: bytes | None = None
    last_close: bool = False

    failure: str = ""
    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    garbage_json: bool = False
    sized: bool | None = None
    until_close: bool = False
    length_off: int = 0
    piece_bytes: int = 0
    delay_s: float = 0.0

    words: int | None = None
    word_bytes: int = 0
    flood_bytes: int = 0
    interval_s: float = 0.0
    error_after: int | None = None
    error_as: str = ""
    beats: int | None = None
    usage: Any = KEEP
    finish: str = ""
    no_done: bool = False
    crlf: bool = False


HEALTHY = Fault()

NAMED: dict[str, Fault] = {
    "close_before_head": Fault(close="before_head"),
    "close_after_head": Fault(close="after_head"),
    "reset": Fault(close="before_head", reset=True),
    "cut": Fault(cut_at=400),
    "stall_before_head": Fault(stall="before_head"),
    "stall_after_head": Fault(stall="after_head"),
    "stall_mid": Fault(stall="body", stall_at=400),
    "not_http": Fault(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
    "garbage_json": Fault(garbage_json=True),
    "html": Fault(body=b"<html><body>Bad gateway</body></html>", headers=(("content-type", "text/html"),)),
    "length_long": Fault(sized=True, length_off=50),
    "length_short": Fault(sized=True, length_off=-50),
    "bytewise": Fault(piece_bytes=1),
    "until_close": Fault(until_close=True),
    "last_close": Fault(last_close=True),
    "no_usage": Fault(usage=None),
    "error_mid_stream": Fault(error_after=2),
    "no_done": Fault(no_done=True),
    "crlf": Fault(crlf=True),
    "frame_64k": Fault(words=3, word_bytes=64 * 2**10),
    "frame_1m": Fault(words=3, word_bytes=2**20),
    "frame_20m": Fault(words=2, word_bytes=20 * 2**20),
    "flood_100m": Fault(flood_bytes=100 * 2**20),
    "slow": Fault(words=50, interval_s=0.02),
}


def named(name: str) -> Fault:
    """A fault by name, or a documented failure by its class."""
    return NAMED[name] if name in NAMED else Fault(failure=name)
