"""Chats of a person: a tree of messages, of which one branch is in view. Changing or repeating makes a sister branch.

In:     who asks, ids, texts. Out: rows as a page shows them. A chat of another person is not there (404).
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from baseload import store
from baseload.control.assistant.sealed import Box
from baseload.control.context import Context
from baseload.control.people.roles import Principal
from baseload.errors import Refusal
from baseload.ledger.texts import instant
from baseload.store import tables as t

TITLE_MAX = 80
LIST_MAX = 200
SEARCH_MAX = 20_000  # messages opened for one search, the newest first
AROUND = 60  # characters of context in what a search found
DONE, STOPPED, FAILED = "done", "stopped", "failed"
Json = dict[str, Any]


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sealed of a message."""

    text: str
    thoughts: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Body).decode


def box_of(context: Context, who: Principal) -> Box:
    """Raises Refusal: only people have chats."""
    if not who.person:
        raise Refusal("A token has no chats.", "Sign in.", code="forbidden", status=403)
    return Box(context.vault, who.person)


def list_chats(context: Context, who: Principal, search: str = "") -> list[Json]:
    """The newest first. `search`: those whose title or messages hold it, with the place."""
    box = box_of(context, who)
    chat = t.chats.c
    query = select(t.chats).where(chat.person_id == who.person).order_by(chat.changed_ns.desc(), chat.id.desc())
    with store.reading(context.engine) as connection:
        rows = connection.execute(query if search else query.limit(LIST_MAX)).all()
        found = _search(connection, box, who.person, search.casefold()) if search else {}
    shown = []
    for row in rows:
        title = box.open(row.title).decode()
        place = found.get(row.id, "")
        if not search or place or search.casefold() in title.casefold():
            shown.append({"id": row.id, "title": title, "changed": instant(row.changed_ns), "place": place})
    return shown[:LIST_MAX]


def _search(connection: Connection, box: Box, person: int, wanted: str) -> dict[int, str]:
    """Chat -> the words around the newest hit."""
    message = t.chat_messages.c
    query = (
        select(message.chat_id, message.body)
        .join(t.chats, t.chats.c.id == message.chat_id)
        .where(t.chats.c.person_id == person)
        .order_by(message.id.desc())
        .limit(SEARCH_MAX)
    )
    found: dict[int, str] = {}
    for row in connection.execute(query):
        if row.chat_id in found:
            continue
        text = _decode(box.open(row.body)).text
        at = text.casefold().find(wanted)
        if at >= 0:
            piece = text[max(0, at - AROUND) : at + len(wanted) + AROUND]
            found[row.chat_id] = f"{'…' if at > AROUND else ''}{' '.join(piece.split())}"
    return found


def open_chat(context: Context, who: Principal, number: int) -> Json:
    """The branch in view, from the first message on; of each its sisters' ids in order, itself among them."""
    box = box_of(context, who)
    with store.reading(context.engine) as connection:
        chat = _chat(connection, who, number)
        tree = _tree(connection, number)
        ids = {number for row in tree.values() for number in row.files}
        files = _files(connection, who.person, ids)
    messages = []
    for row in branch(tree, chat.leaf_id):
        body = _decode(box.open(row.body))
        messages.append({
            "id": row.id, "parent": row.parent_id or 0, "role": row.role, "text": body.text, "thoughts": body.thoughts,
            "files": [files[one] for one in row.files if one in files], "state": row.state, "model": row.model,
            "call": row.call, "offer": row.offer, "charge_nano": row.charge_nano, "currency": row.currency,
            "made": instant(row.made_ns), "sisters": sisters(tree, row),
        })  # fmt: skip
    return {
        "id": number, "title": box.open(chat.title).decode(), "model": chat.model, "account": chat.account,
        "messages": messages,
    }  # fmt: skip


def branch(tree: dict[int, Any], leaf: int | None) -> list[Any]:
    """The messages from the first to `leaf`. Pure."""
    found: list[Any] = []
    while leaf is not None and leaf in tree and len(found) <= len(tree):
        found.append(tree[leaf])
        leaf = tree[leaf].parent_id
    return found[::-1]


def sisters(tree: dict[int, Any], row: Any) -> list[int]:
    """Ids of the messages under the same parent, the oldest first. Pure."""
    return sorted(one.id for one in tree.values() if one.parent_id == row.parent_id)


def last_below(tree: dict[int, Any], number: int) -> int:
    """The newest message of the newest branch below a message; itself where there is none. Pure."""
    while below := [one.id for one in tree.values() if one.parent_id == number]:
        number = max(below)
    return number


