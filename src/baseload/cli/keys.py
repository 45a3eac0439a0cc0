"""`baseload keys`: credentials of accounts. A key's text is shown once, when it is made, and stored nowhere."""

from __future__ import annotations

import sys

from cyclopts import App

from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common
from baseload.cli.exits import note
from baseload.cli.output import print_json, print_record, print_rows

app = App(name="keys", help="Credentials of accounts; a key's text is shown once, when it is made.")
COLUMNS = ("id", "prefix", "account", "name", "models", "policy", "created", "expires", "revoked")


@app.command(name="list")
def list_(*, account: str = "", common: Common = COMMON) -> None:
    """List keys by their first characters.

    Example: baseload keys list --account team-a

    Parameters
    ----------
    account
        Only this account's keys.
    """
    rows = common.client().get("/api/keys", account=account or None)["keys"]
    print_rows(rows, COLUMNS, as_json=common.json, name="keys")


@app.command
def create(
    *,
    account: str = "default",
    name: str = "",
    models: str = "",
    expires_days: int = 0,
    policy: str = "",
    common: Common = COMMON,
) -> None:
    """Create a key and print it once; alone on stdout, so that KEY=$(baseload keys create) works.

    Example: export BASELOAD_API_KEY=$(baseload keys create --account team-a --models smollm2)

    Parameters
    ----------
    account
        Who pays for calls with this key.
    name
        A word to recognise it by.
    models
        Models it may call, separated by commas; empty means all.
    expires_days
        Days until it stops working; 0 means never.
    policy
        A policy that binds its calls, beside its account's.
    """
    body = {
        "account": account,
        "name": name,
        "models": [model.strip() for model in models.split(",") if model.strip()],
        "expires_days": expires_days,
        "policy": policy,
    }
    made = common.client().post("/api/keys", body)["key"]
    if common.json:
        print_json(key=made)
    elif sys.stdout.isatty():
        print_record(made, as_json=False, name="key")
        note("Keep the secret now: it is shown once.")
    else:
        print(made["secret"])


@app.command
def revoke(key: str, *, common: Common = COMMON) -> None:
    """Revoke a key by its id or first characters; gateways refuse it within a second or two.

    Example: baseload keys revoke sk-bl-ab12cd

    Parameters
    ----------
    key
        Id, or the prefix that `baseload keys list` shows.
    """
    print_record(common.client().delete(f"/api/keys/{segment(key)}")["key"], as_json=common.json, name="key")
