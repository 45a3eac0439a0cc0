"""One's own: the device whose codes are needed at sign-in, the password."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from baseload.console.view import allow, context_of, form, page
from baseload.control.people import totp
from baseload.control.services import people
from baseload.errors import Refusal


def show(
    request: Request, codes: list[str] | None = None, refusal: Refusal | None = None, said: str = "", secret: str = ""
) -> Response:
    """`secret`: the one a person has begun to set up, so that a mistyped code does not begin anew."""
    who, context = allow(request, "session"), context_of(request)
    secret = secret or totp.new_secret()
    return page(
        request, "me.html", status=refusal.status if refusal else 200, device=people.device_of(context, who), said=said,
        secret=secret, otpauth=totp.address(secret, who.name or who.actor), codes=codes or [], refusal=refusal,
    )  # fmt: skip


async def add_device(request: Request) -> Response:
    who, given = allow(request, "session"), await form(request)
    secret = given.get("secret", "")
    try:
        codes = await run_in_threadpool(
            people.add_device, context_of(request), who, secret=secret, code=given.get("code", "")
        )
    except Refusal as refusal:
        return await run_in_threadpool(show, request, None, refusal, "", secret)
    return await run_in_threadpool(show, request, codes)


async def remove_device(request: Request) -> Response:
    who, given = allow(request, "session"), await form(request)
    try:
        await run_in_threadpool(people.remove_device, context_of(request), who, code=given.get("code", ""))
    except Refusal as refusal:
        return await run_in_threadpool(show, request, None, refusal)
    return await run_in_threadpool(show, request)


async def change_password(request: Request) -> Response:
    who, given = allow(request, "session"), await form(request)
    address = request.client.host if request.client else ""
    try:
        await run_in_threadpool(
            people.change_password, context_of(request), who, old=given.get("old", ""), new=given.get("new", ""),
            address=address,
        )  # fmt: skip
    except Refusal as refusal:
        return await run_in_threadpool(show, request, None, refusal)
    return page(request, "sign_in.html", next="/console/", refusal=None, name=who.name, providers=[])
