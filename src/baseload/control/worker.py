"""Two threads of the control plane: one settles journals, one watches the configuration file.

Settlement: every directory under HOME/journal, step after step until caught up, again after a short rest. A database
that is away, or anything else that goes wrong, is logged and tried again with patience; nothing is ever skipped.
Watcher: a changed file, or SIGHUP, is applied; a wrong one leaves the last good state in force and shows in `status`.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from baseload import store
from baseload.control.context import Context
from baseload.control.services import config, content
from baseload.errors import Refusal
from baseload.gateway.journal.identity import journal_name
from baseload.gateway.journal.prune import prune
from baseload.gateway.journal.recovery import open_journal
from baseload.ledger.settle import Settler, cursor

log = logging.getLogger("baseload.control.worker")

REST_S = 0.2  # between rounds, when there was nothing left
BACKOFF_MAX_S = 5.0
STEP_ENTRIES = 4000
STEP_SHORT = 600  # while gateways ask for leases: they wait for the one writer, and calls for them
GONE_S = 10.0  # a gateway that has said nothing for so long, and holds its journal no longer, is gone
LOOK_FOR_GONE_S = 2.0
PRUNE_EVERY_S = 600.0
KEEP_S = 48 * 3600.0  # settled segments stay this long: a database restored from last night's backup finds them again
WATCH_EVERY_S = 1.0
LAST_DRAIN_S = 25.0  # the supervisor waits 30 s


class Settlement(threading.Thread):
    """Settles until told to stop, and once more to the end then."""

    def __init__(self, context: Context) -> None:
        super().__init__(name="settlement", daemon=True)
        self._context = context
        self._settler = Settler(context.engine)
        self._pruned_s = 0.0
        self._looked_s = 0.0

    def run(self) -> None:
        context, failures = self._context, 0
        while not context.stopping.is_set():
            failures = 0 if self.round() else failures + 1
            context.state.settle_failures = failures
            context.stopping.wait(min(REST_S * 2**failures, BACKOFF_MAX_S))
        end = time.monotonic() + LAST_DRAIN_S
        while not self.round() and time.monotonic() < end:  # the gateways have drained: this is all there will be
            time.sleep(REST_S)

    def round(self) -> bool:
        """Settles every journal as far as it goes. False when one could not be settled now."""
        whole = True
        for directory in journals(self._context.home.journal):
            whole &= self._settle(directory)
        if time.monotonic() - self._looked_s > LOOK_FOR_GONE_S:
            self._looked_s = time.monotonic()
            self._end_gone()
        state = self._context.state
        if whole:
            state.settle_error, state.settled_ns = "", time.time_ns()
            if time.monotonic() - self._pruned_s > PRUNE_EVERY_S:
                self._pruned_s = time.monotonic()
                self._prune()
                self._prune_content()
        return whole

    def _settle(self, directory: Path) -> bool:
        state = self._context.state
        try:
            while True:
                step = STEP_ENTRIES if not self._context.grid.busy else STEP_SHORT
                done = self._settler.step(directory, journal_name(directory), step)
                if done.conflicts or done.torn or done.unpriced or done.unmetered:
                    log.warning(
                        "journal %s: %d conflicting, %d torn, %d unpriced, %d unmetered; see: baseload ledger check",
                        directory.name, done.conflicts, done.torn, done.unpriced, done.unmetered,
                    )  # fmt: skip
                where = f"{done.position.segment}:{done.position.offset}" if done.position else "empty"
                state.journals[directory.name] = {"settled_to": where, "more": done.more}
                if not done.more and not done.raced:
                    return True
        except store.DatabaseAway as away:
            self._trouble(directory, str(away))
        except Exception as error:  # whatever it is: say so, keep the entries, try again
            self._trouble(directory, f"{type(error).__name__}: {error}")
            log.debug("settlement of %s", directory, exc_info=True)
            self._settler = Settler(self._context.engine)  # what it remembered may not be what was committed
        return False

    def _end_gone(self) -> None:
        """Gateways that are gone and had leases: their journals are recovered in their place, what was open in them is
        ended, and their leases come home once that is settled."""
        context = self._context
        try:
            lacking = context.grid.not_heard_of(GONE_S)
            for directory in journals(context.home.journal) if lacking else ():
                name = journal_name(directory)
                if name not in lacking:
                    continue
                try:
                    writer = open_journal(directory, directory.name, time.time_ns())
                except Refusal:
                    continue  # it lives, and is only silent
                end = writer.position
                if writer.close():
                    context.grid.ended(name, "", end)
                    log.info("gateway %s is gone; its journal was recovered and its leases come home", directory.name)
        except Exception as error:  # settlement goes on, and this is tried again
            log.warning("gateways that are gone could not be looked after (%s: %s)", type(error).__name__, error)

    def _trouble(self, directory: Path, say: str) -> None:
        if say != self._context.state.settle_error:
            log.error("journal %s cannot be settled now, will be tried again: %s", directory.name, say)
        self._context.state.settle_error = say

    def _prune_content(self) -> None:
        try:
            if gone := content.prune(self._context):
                log.info("content: %d files have expired", gone)
        except (OSError, store.DatabaseAway) as error:
            log.warning("content: expired files not deleted (%s)", error)

    def _prune(self) -> None:
        """Deletes segments that were settled long ago."""
        for directory in journals(self._context.home.journal):
            try:
                with store.reading(self._context.engine) as connection:
                    position = cursor(connection, journal_name(directory))
                if position is not None and (gone := prune(directory, position, KEEP_S, time.time())):
                    log.info("journal %s: %d settled segments deleted", directory.name, len(gone))
            except (OSError, store.DatabaseAway) as error:
                log.warning("journal %s: settled segments not deleted (%s)", directory.name, error)


def journals(folder: Path) -> list[Path]:
    """The journal directories: one a gateway, running or not."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except FileNotFoundError:
        return []


class Watcher(threading.Thread):
    """Applies baseload.toml when it changes."""

    def __init__(self, context: Context) -> None:
        super().__init__(name="watcher", daemon=True)
        self._context = context
        self._asked = threading.Event()
        self._seen = stamp(context.home.config)

    def ask(self) -> None:
        """Apply the file now, changed or not (SIGHUP)."""
        self._asked.set()

    def run(self) -> None:
        while not self._context.stopping.wait(WATCH_EVERY_S):
            self.look()

    def look(self) -> None:
        """One look at the file."""
        now = stamp(self._context.home.config)
        if now == self._seen and not self._asked.is_set():
            return
        self._asked.clear()
        try:
            config.apply(self._context, "file")
        except store.DatabaseAway as away:
            log.error("config: not applied yet: %s", away)  # seen stays as it was: tried again at the next look
            return
        except Refusal as refusal:
            log.error("config: refused, the last good state stays in force:\n%s", refusal)
        except Exception:
            log.exception("config: could not be applied, the last good state stays in force")
        self._seen = now


def stamp(path: Path) -> tuple[int, int, int]:
    """What changes when a file is edited or replaced; zeros when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
