"""`baseload report` and `baseload replay`: what dispatch saved, and what other rules would have cost."""

from __future__ import annotations

import json as _json
from typing import Any

from cyclopts import App

from baseload.cli.common import COMMON, Common, about
from baseload.cli.exits import note
from baseload.cli.output import print_json, print_record, print_rows
from baseload.errors import Refusal

app = App(name="report")
replay_app = App(name="replay")


@app.default
def report(*, model: str = "", account: str = "", since: str = "7d", until: str = "", common: Common = COMMON) -> None:
    """Show what each offer served, how good the forecast of its cost was, and what each offer alone would have cost.

    Re-rated with the tokens that came; cached tokens stay what they were. "saved" is what dispatch saved against always
    using that offer, over the calls it could have served.

    Examples:
      baseload report --since 30d
      baseload report --model deepseek-v4-pro --json

    Parameters
    ----------
    model
        Only this model.
    account
        Only this account.
    since
        A span back from now (12h, 7d) or a date or instant in UTC.
    until
        The end, not included; default: now.
    """
    found = common.client().get(
        "/api/dispatch/report", model=model or None, account=account or None, since=since, until=until or None
    )["report"]
    if common.json:
        print_json(report=found)
        return
    if not found["models"]:
        note("No settled calls in that time.")
    for one in found["models"]:
        forecast = one["forecast"]
        head = {
            "model": one["model"], "calls": one["calls"], "paid": _money(one["paid"]),
            "forecast bias": _percent(forecast["bias_per_mille"]),
            "forecast error": _percent(forecast["error_per_mille"]),
            "output error": _percent(forecast["output_error_per_mille"]),
        }  # fmt: skip
        print_record(head, as_json=False, name="model")
        served = {line["offer"]: line for line in one["offers"]}
        rows = [
            {
                "offer": line["offer"], "served": served.get(line["offer"], {}).get("calls", 0),
                "alone": _money(line["cost"]), "saved": _money(line["saved"]), "not_served": line["not_served"],
            }
            for line in one["alone"]
        ]  # fmt: skip
        print_rows(rows, ("offer", "served", "alone", "saved", "not_served"), as_json=False, name="alone")


@replay_app.default
def replay(
    *,
    policy: str = "",
    without_offer: tuple[str, ...] = (),
    price_factor: tuple[str, ...] = (),
    account: str = "",
    since: str = "7d",
    until: str = "",
    hours: bool = False,
    common: Common = COMMON,
) -> None:
    """Run recorded calls by another policy, without some offers or at other prices: what would they have cost?

    Tokens and times only, and with what is known afterwards. Health, limits and speed of offers are not replayed.

    Examples:
      baseload replay --policy '{"regions": ["eu"]}' --since 30d
      baseload replay --without-offer smollm2@local
      baseload replay --price-factor deepseek-v4-pro@deepseek=0.8

    Parameters
    ----------
    policy
        A policy as JSON.
    without_offer
        An offer that is not there; may be given several times.
    price_factor
        OFFER=FACTOR: its prices times so much; may be given several times.
    account
        Only this account's calls.
    since
        A span back from now (12h, 7d) or a date or instant in UTC.
    until
        The end, not included; default: now.
    hours
        Show the cost of each hour.
    """
    factors = dict(_factor(text) for text in price_factor)
    body: dict[str, Any] = {
        "policy": _object(policy), "without": list(without_offer), "factors": factors, "account": account,
        "since": since, "until": until,
    }  # fmt: skip
    found = common.client().post("/api/dispatch/replay", body)["replay"]
    if common.json:
        print_json(replay=found)
        return
    head = {
        "calls": found["calls"], "served": found["served"], "cost": _money(found["cost"]),
        "paid": _money(found["paid"]), "saved": _money(found["saved"]),
    }  # fmt: skip
    print_record(head, as_json=False, name="replay")
    rows = [{**line, "cost": _money(line["cost"])} for line in found["offers"]]
    print_rows(rows, ("offer", "calls", "cost"), as_json=False, name="offers")
    if hours:
        rows = [{**line, "cost": _money(line["cost"])} for line in found["hours"]]
        print_rows(rows, ("hour", "cost"), as_json=False, name="hours")
    if found["unserved"]:
        print_rows(found["unserved"], ("why", "calls"), as_json=False, name="unserved")


def _money(value: dict[str, Any]) -> str:
    return f"{value['text']} {value['currency']}"


def _percent(per_mille: int | None) -> str:
    return "" if per_mille is None else f"{per_mille / 10:.1f} %"


def _factor(text: str) -> tuple[str, str]:
    name, equals, factor = text.rpartition("=")
    if not equals or not name:
        raise Refusal(f"{text!r} is not OFFER=FACTOR.", "As in deepseek-v4-pro@deepseek=0.8.", code="usage")
    return name, factor


def _object(text: str) -> dict[str, Any]:
    try:
        found = _json.loads(text) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal("--policy is not a JSON object.", """As in --policy '{"regions": ["eu"]}'.""", code="usage")
    return found


app.help_epilogue = about(report)
replay_app.help_epilogue = about(replay)
