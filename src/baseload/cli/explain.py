"""`baseload explain`: what dispatch would do with a chat, and why; nothing is sent."""

from __future__ import annotations

import http.client
import json as _json
import os
import sys
from typing import Annotated, Any

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.call import find_key, refusal_of
from baseload.cli.common import LOCAL, Local, about
from baseload.cli.http import exchange
from baseload.cli.output import print_json, print_record, print_rows
from baseload.cli.runfile import gateway_url
from baseload.errors import Refusal

app = App(name="explain")
COLUMNS = (
    "rank", "offer", "credential", "expected", "input", "output", "input_tokens", "cached_tokens", "output_tokens",
    "first_token_ms", "tokens_per_s", "quality", "why",
)  # fmt: skip
BRIEF = ("rank", "offer", "expected", "input_tokens", "output_tokens", "why")


@app.default
def explain(
    model: str,
    text: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    *,
    max_tokens: int | None = None,
    policy: str = "",
    key: str | None = None,
    gateway: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
    local: Local = LOCAL,
) -> None:
    """Show the merit order for a chat with MODEL: every offer, its expected cost, and why it is not eligible.

    Examples:
      baseload explain auto "Name three rivers."
      baseload explain auto "Hello" --policy '{"objective": "fastest", "regions": ["eu"]}'

    Parameters
    ----------
    model
        A model or a group.
    text
        What would be said; "-" reads stdin.
    max_tokens
        The longest reply, in tokens.
    policy
        What the call itself asks of dispatch, as JSON: the `baseload` member of a request.
    key
        The API key by reference: env:NAME or file:PATH.
    gateway
        Where the gateway is; default: BASELOAD_GATEWAY, else the one `baseload up` started.
    json
        Print {"v":1,"explanation":...}.
    """
    home = local.place()
    said = sys.stdin.read() if text == "-" else text
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": said}]}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if policy:
        body["baseload"] = _object(policy)
    base = (gateway or os.environ.get("BASELOAD_GATEWAY") or gateway_url(home)).rstrip("/")
    headers = {"authorization": f"Bearer {find_key(key, home)}"}
    try:
        with exchange("POST", f"{base}/v1/dispatch/explain", headers=headers, body=body) as reply:
            status, data = reply.status, reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise exits.Unreachable(f"No gateway answers at {base}.", f"baseload up{home.option}") from error
    if status >= 400:
        raise refusal_of(status, data)
    found = _json.loads(data)
    if json:
        print_json(explanation=found)
        return
    winner = found["winner"]
    head = {
        "model": found["model"],
        "objective": found["objective"],
        "policy": found["policy"] or "",
        "needs": found["needs"],
        "winner": winner["offer"] if winner else "none",
        "refusal": (found["refusal"] or {}).get("message", ""),
    }
    print_record(head, as_json=False, name="explanation")
    for order in found["models"]:
        rows = [_row(line) for line in order["order"]]
        print_rows(rows, COLUMNS, as_json=False, name=order["model"], brief=BRIEF)


def _row(line: dict[str, Any]) -> dict[str, Any]:
    expected = line["expected"]
    amounts = {"expected": "", "input": "", "output": ""}
    if expected:
        amounts = {
            "expected": f"{expected['text']} {expected['currency']}", "input": expected["parts"]["input"],
            "output": expected["parts"]["output"],
        }  # fmt: skip
    return {**line, **amounts, "rank": line["rank"] or "-", "why": line["why_not"] or line["reservation"]}


def _object(text: str) -> Any:
    try:
        found = _json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal("--policy is not a JSON object.", """As in --policy '{"objective": "fastest"}'.""", code="usage")
    return found


app.help_epilogue = about(explain)
