"""The catalogue: one TOML a vendor (hosts, protocols, auth, quirks, error table, prices, sources), as data.

In:     a vendor's name, or a failed reply's status and body.
Out:    `Vendor` facts; the failure's class (`faults.py`).
May import: errors, money, msgspec. No sockets.

Read in this order: `vendor.py` (what is known of a provider), `catalogue.py` (by name), `data/` (the facts themselves),
`faults.py` (failed reply -> class -> what a client sees) with `reply.py`, `retry.py` and `mask.py`.
"""
