"""`baseload accounts`: who pays."""

from __future__ import annotations

from cyclopts import App

from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_record, print_rows

app = App(name="accounts", help="Who pays: organisations, teams, customers. Accounts nest.")
COLUMNS = ("name", "parent", "tariff", "currency", "keys", "declared", "disabled")


@app.command(name="list")
def list_(*, common: Common = COMMON) -> None:
    """List accounts.

    Example: baseload accounts list --json
    """
    print_rows(common.client().get("/api/accounts")["accounts"], COLUMNS, as_json=common.json, name="accounts")


@app.command
def create(
    name: str, *, tariff: str = "default", parent: str = "", currency: str = "USD", common: Common = COMMON
) -> None:
    """Create an account.

    Example: baseload accounts create team-a --tariff default

    Parameters
    ----------
    name
        Small letters, digits, ".", "_" and "-".
    tariff
        What the account is charged by.
    parent
        The account this one belongs to.
    currency
        The currency of its bills.
    """
    body = {"name": name, "tariff": tariff, "parent": parent, "currency": currency}
    print_record(common.client().post("/api/accounts", body)["account"], as_json=common.json, name="account")


@app.command
def show(name: str, *, common: Common = COMMON) -> None:
    """Show one account.

    Example: baseload accounts show default

    Parameters
    ----------
    name
        The account.
    """
    print_record(common.client().get(f"/api/accounts/{segment(name)}")["account"], as_json=common.json, name="account")
