"""The catalogue: one TOML a vendor (hosts, protocols, auth, quirks, error table, prices, sources), as data.

In:     a vendor's name, a failed reply's status, headers and body, a request to sign, a service account.
Out:    `Vendor` facts; the failure's class (`faults.py`) and what a client sees; headers that sign; tokens' requests.
May import: errors, money, wire's refusals, msgspec, cryptography. No sockets, no clock.

Read in this order: `vendor.py` (what is known of a provider), `catalogue.py` (by name), `data/` (the facts themselves),
`faults.py` (failed reply -> class -> what a client sees) with `reply.py`, `retry.py` and `mask.py`, then `sigv4.py`
(AWS) and `google_auth.py` (Vertex).
"""
