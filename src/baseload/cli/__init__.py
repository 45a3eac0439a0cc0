"""The `baseload` command: a client of the control plane (a socket in the home, or a URL and a token).

It never opens the database. `baseload up` supervises the processes of a home.
May import: errors, control.home (where things lie). Never FastAPI, SQLAlchemy or a service of the control plane.

Read in this order: `app.py` (the commands), `common.py` (options all share), `client.py` (how it talks), `output.py`
(how it prints), `exits.py` (exit codes), then a file a command; `up.py` and `supervisor.py` run the processes.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the `baseload` script."""
    from baseload.cli.app import run

    raise SystemExit(run())
