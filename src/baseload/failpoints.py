"""Named steps at which a test ends the process, as SIGKILL would at that moment. Off unless armed by the environment.

In:     BASELOAD_FAILPOINT = NAME or NAME@N (the N-th time, from 1). Out: nothing; or the process is gone.
Every name is listed here, so that a test can go through all of them.
"""

from __future__ import annotations

import os
import signal

GATEWAY = (
    "hold-appended",  # in the writer's memory, not yet in the file
    "hold-flushed",  # in the file; nothing was sent to a provider
    "reading-appended",  # the call has ended; its reading is not yet in the file
    "reading-flushed",  # in the file; the client has not seen the end
    "lease-answered",  # money was granted, and this gateway does not know of it
    "lease-taken",  # it knows, and has spent nothing
    "return-answered",  # it gave money back
)
CONTROL = (
    "lease-granting",  # in a transaction that is not committed
    "lease-granted",  # committed; the gateway has no answer
    "run-begun",  # an earlier run's leases are closing; the gateway has no answer
    "settle-written",  # in a transaction that is not committed
    "settle-committed",  # the journal's cursor has moved
    "snapshot-published",
)

_name, _, _times = os.environ.get("BASELOAD_FAILPOINT", "").partition("@")
_left = int(_times or 1)


def reach(name: str) -> None:
    """Ends the process where `name` is armed and due."""
    global _left
    if name == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
