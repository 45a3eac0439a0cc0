"""Prompts and answers that accounts have kept: read by who may, each time noted; deleted when their days are over.

In:     a call. Out: what was asked and answered, as text. Files: `gateway.content`.
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from baseload import store
from baseload.control import audit
from baseload.control.context import Context
from baseload.errors import Refusal
from baseload.gateway.kept import NONCE, Kept, key_of
from baseload.gateway.vault import Vault
from baseload.store import tables as t

log = logging.getLogger("baseload.control.content")
_decode = msgspec.msgpack.Decoder(Kept).decode


def show(context: Context, actor: str, call: str) -> dict[str, Any]:
    """Noted in the audit log before anything is shown. Raises Refusal `content_not_found`."""
    reading = t.readings.c
    query = select(reading.account, reading.accepted_ns).where(reading.call == call).order_by(reading.attempt).limit(1)
    with store.reading(context.engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise Refusal(f"There is no call {call!r}.", "baseload calls list", code="call_not_found", status=404)
    day = datetime.fromtimestamp(row.accepted_ns // 10**9, UTC).date().isoformat()
    with store.writing(context.engine) as connection:
        audit.record(connection, actor, "content.show", call)
    for path in sorted((context.home.content / str(row.account)).glob(f"{day}.*.log")):
        for kept in frames(path, context.vault):
            if kept.call == call:
                status, reply = parsed(kept.reply)
                return {
                    "call": call, "request": kept.request.decode("utf-8", "replace"), "status": status,
                    "reply": reply.decode("utf-8", "replace"), "request_whole": kept.request_size <= len(kept.request),
                    "reply_whole": kept.reply_size <= len(kept.reply),
                }  # fmt: skip
    raise Refusal(
        f"The content of {call} is not kept.", "Accounts keep theirs by content_days in baseload.toml; it expires.",
        code="content_not_found", status=404,
    )  # fmt: skip


def frames(path: Path, vault: Vault) -> Iterator[Kept]:
    """Every whole frame of a file; one that was cut off by a crash ends it."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        cipher, data = AESGCM(key_of(vault, path.with_suffix(".key"))), path.read_bytes()
    except (OSError, Refusal) as error:
        log.warning("%s cannot be read (%s)", path, error)
        return
    at = 0
    while at + 4 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        sealed = data[at + 4 : at + 4 + size]
        at += 4 + size
        try:
            yield _decode(cipher.decrypt(sealed[:NONCE], sealed[NONCE:], None))
        except (InvalidTag, ValueError, msgspec.DecodeError):
            log.warning("%s: a frame that does not open", path)
            return


def parsed(raw: bytes) -> tuple[int, bytes]:
    """(status, body) of an HTTP reply as it was sent, chunks joined; as far as it was kept. Pure."""
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    if b"transfer-encoding: chunked" not in head.lower():
        return status, body
    found = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            break
        if length == 0:
            break
        found.append(rest[:length])
        body = rest[length + 2 :]
    return status, b"".join(found)


def prune(context: Context, now_ns: int = 0) -> int:
    """Deletes what has expired, key first: of accounts that keep nothing any more, all. Returns how many files."""
    now = datetime.fromtimestamp((now_ns or time.time_ns()) // 10**9, UTC).date()
    with store.reading(context.engine) as connection:
        days = {str(row.id): int(row.extra.get("content_days", 0))
                for row in connection.execute(select(t.accounts.c.id, t.accounts.c.extra))}  # fmt: skip
    gone = 0
    root = context.home.content
    for path in sorted(root.glob("*/*.log")) if root.is_dir() else ():
        oldest = (now - timedelta(days=days.get(path.parent.name, 0))).isoformat()
        if path.name[:10] <= oldest:
            path.with_suffix(".key").unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            gone += 1
    return gone
