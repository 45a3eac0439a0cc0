"""`baseload people` and `baseload tokens`: who may sign in to the console, and what programs may do."""

from __future__ import annotations

from cyclopts import App

from baseload.cli import exits
from baseload.cli.client import Client, segment
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_record, print_rows

app = App(name="people", help="Who may sign in to the console, and with which role.")
tokens_app = App(name="tokens", help="Tokens of the admin API, each with a role.")
COLUMNS = ("name", "role", "account", "password", "disabled", "made")
TOKENS = ("id", "prefix", "name", "role", "account", "made_by", "expires", "used", "revoked")


@app.command(name="list")
def list_(*, common: Common = COMMON) -> None:
    """List people.

    Example: baseload people list
    """
    print_rows(common.client().get("/api/people")["people"], COLUMNS, as_json=common.json, name="people")


@app.command
def add(name: str, *, role: str = "member", account: str = "", common: Common = COMMON) -> None:
    """Add a person; the link it prints is good once, for a day: there the person chooses a password.

    Example: baseload people add ada --role operator

    Parameters
    ----------
    name
        Small letters, digits, . _ @ -.
    role
        owner, operator, finance, auditor or member.
    account
        Of a member: the account it sees.
    """
    client = common.client()
    body = {"name": name, "role": role, "account": account}
    made = client.post("/api/people", body)["person"]
    made["link"] = _url(client, made["link"])
    print_record(made, as_json=common.json, name="person")


@app.command
def change(
    name: str, *, role: str | None = None, account: str | None = None, disabled: bool | None = None,
    common: Common = COMMON,
) -> None:  # fmt: skip
    """Give a person another role, or keep it out. Its sessions end.

    Example: baseload people change ada --role finance

    Parameters
    ----------
    name
        Who.
    role
        The new role.
    account
        Of a member: the account it sees.
    disabled
        Whether it may not sign in.
    """
    body = {"role": role, "account": account, "disabled": disabled}
    made = common.client().put(f"/api/people/{segment(name)}", body)["person"]
    print_record(made, as_json=common.json, name="person")


@app.command
def link(name: str = "", *, common: Common = COMMON) -> None:
    """A new link, good once: for the first owner, or for a person who has lost the password.

    Example: baseload people link ada

    Parameters
    ----------
    name
        Who; none: the first owner, as long as there is none.
    """
    client = common.client()
    path = f"/api/people/{segment(name)}/link" if name else "/api/people/first"
    secret = client.post(path)["link"]
    if not secret:
        exits.note("There is an owner already: baseload people link NAME")
        return
    print_record({"link": _url(client, secret)}, as_json=common.json, name="link")


def _url(client: Client, secret: str) -> str:
    """The secret stands behind #, so that no server's log and no proxy sees it."""
    return f"{client.get('/api/status')['status']['control_url']}/console/link#{secret}"


@tokens_app.command(name="list")
def list_tokens(*, common: Common = COMMON) -> None:
    """List tokens by their first letters.

    Example: baseload tokens list
    """
    print_rows(common.client().get("/api/tokens")["tokens"], TOKENS, as_json=common.json, name="tokens")


@tokens_app.command
def create(
    name: str, *, role: str = "auditor", account: str = "", expires_days: int = 0, common: Common = COMMON
) -> None:
    """Make a token; it is shown once.

    Example: baseload tokens create grafana --role auditor --expires-days 365

    Parameters
    ----------
    name
        What it is for.
    role
        owner, operator, finance, auditor or member.
    account
        Of a member: the account it sees.
    expires_days
        Days until it stops; 0 means never.
    """
    body = {"name": name, "role": role, "account": account, "expires_days": expires_days}
    print_record(common.client().post("/api/tokens", body)["token"], as_json=common.json, name="token")


@tokens_app.command
def revoke(number: int, *, common: Common = COMMON) -> None:
    """Stop a token at once.

    Example: baseload tokens revoke 3

    Parameters
    ----------
    number
        Its id in `baseload tokens list`.
    """
    print_record({"revoked": common.client().delete(f"/api/tokens/{number}")["revoked"]}, as_json=common.json,
                 name="token")  # fmt: skip
