"""One writer a directory: two gateways in one journal would write over each other."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from baseload.errors import Refusal
from baseload.gateway.journal.identity import mark


class DirectoryLock:
    """Holds `directory/lock` until `release()` or the process ends, however it ends (flock, released by the kernel)."""

    def __init__(self, directory: Path, gateway: str) -> None:
        """Raises Refusal `journal_in_use` when another writer has it; never waits."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = os.pread(self._fd, 200, 0).decode("utf-8", "replace").strip() or "another process"
            os.close(self._fd)
            raise Refusal(
                f"The journal {directory} is in use by {other}.",
                "Stop that gateway first, or give this one another id.",
                code="journal_in_use",
                status=503,
            ) from error
        try:
            who = f"process {os.getpid()} (gateway {gateway})\n".encode()
            os.pwrite(self._fd, who, 0)
            os.ftruncate(self._fd, len(who))
            mark(directory)
        except OSError:  # the first is only a courtesy to others; a full disk is told by whoever needs room
            pass
        except BaseException:
            os.close(self._fd)
            raise

    def release(self) -> None:
        """Lets the next writer in. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
