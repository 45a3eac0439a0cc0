"""Who an account is on its invoices: name, address, tax id. Kept in `settings`; an issued invoice keeps its own copy.

In:     an account, a Party. Out: the Party of an account, empty where none was said.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, insert, select

from baseload.ledger.documents import Party, check_party
from baseload.store import tables

_KEY = "buyer:{}"


def buyer_of(connection: Connection, account: int) -> Party:
    """As it stands now."""
    query = select(tables.settings.c.value).where(tables.settings.c.key == _KEY.format(account))
    found = connection.execute(query).scalar()
    return msgspec.convert(found, Party) if found is not None else Party()


def set_buyer(connection: Connection, account: int, party: Party) -> bool:
    """Says it anew, as a whole. Call within `store.writing`. False: it is so already. Raises Refusal."""
    check_party(party)
    if buyer_of(connection, account) == party:
        return False
    key = _KEY.format(account)
    connection.execute(delete(tables.settings).where(tables.settings.c.key == key))
    connection.execute(insert(tables.settings).values(key=key, value=msgspec.to_builtins(party)))
    return True
