"""The assistant: chats with any model, streamed, with files, history and a price for each answer."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from urllib.parse import unquote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from baseload.console.markdown import rendered
from baseload.console.pages.usage import held_to, own_accounts
from baseload.console.view import allow, context_of, environment, form, language, page
from baseload.console.words import translator
from baseload.control.assistant import chats, files, talk
from baseload.control.door import problem
from baseload.control.people.roles import MEMBER, Principal
from baseload.control.services.playground import TEXT_MAX, event
from baseload.errors import Refusal

PIECE_S = 0.08  # between two pieces of text on a page, and ten times as long as the last took to render
FILES_MAX = 10
SANDBOX = "default-src 'none'; sandbox"


class Ask(msgspec.Struct, kw_only=True):
    """chat 0 = a new one; again: the message whose question is asked once more, 0 = `text` is a new question."""

    chat: int = 0
    parent: int = 0
    again: int = 0
    text: str = ""
    files: list[int] = []
    model: str = ""
    account: str = ""


_decode = msgspec.json.Decoder(Ask).decode


def show(request: Request) -> Response:
    who, context = allow(request, "call"), context_of(request)
    query = request.query_params
    number = int(request.path_params.get("chat", 0))
    chat = chats.open_chat(context, who, number) if number else None
    if query.get("part"):
        return _part(request, chat)
    current = context.publisher.current()
    names = sorted({offer.model for offer in current.offers if "chat" in offer.endpoints}) if current else []
    groups = [group.name for group in current.groups] if current else []
    account = (chat or {}).get("account") or (who.account if who.role == MEMBER else "default")
    return page(
        request, "assistant.html", chats=chats.list_chats(context, who, query.get("q", "")[:200]), chat=chat,
        search=query.get("q", ""), models=[*groups, *names], accounts=own_accounts(context, who), account=account,
        model=(chat or {}).get("model", ""), rendered=rendered, images=files.IMAGES, text_max=TEXT_MAX,
    )  # fmt: skip


def _part(request: Request, chat: dict[str, object] | None) -> Response:
    """The messages alone: what a page shows anew after an answer."""
    macro = environment().get_template("messages.html").module
    html = macro.messages(chat, translator(language(request)), rendered, files.IMAGES)  # type: ignore[attr-defined]
    return Response(str(html), media_type="text/html; charset=utf-8", headers={"cache-control": "no-store"})


async def send(request: Request) -> Response:
    """JSON in, events out; what is wrong is said as JSON."""
    try:
        who, context = allow(request, "call"), context_of(request)
        body = await request.body()
        try:
            ask = _decode(body)
        except msgspec.DecodeError as error:
            raise Refusal(f"{error}.", code="request_wrong", status=422) from error
        turn = await run_in_threadpool(_begin, request, who, ask)
        stream = _events(talk.answer(context, who, turn), turn)
    except Refusal as refusal:
        return problem(refusal)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _begin(request: Request, who: Principal, ask: Ask) -> talk.Turn:
    """The question is kept before the call is made."""
    context = context_of(request)
    if len(ask.text) > TEXT_MAX or len(ask.files) > FILES_MAX:
        raise Refusal(f"At most {TEXT_MAX} characters and {FILES_MAX} files.", code="prompt_too_long", status=413)
    if not ask.again and not ask.text.strip() and not ask.files:
        raise Refusal("Say something.", code="prompt_missing", param="text")
    account = held_to(who, own_accounts(context, who), ask.account) or "default"
    if ask.again:
        chat, question = ask.chat, chats.question_of(context, who, ask.chat, ask.again)
        chats.show_branch(context, who, chat, question)
    else:
        chat, question = chats.save_question(
            context, who, chat=ask.chat, parent=ask.parent, text=ask.text, files=ask.files, model=ask.model,
            account=account,
        )  # fmt: skip
    shown = chats.open_chat(context, who, chat)["messages"]
    sees = any(file["media"] in files.IMAGES for message in shown for file in message["files"])
    model = talk.choose(context.publisher.current(), ask.model, sees, time.time_ns())
    return talk.Turn(chat=chat, question=question, model=model, account=account)


async def _events(news: AsyncIterator[talk.News], turn: talk.Turn) -> AsyncIterator[bytes]:
    """What a page is told. Text is rendered whole each time, the seldomer the longer it takes."""
    yield event("chat", {"chat": turn.chat, "question": turn.question})
    try:
        async for told in _told(news):
            yield told
    except Refusal as refusal:  # the stream has begun: it is said in it
        yield event("refused", {"message": refusal.say})


async def _told(news: AsyncIterator[talk.News]) -> AsyncIterator[bytes]:
    waiting: talk.News | None = None
    next_s = 0.0
    async for one in news:
        if one.kind == "text":
            waiting = one
        if waiting is not None and (time.monotonic() >= next_s or one.kind not in ("text", "beat")):
            begun = time.monotonic()
            html = await run_in_threadpool(rendered, waiting.text)
            next_s = time.monotonic() + max(PIECE_S, 10 * (time.monotonic() - begun))
            yield event("text", {"html": str(html), "thoughts": waiting.thoughts})
            waiting = None
        if one.kind == "beat":
            yield b": \n\n"
        elif one.kind == "refused":
            yield event("refused", {"message": one.text})
        elif one.kind != "text":
            yield event(one.kind, one.values or {})


async def upload(request: Request) -> Response:
    """A file as the body, its name in `x-name` (percent-encoded)."""
    try:
        who = allow(request, "call")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > files.FILE_MAX:
                raise Refusal(f"At most {files.FILE_MAX >> 20} MB a file.", code="file_too_large", status=413)
        name = unquote(request.headers.get("x-name", "file"))
        kept = await run_in_threadpool(files.take, context_of(request), who, name, bytes(body))
    except Refusal as refusal:
        return problem(refusal)
    return Response(json.dumps(kept), media_type="application/json")


def file(request: Request) -> Response:
    """One's own file, so that no browser runs what is in it."""
    who = allow(request, "call")
    number = int(request.path_params["file"])
    found = files.read(context_of(request), who, [number]).get(number)
    if found is None:
        raise Refusal("You have no such file.", code="file_not_found", status=404)
    kind = found.media if found.media in files.IMAGES else "application/octet-stream"
    headers = {"content-security-policy": SANDBOX, "cache-control": "private, max-age=3600"}
    if kind not in files.IMAGES:
        headers["content-disposition"] = "attachment"
    return Response(found.body, media_type=kind, headers=headers)


async def branch(request: Request) -> Response:
    who, given = allow(request, "call"), await form(request)
    chat = int(request.path_params["chat"])
    await run_in_threadpool(chats.show_branch, context_of(request), who, chat, _number(given.get("message", "")))
    return RedirectResponse(f"/console/assistant/{chat}", status_code=303)


async def rename(request: Request) -> Response:
    who, given = allow(request, "call"), await form(request)
    chat = int(request.path_params["chat"])
    await run_in_threadpool(chats.rename, context_of(request), who, chat, given.get("title", ""))
    return RedirectResponse(f"/console/assistant/{chat}", status_code=303)


async def remove(request: Request) -> Response:
    who = allow(request, "call")
    await run_in_threadpool(chats.remove, context_of(request), who, int(request.path_params["chat"]))
    return RedirectResponse("/console/assistant", status_code=303)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
