"""Calls that people make from the console: as any client's, through the gateway, with a key of their account.

In:     an account, a chat request. Out: the gateway's reply; what the call was charged, once it is settled.
The key is made when it is first needed, sealed by the home's vault, and works like any other: revoked, it is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from baseload import store
from baseload.control import audit
from baseload.control.apply import id_of, set_setting, setting
from baseload.control.context import Context
from baseload.control.services import keys
from baseload.errors import Refusal
from baseload.ledger.calls import call as call_of
from baseload.store import tables as t

if TYPE_CHECKING:
    import httpx

GATEWAY = "http://127.0.0.1:8400"  # where `baseload up` puts it, when it does not say otherwise
SETTLED_S = 5.0
LONGEST_S = 600.0


class NoGateway(Refusal):
    code, status = "gateway_away", 502


def gateway_url(context: Context) -> str:
    """As `baseload up` wrote it down."""
    try:
        return str(json.loads(context.home.run.read_text())["gateway"]["url"])
    except (OSError, ValueError, KeyError):
        return GATEWAY


def key_for(context: Context, actor: str, account: str) -> tuple[str, bool]:
    """(the account's key for the console, whether it was made just now)."""
    with store.writing(context.engine) as connection:
        number = id_of(connection, t.accounts, account)
        kept: dict[str, Any] = setting(connection, f"console_key:{number}", {})
        if kept:
            revoked = connection.execute(select(t.keys.c.revoked_ns).where(t.keys.c.id == kept["id"])).scalar()
            if revoked == 0:
                return context.vault.resolve(kept["sealed"]), False
        made, secret = keys.make(connection, context.vault, number, name="console", models=[])
        set_setting(connection, f"console_key:{number}", {"id": made, "sealed": context.vault.seal(secret)})
        audit.record(connection, actor, "key.create", "console", {"account": account})
    context.changed()
    return secret, True


@contextlib.asynccontextmanager
async def opened(
    context: Context, secret: str, fresh: bool, body: dict[str, Any], path: str = "/v1/chat/completions"
) -> AsyncIterator[httpx.Response]:
    """The gateway's reply to a chat request, as a stream. Leaving it ends the call. Raises NoGateway."""
    import httpx  # a quarter second that a start need not wait for

    headers = {"authorization": f"Bearer {secret}"}
    url = gateway_url(context) + path
    timeout = httpx.Timeout(LONGEST_S, connect=5.0)
    try:
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            for turn in range(20):
                async with client.stream("POST", url, json=body, headers=headers) as reply:
                    if reply.status_code == 401 and fresh and turn < 19:  # gateways learn of a new key in a moment
                        await asyncio.sleep(0.1)
                        continue
                    yield reply
                    return
    except httpx.HTTPError as error:
        raise NoGateway(f"The gateway does not answer: {type(error).__name__}.", "baseload status") from error


async def price_of(context: Context, call: str) -> dict[str, Any]:
    """What a call was charged; {} where it is not settled within SETTLED_S."""
    until = time.monotonic() + SETTLED_S
    while time.monotonic() < until:
        try:
            found = await run_in_threadpool(call_of, context.engine, call)
        except Refusal:
            found = {"state": "running"}
        if found["state"] == "settled":
            last = found["attempts"][-1]
            charge = last.get("charge")
            if charge is None:
                return {}
            meters = last["meters"]
            return {
                "call": call, "offer": last["offer_name"], "nano": charge["nano"], "currency": charge["currency"],
                "input": sum(meters.get(name, 0) for name in ("input_uncached", "cache_read")),
                "output": meters.get("output_total", 0),
            }  # fmt: skip
        await asyncio.sleep(0.1)
    return {}


def said(body: bytes) -> dict[str, str]:
    """Of an error the gateway answered: its message and code."""
    try:
        found = json.loads(body)["error"]
        return {"message": str(found["message"]), "code": str(found.get("code", ""))}
    except (ValueError, KeyError, TypeError):
        return {"message": body[:300].decode("utf-8", "replace")}
