"""Group fsync: a thread that forces the journal to the device at most every interval, beside the event loop.

Nobody waits for it, so a power loss may take the last interval (and the one sync under way); a killed process loses
nothing, because what was written is in the page cache of the kernel.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from pathlib import Path


class GroupSync:
    """Owns every descriptor given to it by `retire`: it syncs and closes them. `fault` = the last error, "" = none."""

    def __init__(self, directory: Path, interval_s: float) -> None:
        self.fault = ""
        self.syncs = 0
        self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._interval_s = interval_s
        self._fd = -1
        self._dirty = False
        self._new_name = False
        self._retired: deque[int] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def begin(self, fd: int) -> None:
        """`fd` is the segment written from now on; its name is new, so the directory needs a sync too."""
        self._fd = fd
        self._new_name = True
        self._dirty = True

    def written(self) -> None:
        """Something was written. One store: this is called every tick."""
        self._dirty = True

    def retire(self, fd: int) -> None:
        """No more writes to `fd`."""
        if self._fd == fd:
            self._fd = -1  # its number may soon belong to another file
        self._retired.append(fd)

    def stop(self) -> None:
        """Syncs what is left and ends the thread. The current descriptor must have been retired."""
        self._stop.set()
        self._thread.join()
        os.close(self._directory)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._round()
        self._round()

    def _round(self) -> None:
        fd = self._fd  # taken first: once retired it stays open until this thread closes it
        while self._retired:
            old = self._retired.popleft()
            self._force(old)
            os.close(old)
            if old == fd:
                fd = -1
        if self._dirty and fd >= 0 and fd == self._fd:
            self._dirty = False  # before the sync: what is written meanwhile is synced by the next round
            self._force(fd)
        if self._new_name:
            self._new_name = False
            self._force(self._directory)

    def _force(self, fd: int) -> None:
        try:
            os.fdatasync(fd)
            self.syncs += 1
        except OSError as error:
            self.fault = f"fdatasync: {error.strerror}"