def save_question(
    context: Context, who: Principal, *, chat: int, parent: int, text: str, files: list[int], model: str, account: str
) -> tuple[int, int]:
    """(chat, message). chat 0 = a new one; parent 0 = it begins the chat. Counts the day's use."""
    box, now_ns = box_of(context, who), time.time_ns()
    with store.writing(context.engine) as connection:
        mine = _files(connection, who.person, set(files))
        if lacking := [one for one in files if one not in mine]:
            raise Refusal(f"File {lacking[0]} is gone.", "Add it again.", code="file_not_found", status=404)
        if chat:
            _chat(connection, who, chat)
            if parent and parent not in _tree(connection, chat):
                raise Refusal("The message before it is gone.", "Load the page anew.", code="message_not_found")
        else:
            title = (
                " ".join(text.split())[:TITLE_MAX] or str(mine[files[0]]["name"])[:TITLE_MAX]
            )  # one of both is there
            chat = _made(connection, t.chats, person_id=who.person, title=box.seal(title.encode()), made_ns=now_ns,
                         changed_ns=now_ns)  # fmt: skip
        message = _made(
            connection, t.chat_messages, chat_id=chat, parent_id=parent or None, role="user", files=files,
            body=box.seal(_encode(Body(text))), made_ns=now_ns,
        )  # fmt: skip
        if files:
            claim = update(t.chat_files).where(t.chat_files.c.id.in_(files), t.chat_files.c.chat_id.is_(None))
            connection.execute(claim.values(chat_id=chat))
        _touch(connection, chat, message, now_ns, model=model, account=account)
        count_day(connection, who.person, now_ns)
    return chat, message


def save_answer(
    context: Context, who: Principal, *, chat: int, parent: int, text: str, thoughts: str, state: str, model: str,
    call: str, offer: str,
) -> int:  # fmt: skip
    """Its id; 0 = the chat was deleted in the meantime."""
    box, now_ns = box_of(context, who), time.time_ns()
    with store.writing(context.engine) as connection:
        if parent not in _tree(connection, chat):
            return 0
        message = _made(
            connection, t.chat_messages, chat_id=chat, parent_id=parent, role="assistant", state=state, model=model,
            body=box.seal(_encode(Body(text, thoughts))), call=call, offer=offer, made_ns=now_ns,
        )  # fmt: skip
        _touch(connection, chat, message, now_ns)
    return message


def save_price(context: Context, message: int, nano: int, currency: str) -> None:
    change = update(t.chat_messages).where(t.chat_messages.c.id == message)
    with store.writing(context.engine) as connection:
        connection.execute(change.values(charge_nano=nano, currency=currency))


def question_of(context: Context, who: Principal, chat: int, message: int) -> int:
    """The question an answer answers; a question is its own. Raises Refusal."""
    with store.reading(context.engine) as connection:
        _chat(connection, who, chat)
        row = _tree(connection, chat).get(message)
    if row is None:
        raise Refusal("This message is gone.", "Load the page anew.", code="message_not_found", status=404)
    return int(row.parent_id) if row.role == "assistant" else int(row.id)


def show_branch(context: Context, who: Principal, chat: int, message: int) -> None:
    """The branch through a message comes into view, to its newest end."""
    with store.writing(context.engine) as connection:
        _chat(connection, who, chat)
        tree = _tree(connection, chat)
        if message in tree:
            connection.execute(update(t.chats).where(t.chats.c.id == chat).values(leaf_id=last_below(tree, message)))


def rename(context: Context, who: Principal, chat: int, title: str) -> None:
    title = " ".join(title.split())[:TITLE_MAX]
    if not title:
        raise Refusal("A chat needs a title.", code="title_missing", param="title")
    box = box_of(context, who)
    with store.writing(context.engine) as connection:
        _chat(connection, who, chat)
        connection.execute(update(t.chats).where(t.chats.c.id == chat).values(title=box.seal(title.encode())))


def remove(context: Context, who: Principal, chat: int) -> None:
    """With its messages and files. What the calls cost stays in the ledger."""
    with store.writing(context.engine) as connection:
        _chat(connection, who, chat)
        connection.execute(delete(t.chats).where(t.chats.c.id == chat))


def count_day(connection: Connection, person: int, now_ns: int) -> None:
    """One more message of a person's day (UTC)."""
    day, table = instant(now_ns)[:10], t.app_days
    where = (table.c.day == day, table.c.person_id == person)
    if connection.execute(update(table).where(*where).values(messages=table.c.messages + 1)).rowcount == 0:
        connection.execute(insert(table).values(day=day, person_id=person, messages=1))


def _chat(connection: Connection, who: Principal, number: int) -> Any:
    where = (t.chats.c.id == number, t.chats.c.person_id == who.person)
    row = connection.execute(select(t.chats).where(*where)).one_or_none()
    if row is None:
        raise Refusal(f"You have no chat {number}.", "", code="chat_not_found", status=404)
    return row


def _tree(connection: Connection, chat: int) -> dict[int, Any]:
    rows = connection.execute(select(t.chat_messages).where(t.chat_messages.c.chat_id == chat))
    return {row.id: row for row in rows}


def _files(connection: Connection, person: int, ids: set[int]) -> dict[int, Json]:
    file = t.chat_files.c
    query = select(file.id, file.name, file.media, file.size).where(file.id.in_(ids), file.person_id == person)
    return {row.id: dict(row._mapping) for row in connection.execute(query)}


def _made(connection: Connection, table: Any, **values: Any) -> int:
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _touch(connection: Connection, chat: int, leaf: int, now_ns: int, **values: Any) -> None:
    change = update(t.chats).where(t.chats.c.id == chat)
    connection.execute(change.values(leaf_id=leaf, changed_ns=now_ns, **values))
