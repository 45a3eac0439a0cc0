"""Room on the disk: allocates the file of the next segment before it is needed, under a name no reader looks at."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

Allocate = Callable[[int, int, int], None]  # (fd, offset, length in bytes); raises OSError when there is no room

NEXT_NAME = "next.tmp"
RETRY_S = 1.0


class NextSegment:
    """The allocated file of the next segment, if there is one (`fd` >= 0, `size` bytes)."""

    def __init__(self, directory: Path, size: int, allocate: Allocate) -> None:
        self.fd = -1
        self.size = 0
        self.error: OSError | None = None  # why the last attempt failed
        self._path = directory / NEXT_NAME
        self._wanted = size
        self._allocate = allocate
        self._tried_s: float | None = None  # the caller's clock at the last attempt, if it failed

    @property
    def ready(self) -> bool:
        return self.fd >= 0

    def prepare(self, at_least: int = 0) -> bool:
        """Allocates now, unless already done; grows a prepared file that is too small. False: no room, see `error`."""
        size = max(self._wanted, at_least)
        if self.fd >= 0 and self.size >= size:
            return True
        try:
            if self.fd < 0:
                self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._allocate(self.fd, 0, size)
        except OSError as error:
            self.error = error
            self.discard()
            return False
        self.size, self.error = size, None
        return True

    def prepare_again(self, now_s: float, at_least: int = 0) -> bool:
        """As `prepare`, at most once in RETRY_S of the caller's clock. A clock that jumps costs one attempt."""
        if self.fd >= 0 and self.size >= max(self._wanted, at_least):
            return True
        if self._tried_s is not None and abs(now_s - self._tried_s) < RETRY_S:
            return False
        done = self.prepare(at_least)
        self._tried_s = None if done else now_s
        return done

    def publish(self, path: Path) -> int:
        """Gives the file its segment's name in one step; hands its descriptor over. OSError: nothing changed."""
        os.rename(self._path, path)
        fd, self.fd, self.size = self.fd, -1, 0
        return fd

    def discard(self) -> None:
        """Gives the room back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd, self.size = -1, 0
        with contextlib.suppress(OSError):
            os.unlink(self._path)
