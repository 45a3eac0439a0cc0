"""Calls: the newest first; and one call from the inside: where its time went, what it used, why it went there."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from baseload.console import charts
from baseload.console.pages.usage import held_to, own_accounts
from baseload.console.view import allow, context_of, language, page
from baseload.console.words import translator
from baseload.control.people.roles import MEMBER
from baseload.control.services import reports
from baseload.errors import Refusal
from baseload.ledger.calls import SOUND

PAGE = 50


def index(request: Request) -> Response:
    who, context = allow(request, "own.read"), context_of(request)
    accounts = own_accounts(context, who)
    account = held_to(who, accounts, request.query_params.get("account", ""))
    before = request.query_params.get("before", "")
    rows = reports.recent(context, account=account, before=int(before) if before.isdigit() else None, limit=PAGE)
    return page(
        request, "calls.html", rows=rows, accounts=accounts, account=account, whole=who.role != MEMBER,
        older=rows[-1]["reading"] if len(rows) == PAGE else None,
    )  # fmt: skip


def show(request: Request) -> Response:
    who, context = allow(request, "own.read"), context_of(request)
    word = translator(language(request))
    found = reports.call(context, request.path_params["call"])
    if who.role == MEMBER and found["account_name"] not in own_accounts(context, who):
        raise Refusal("There is no such call.", code="call_not_found", status=404)
    return page(
        request, "call.html", call=found, chart=charts.waterfall(word("Where the time went"), spans(found)),
        whole=who.role != MEMBER,
    )  # fmt: skip


def spans(call: dict[str, Any]) -> list[charts.Span]:
    """Each attempt: until it was sent, until its first byte, until its end."""
    found: list[charts.Span] = []
    if not call["attempts"]:
        return found
    begun = min(one["accepted_ns"] for one in call["attempts"])

    def at(ns: int) -> float:
        return float(round((ns - begun) / 1e6, 2))

    for one in call["attempts"]:
        failed = one["outcome"] not in SOUND
        number = one["attempt"]
        edges = [("hold, dispatch", one["accepted_ns"]), ("wait for first byte", one["sent_ns"]),
                 ("reply", one["first_ns"]), ("", one["end_ns"])]  # fmt: skip
        known = [(name, ns) for name, ns in edges if ns > 0]
        for (name, begin), (_, end) in pairwise(known):
            found.append(charts.Span(f"{number} · {name}", at(begin), at(end), failed))
    return found
