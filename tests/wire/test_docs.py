"""The pages that describe translation say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from baseload.gateway.doors import PREFERENCE
from baseload.wire.canon.carry import POLICY, REFUSE
from baseload.wire.protocols import CLIENTS

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text()


def test_the_table_of_losses_is_the_policy():
    rows = re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \| (refused|left out and named) \|$", PAGE, re.MULTILINE)
    assert dict(rows) == {name: "refused" if rule == REFUSE else "left out and named" for name, rule in POLICY.items()}


def test_the_order_of_doors_is_the_tables():
    rows = re.findall(r"^\| (\w+) \| ([a-z, ]+) \|$", PAGE, re.MULTILINE)
    assert {client: tuple(doors.split(", ")) for client, doors in rows if client in CLIENTS} == {
        client: PREFERENCE[client] for client in CLIENTS
    }
