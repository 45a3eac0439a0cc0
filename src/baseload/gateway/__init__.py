"""The data plane: answers clients, never waits for a database.

In:     HTTP/1.1 from clients; a snapshot file (what to serve, at which price); provider credentials by reference.
Out:    HTTP/1.1 to providers and back to clients; the journal (holds, progress, readings, refusals).
May import: wire, money, providers, dispatch, errors. Never a web framework, SQL, pydantic, or the control plane.

Read in this order: `snapshot.py` (what it knows), `catalog.py`, `downstream.py`, `core.py` (who may ask for what),
`call.py` and `relay.py` (the life of a call), `reckon.py`, `upstream.py`, `tick.py` (the journal before its effects),
`journal/` (the log itself), `serve.py` (start and drain). The whole list: `docs/rooms/gateway.md`.
"""
