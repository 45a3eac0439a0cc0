"""What a request may do: its route's permission against who asks. A dependency of every router under /api.

In:     a matched route, `scope["state"]["principal"]` as the door has set it. Out: nothing, or a refusal. Closed where
        nobody has decided. A member is held to the accounts of its own: it names one of them in `account`.
"""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import Connection, select

from baseload import store
from baseload.control.context import Context
from baseload.control.people.roles import MEMBER, Principal, needed
from baseload.errors import Refusal
from baseload.store import tables as t


class Forbidden(Refusal):
    code, status = "forbidden", 403


def permitted(request: Request) -> None:
    """Raises Forbidden."""
    who: Principal = request.state.principal
    template = str(getattr(request.scope.get("route"), "path", ""))
    permission = needed(request.method, template)
    if permission is None or not who.may(permission):
        raise Forbidden(f"This is not for the role {who.role!r}.", "Ask an owner of this grid.")
    if who.role == MEMBER and permission == "own.read":
        context: Context = request.app.state.context
        wanted = request.query_params.get("account", "")
        with store.reading(context.engine) as connection:
            own = accounts_below(connection, who.account)
        if wanted not in own:
            raise Forbidden("You see your own account only.", f"Say account={who.account}.")


def accounts_below(connection: Connection, account: str) -> list[str]:
    """An account and all that are below it, itself first; empty = there is no such account."""
    rows = connection.execute(select(t.accounts.c.id, t.accounts.c.name, t.accounts.c.parent_id)).all()
    below: dict[int, list[int]] = {}
    for row in rows:
        below.setdefault(row.parent_id or 0, []).append(row.id)
    names = {row.id: row.name for row in rows}
    found = [row.id for row in rows if row.name == account]
    for number in found:
        found += below.get(number, [])
    return [names[number] for number in found]
