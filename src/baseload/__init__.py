"""Baseload, the open token grid: one socket to every model, metered, billed, and dispatched by price.

Rooms, from the ground up: `wire`, `money`, `providers`, `dispatch`, `gateway`, `engines`, `store`, `ledger`, `control`,
`console`, `cli`. A room may import the rooms before it and no room after it; `lint-imports` holds that.
"""

__version__ = "0.1.0"
