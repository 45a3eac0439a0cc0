"""Files of chats: pictures a model sees, documents it reads as text.

In:     bytes with a name. Out: a kept file, or Refusal `file_unreadable` or `file_too_large`.
What a file is, its first bytes tell, not its name. A PDF is read by a process of its own, with limits.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select

from baseload import store
from baseload.control.assistant.chats import box_of
from baseload.control.context import Context
from baseload.control.people.roles import Principal
from baseload.errors import Refusal
from baseload.store import tables as t

FILE_MAX = 10 * 2**20  # bytes
TEXT_MAX = 200_000  # characters of a document that are kept for a model
NAME_MAX = 120
UNSENT_NS = 24 * 3600 * 10**9
PDF_S = 20.0
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


class File(NamedTuple):
    id: int
    name: str
    media: str
    body: bytes
    text: str  # "" of pictures


def media_of(body: bytes) -> str:
    """By its first bytes; "" = nothing we know. Pure."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body.startswith(b"%PDF-"):
        return "application/pdf"
    return "text/plain" if _decoded(body) is not None else ""


def _decoded(body: bytes) -> str | None:
    try:
        text = body.decode("utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def take(context: Context, who: Principal, name: str, body: bytes) -> dict[str, Any]:
    """Keeps a file until its message is sent, at most a day. {id, name, media, size}."""
    box = box_of(context, who)
    if len(body) > FILE_MAX:
        raise Refusal(f"At most {FILE_MAX >> 20} MB a file.", code="file_too_large", status=413)
    media = media_of(body)
    if not media or not body:
        raise Refusal("This is no text, PDF, PNG, JPEG, GIF or WebP.", "Convert it first.", code="file_unreadable")
    text = "" if media in IMAGES else _text(media, body)
    shown = "".join(letter for letter in name.rpartition("/")[2] if letter.isprintable())[-NAME_MAX:] or "file"
    now_ns = time.time_ns()
    with store.writing(context.engine) as connection:
        old = t.chat_files.c
        connection.execute(delete(t.chat_files).where(old.chat_id.is_(None), old.made_ns < now_ns - UNSENT_NS))
        key = connection.execute(insert(t.chat_files).values(
            person_id=who.person, name=shown, media=media, size=len(body), body=box.seal(body), made_ns=now_ns,
            text=box.seal(text.encode()) if text else None,
        )).inserted_primary_key  # fmt: skip
    assert key is not None
    return {"id": int(key[0]), "name": shown, "media": media, "size": len(body), "characters": len(text)}


def read(context: Context, who: Principal, numbers: list[int]) -> dict[int, File]:
    """A person's own files, opened."""
    box = box_of(context, who)
    query = select(t.chat_files).where(t.chat_files.c.id.in_(numbers), t.chat_files.c.person_id == who.person)
    with store.reading(context.engine) as connection:
        rows = connection.execute(query).all()
    return {
        row.id: File(row.id, row.name, row.media, box.open(row.body), box.open(row.text).decode() if row.text else "")
        for row in rows
    }


def _text(media: str, body: bytes) -> str:
    text = _pdf_text(body) if media == "application/pdf" else (_decoded(body) or "")
    if not text.strip():
        raise Refusal("There is no text in this file.", "A scan needs a model that sees: send it as a picture.",
                      code="file_unreadable")  # fmt: skip
    return text[:TEXT_MAX]


def _pdf_text(body: bytes) -> str:
    command = [sys.executable, "-m", "baseload.control.assistant.pdf_text", str(TEXT_MAX)]
    try:
        done = subprocess.run(command, input=body, capture_output=True, timeout=PDF_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode:
        raise Refusal("This PDF cannot be read.", "Save it anew, or send its text.", code="file_unreadable")
    return done.stdout.decode("utf-8", "replace")
