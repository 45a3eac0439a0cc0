"""An engine never outlives who started it: a model in memory that nobody can reach is a leak of gigabytes.

On Linux the kernel is asked to send SIGKILL when the parent dies, which works even while the model loads (an engine has
nothing to save). Elsewhere, and where the kernel refuses, a thread looks once a second whether the parent has changed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOOK_EVERY_S = 1.0


def tie_to_parent(parent: int = 0) -> None:
    """Ends this process soon after its parent ended, also if the parent was killed.

    parent  process id of who started us, if known: then a parent that died before this line is noticed too
    """
    parent = parent or os.getppid()
    if not _ask_kernel():
        threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(1)


def _ask_kernel() -> bool:
    """True if the kernel will kill this process when the thread that started it ends."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os._exit(0)
