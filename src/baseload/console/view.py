"""What every page is given: who reads it, in which language, and how figures look.

In:     a request. Out: a rendered page. Figures are formatted here and nowhere else: money by its currency, exactly (no
float), large counts shortened; instants as `<time>`, which app.js shows in the reader's own zone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from baseload import __version__
from baseload.console import assets, words
from baseload.control.context import Context
from baseload.control.people.roles import Principal
from baseload.errors import Refusal

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FORM_MAX = 256 * 1024
NAV = (  # group, word, path, permission
    ("", "Overview", "/console/", "grid.read"),
    ("", "Scoreboard", "/console/scoreboard", "money.read"),
    ("Use", "Assistant", "/console/assistant", "call"),
    ("Use", "Playground", "/console/playground", "call"),
    ("Dispatch", "Merit order", "/console/merit", "grid.read"),
    ("Dispatch", "Explorer", "/console/explore", "grid.read"),
    ("Dispatch", "Providers", "/console/providers", "grid.read"),
    ("Dispatch", "Price books", "/console/prices", "grid.read"),
    ("Metering", "Usage", "/console/usage", "own.read"),
    ("Metering", "Calls", "/console/calls", "own.read"),
    ("Metering", "Accounts", "/console/accounts", "own.read"),
    ("Metering", "Invoices", "/console/invoices", "own.read"),
    ("Books", "Planner", "/console/planner", "grid.read"),
    ("Books", "Ledger", "/console/ledger", "money.read"),
    ("Books", "Reconciliation", "/console/reconcile", "money.read"),
    ("Books", "Capital", "/console/capital", "money.read"),
    ("House", "People", "/console/people", "people"),
    ("House", "Audit log", "/console/audit", "audit.read"),
    ("House", "Settings", "/console/settings", "grid.read"),
)


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def principal_of(request: Request) -> Principal:
    found: Principal = request.state.principal
    return found


def allow(request: Request, permission: str) -> Principal:
    """Raises Refusal where who asks may not."""
    who = principal_of(request)
    if not who.role or not who.may(permission):
        raise Refusal("This page is not for your role.", "Ask an owner of this grid.", code="forbidden", status=403)
    return who


def language(request: Request) -> str:
    """By the reader's choice (a cookie), else by the browser's."""
    chosen = request.cookies.get("language", "")
    if chosen in words.LANGUAGES:
        return chosen
    for part in request.headers.get("accept-language", "").split(","):
        code = part.split(";")[0].strip().lower()[:2]
        if code in words.LANGUAGES:
            return code
    return "en"


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A whole page."""
    who, code = principal_of(request), language(request)
    nav = [(group, word, path) for group, word, path, permission in NAV if who.role and who.may(permission)]
    given = {
        "who": who, "nav": nav, "path": request.url.path, "language": code, "languages": words.LANGUAGES,
        "_": words.translator(code), "asset": assets.url, "version": __version__, "query": request.query_params,
        **values,
    }  # fmt: skip
    html = environment().get_template(template).render(given)
    return HTMLResponse(html, status_code=status, headers={"content-security-policy": CSP})


async def form(request: Request, most: int = FORM_MAX) -> dict[str, str]:
    """The fields of a form. Raises Refusal where it is too large."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise Refusal("The form is too large.", code="body_too_large", status=413)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


@cache
def environment() -> Environment:
    found = Environment(
        loader=PackageLoader("baseload.console"), autoescape=select_autoescape(default=True), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {"money": money, "count": count, "when": when, "json": as_json, "share": share, "short": short}
    found.globals |= {"with_query": with_query}
    return found


def money(nano: int | str | Decimal, currency: str = "", places: int | None = None) -> Markup:
    """Nano-units, or a decimal text, as people read it; the exact amount stands in its title.

    Two decimals from one unit on (of thousand millions from there on); below that as many as show three digits.
    """
    amount = Decimal(nano) / 10**9 if isinstance(nano, int) else Decimal(nano or 0)
    if places is None:
        places = 2 if abs(amount) >= 1 or amount == 0 else min(9, 2 - amount.adjusted())
    exact, size = f"{amount.normalize():f}", ""
    for power, unit in ((12, "tn"), (9, "bn")) if places == 2 else ():
        if abs(amount) >= 10**power:
            amount, size = amount.scaleb(-power), f" {unit}"
            break
    shown = f"{amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):,f}{size}"
    return Markup('<data value="{}" title="{} {}">{}</data>{}').format(
        exact, exact, currency, shown, Markup(' <span class="unit">{}</span>').format(currency) if currency else ""
    )


def moneys(amounts: Mapping[str, int]) -> Markup:
    """Amounts of several currencies, one after another."""
    return Markup(" · ").join(money(nano, currency) for currency, nano in sorted(amounts.items())) or Markup("–")


def count(number: float) -> Markup:
    """12345678 -> 12.3 M, the whole number in its title."""
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**4, "k")):
        if abs(number) >= size:
            scaled = number / (1000 if unit == "k" else size)
            return Markup('<data value="{}" title="{:,}">{:.1f} {}</data>').format(number, number, scaled, unit)
    return Markup("{:,}").format(number)


def when(instant: str) -> Markup:
    """An instant of ours (UTC) in the reader's zone; "" stays nothing."""
    if not instant:
        return Markup("–")
    plain = instant[:19]
    return Markup('<time datetime="{}Z">{} UTC</time>').format(plain, plain.replace("T", " "))


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def short(text: str, most: int = 18) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def with_query(path: str, query: Mapping[str, str], **changes: Any) -> str:
    """An address with the filters it has, some changed; None takes one away."""
    merged = {**dict(query), **changes}
    kept = {name: str(value) for name, value in merged.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path
