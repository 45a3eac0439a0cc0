"""Capital planned and spent: amounts as people write them, and what the scoreboard shows of them."""

from __future__ import annotations

import re
import secrets
import time
from fractions import Fraction
from typing import Any

import msgspec

from baseload import store
from baseload.control import audit
from baseload.control.context import Context
from baseload.control.rules import amount_nano
from baseload.errors import Refusal
from baseload.ledger import capital
from baseload.ledger.texts import decimal
from baseload.money.amount import check_currency, format_decimal, round_half_even

SIZES = {"": 0, "k": 3, "m": 6, "mn": 6, "bn": 9, "tn": 12}
_SHORT = re.compile(r"([0-9]+)(?:\.([0-9]+))?\s*([a-z]*)", re.ASCII)
Json = dict[str, Any]


def amount_of(text: str) -> int:
    """ "31.8bn" or "31800000000" -> nano-units, exactly. Raises Refusal."""
    match = _SHORT.fullmatch(text.strip().lower().replace(",", ""))
    if match is None or match[3] not in SIZES:
        raise Refusal(f"{text[:60]!r} is no amount.", 'As in "31.8bn", "250m" or "1200000.50".', code="amount_wrong",
                      param="amount")  # fmt: skip
    part = (match[2] or "").ljust(SIZES[match[3]], "0")
    shift = SIZES[match[3]]
    return amount_nano(f"{match[1]}{part[:shift]}.{part[shift:] or '0'}")


def show(context: Context, currency: str, quarter: str = "") -> Json:
    """Quarters, the pace, and the entries (of one quarter)."""
    now = capital.quarter_of(time.time_ns())
    quarters = capital.by_quarter(context.engine, check_currency(currency))
    with store.reading(context.engine) as connection:
        found = capital.entries(connection, quarter=quarter, currency=currency)
    pace = capital.pace(quarters, now)
    return {
        "currency": currency, "quarters": msgspec.to_builtins(quarters), "pace": msgspec.to_builtins(pace),
        "sentence": sentence(pace, currency), "entries": msgspec.to_builtins(found),
    }  # fmt: skip


def sentence(pace: capital.Pace, currency: str) -> str:
    """As people say it: "380 bn CNY over 12 quarters is 31.7 bn a quarter; this quarter's 31.8 bn is on pace"."""
    if not pace.quarters:
        return ""
    words = {"on pace": "spending is on pace", "ahead": "spending is ahead of the plan",
             "behind": "spending is behind the plan", "": "nothing was due yet"}  # fmt: skip
    return (
        f"{short(pace.planned_nano)} {currency} over {pace.quarters} quarters is {short(pace.average_nano)} a quarter; "
        f"{pace.quarter} has spent {short(pace.spent_now_nano)}, {short(pace.spent_nano)} of {short(pace.due_nano)} "
        f"until now: {words[pace.state]}"
    )


def short(nano: int) -> str:
    """31_666_666_666_666_666_667 -> "31.7 bn". One decimal, half to even."""
    for size, unit in ((12, "tn"), (9, "bn"), (6, "m"), (3, "k")):
        if abs(nano) >= 10 ** (size + 9):
            tenths = round_half_even(Fraction(nano, 10 ** (size + 8)))
            return f"{format_decimal(tenths, 1)} {unit}"
    return decimal(nano)


def plan(context: Context, actor: str, *, quarter: str, amount: str, currency: str, project: str, memo: str) -> Json:
    """What is planned for a quarter and project from now on."""
    nano = amount_of(amount)
    with store.writing(context.engine) as connection:
        made = capital.plan(
            connection, nano, check_currency(currency), quarter=capital.check_quarter(quarter), project=_name(project),
            key=f"plan-{secrets.token_hex(8)}", actor=actor, at_ns=time.time_ns(), memo=memo,
            record=audit.recorder(actor),
        )  # fmt: skip
    return {"entry": msgspec.to_builtins(made)}


def spend(
    context: Context, actor: str, *, amount: str, currency: str, quarter: str, project: str, key: str, memo: str,
    back: bool = False,
) -> Json:  # fmt: skip
    """Money that was spent; `back`: that came back."""
    nano, now_ns = amount_of(amount), time.time_ns()
    with store.writing(context.engine) as connection:
        made = capital.spend(
            connection, -nano if back else nano, check_currency(currency), project=_name(project), actor=actor,
            quarter=capital.check_quarter(quarter or capital.quarter_of(now_ns)), key=key or secrets.token_hex(8),
            at_ns=now_ns, memo=memo, record=audit.recorder(actor),
        )  # fmt: skip
    return {"entry": msgspec.to_builtins(made)}


def _name(project: str) -> str:
    name = " ".join(project.split())
    if not name or len(name) > 100:
        raise Refusal("Name the project, in at most 100 characters.", code="project_wrong", param="project")
    return name
