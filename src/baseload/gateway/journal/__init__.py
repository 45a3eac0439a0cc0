"""The journal: the gateway's append-only log, the truth until settled.

In:     entries (`entries.py`) from the gateway.
Out:    segments on disk, read by settlement (`baseload.ledger`), which may lag or be away.
May import: errors, msgspec. Knows no socket, price or configuration.

`entries.py` what is logged; `segment.py` the bytes of a segment; `live.py` the holds still open; `space.py` room on
the disk; `lock.py` one writer a directory; `sync.py` group fsync; `writer.py` appends, rotates, refuses on a full disk;
`reader.py` reads from a position, also while the file is being written; `recovery.py` ends the calls a crash left open;
`prune.py` deletes what is settled and old.
"""
