"""Roles and what each may do. A table; pure.

In:     a role, a permission; a route's method and template. Out: whether it may; which permission a route needs.
Every route of /api is named here, or it is closed: a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple

OWNER, OPERATOR, FINANCE, AUDITOR, MEMBER = "owner", "operator", "finance", "auditor", "member"
ROLES = (OWNER, OPERATOR, FINANCE, AUDITOR, MEMBER)

_READ = frozenset({OWNER, OPERATOR, FINANCE, AUDITOR})
MAY: dict[str, frozenset[str]] = {
    "own.read": frozenset(ROLES),  # usage, calls, balance, bills, keys of an account: a member's own only
    "grid.read": _READ,
    "grid.write": frozenset({OWNER, OPERATOR}),  # accounts, keys, providers, offers, gateways, the file
    "money.read": _READ,
    "money.write": frozenset({OWNER, FINANCE}),  # payments, budgets, tariffs, invoices, statements
    "audit.read": frozenset({OWNER, AUDITOR}),
    "books": frozenset({OWNER}),  # backups, archives, late prices
    "people": frozenset({OWNER}),
    "call": frozenset({OWNER, OPERATOR, FINANCE, MEMBER}),  # models, from the console, on an account's money
    "session": frozenset(ROLES),  # one's own
    "socket": frozenset({OWNER}),  # meant for processes of this home
}


class Principal(NamedTuple):
    """Who asks. `actor` as the audit log has it; account: the member's account (its name), "" = every one."""

    actor: str
    role: str
    account: str = ""
    name: str = ""
    person: int = 0

    def may(self, permission: str) -> bool:
        return self.role in MAY[permission]


def needed(method: str, template: str) -> str | None:
    """The permission for a route; None = nobody has decided, so it is closed."""
    if method == "HEAD":
        method = "GET"
    return ROUTES.get((method, template))


def _all(permission: str, *routes: str) -> dict[tuple[str, str], str]:
    found = {}
    for route in routes:
        method, _, template = route.partition(" ")
        found[method, template] = permission
    return found


ROUTES: dict[tuple[str, str], str] = {
    **_all("own.read", "GET /api/usage", "GET /api/bill", "GET /api/calls", "GET /api/keys", "GET /api/balances"),
    **_all(
        "grid.read", "GET /api/status", "GET /api/doctor", "GET /api/engine", "GET /api/accounts",
        "GET /api/accounts/{name}", "GET /api/catalogue", "GET /api/providers", "GET /api/policies", "GET /api/offers",
        "GET /api/prices", "GET /api/prices/check",
        "GET /api/prices/changes", "GET /api/health/hour",
        "GET /api/metrics", "GET /api/plan/load", "GET /api/gateways", "GET /api/calls/{call}",
        "GET /api/dispatch/report", "POST /api/dispatch/replay", "POST /api/config/diff",
    ),
    **_all(
        "grid.write", "POST /api/accounts", "POST /api/keys", "DELETE /api/keys/{key}", "POST /api/providers",
        "PUT /api/providers/{name}/key", "POST /api/providers/{name}/test", "POST /api/offers",
        "POST /api/config/apply", "POST /api/gateways", "DELETE /api/gateways/{name}",
    ),
    **_all(
        "money.read", "GET /api/leases", "GET /api/payments", "GET /api/fx", "GET /api/codes", "GET /api/alerts",
        "GET /api/invoices", "GET /api/invoices/settings", "GET /api/invoices/buyers/{account}",
        "GET /api/invoices/preview", "GET /api/invoices/statement", "GET /api/invoices/{number}",
        "GET /api/invoices/{number}/file", "GET /api/reconcile", "GET /api/reconcile/{number}", "GET /api/ledger/check",
        "GET /api/ledger/export", "GET /api/capital", "GET /api/scoreboard",
    ),
    **_all(
        "money.write", "PUT /api/accounts/{name}/funding", "POST /api/budgets", "DELETE /api/budgets/{number}",
        "POST /api/payments", "POST /api/fx", "POST /api/fx/revalue", "POST /api/codes", "POST /api/codes/redeem",
        "DELETE /api/codes/{number}", "PUT /api/hooks/{name}", "POST /api/invoices", "PUT /api/invoices/settings",
        "PUT /api/invoices/buyers/{account}", "POST /api/invoices/{number}/credit", "POST /api/invoices/{number}/paid",
        "POST /api/capital/plan", "POST /api/capital/spend", "POST /api/reconcile",
        "POST /api/reconcile/{number}/approve",
    ),
    **_all("audit.read", "GET /api/audit", "GET /api/calls/{call}/content"),
    **_all("books", "POST /api/imports", "POST /api/backup", "GET /api/archive", "POST /api/archive",
           "GET /api/archive/verify",
           "POST /api/ledger/resettle"),
    **_all("people", "GET /api/people", "POST /api/people", "PUT /api/people/{name}", "POST /api/people/{name}/link",
           "GET /api/tokens", "POST /api/tokens", "DELETE /api/tokens/{number}", "POST /api/admin-token/rotate"),
    **_all("session", "GET /api/session", "DELETE /api/session", "PUT /api/session/password"),
    **_all("socket", "GET /api/internal/calls/{call}", "POST /api/people/first"),
}  # fmt: skip
