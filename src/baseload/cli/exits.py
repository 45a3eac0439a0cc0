"""Exit codes, one table, and what a failed command says: what, why, next command. Words go to stderr."""

from __future__ import annotations

import contextlib
import os
import sys

from baseload.errors import Refusal

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
AUTH = 4
REFUSED = 5  # a budget or a price said no
UPSTREAM = 6
UNREACHABLE = 7
DIFFERS = 8  # a check found something: diff, doctor, ledger check
INTERRUPTED = 130

_BY_STATUS = {401: AUTH, 402: REFUSED, 403: AUTH, 404: NOT_FOUND, 502: UPSTREAM, 503: UPSTREAM, 504: UPSTREAM}
_BY_CODE = {
    "unpriced_model": REFUSED,
    "usage": USAGE,
    "unreachable": UNREACHABLE,
    "not_running": UNREACHABLE,
}


class Unreachable(Refusal):
    """Nobody answers at the control plane's or gateway's address."""

    code, status = "unreachable", 503


def exit_code(refusal: Refusal) -> int:
    """The exit code that fits a refusal: by its code where the table names it, else by its HTTP status."""
    return _BY_CODE.get(refusal.code) or _BY_STATUS.get(refusal.status, FAILED)


def complain(say: str, fix: str = "") -> None:
    """Prints an error: what and why, then what to do next."""
    print(f"baseload: {say}", file=sys.stderr)
    if fix:
        print(f"  next: {fix}", file=sys.stderr)


def note(words: str) -> None:
    """Prints words for a person; never mixed into the data on stdout."""
    try:
        print(words, file=sys.stderr, flush=True)
    except OSError:
        # A terminal that was closed must not end what runs, nor what is left in the buffers the exit code (120).
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
