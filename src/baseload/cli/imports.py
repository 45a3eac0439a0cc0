"""`baseload import`: what another gateway has, brought here. Reads its file; the control plane translates."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_json, print_rows
from baseload.errors import Refusal

app = App(name="import", help="Providers, models, keys, prices and balances from another gateway.")

TABLES = ("channels", "users", "tokens", "options")
ROWS_MAX = 100_000
SECRET = {"channels": ("key",), "tokens": ("key",), "users": ("password", "access_token")}
Switch = Annotated[bool, Parameter(negative="")]


@app.command
def litellm(
    path: Path, *, dry_run: Switch = False, with_secrets: Switch = False, replace: Switch = False,
    strict: Switch = False, common: Common = COMMON,
) -> int:  # fmt: skip
    """Bring in a LiteLLM proxy's config.yaml: models, providers, prices, limits, aliases, fallbacks.

    Writes a marked block into baseload.toml and applies it. A report names what was taken, changed, and not carried.

    Examples:
      baseload import litellm config.yaml --dry-run
      baseload import litellm config.yaml --with-secrets

    Parameters
    ----------
    path
        The file its proxy starts with.
    dry_run
        Show what would be done, and do nothing.
    with_secrets
        Bring keys that stand in the file in clear, sealed. References (os.environ/NAME) need no such leave.
    replace
        Replace the lines of the last import although somebody has changed them.
    strict
        Exit 8 where something was not carried.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(
            f"{path} cannot be read ({error}).", "Give the config.yaml of the proxy.", code="usage"
        ) from error
    body = {"source": "litellm", "text": text, "dry_run": dry_run, "with_secrets": with_secrets, "replace": replace}
    return _send(body, strict, common)


@app.command
def newapi(
    path: Path, *, dry_run: Switch = False, with_secrets: Switch = False, replace: Switch = False,
    strict: Switch = False, common: Common = COMMON,
) -> int:  # fmt: skip
    """Bring in a New API or One API database (SQLite): channels, users with balances, tokens, ratios.

    Tokens go on working for their clients (--with-secrets).

    Examples:
      baseload import newapi one-api.db --dry-run
      baseload import newapi one-api.db --with-secrets

    Parameters
    ----------
    path
        Its database file; it is only read.
    dry_run
        Show what would be done, and do nothing.
    with_secrets
        Bring channels' keys (sealed) and clients' tokens (hashed).
    replace
        Replace the lines of the last import although somebody has changed them.
    strict
        Exit 8 where something was not carried.
    """
    body = {"source": "newapi", "tables": _tables(path, with_secrets), "dry_run": dry_run,
            "with_secrets": with_secrets, "replace": replace}  # fmt: skip
    return _send(body, strict, common)


def _send(body: dict[str, Any], strict: bool, common: Common) -> int:
    found = common.client().post("/api/imports", body)["import"]
    if common.json:
        print_json(**{"import": found})
    else:
        print_rows(found["report"], ("state", "path", "what", "why"), as_json=False, name="report")
        states = [line["state"] for line in found["report"]]
        done = "Brought in" if found["applied"] else "Would bring in"
        exits.note(f"{done}: {states.count('taken')} taken, {states.count('changed')} changed, "
                   f"{states.count('not carried')} not carried.")  # fmt: skip
        if not found["applied"]:
            exits.note(f"\nFor baseload.toml:\n\n{found['toml']}")
    lacking = any(line["state"] == "not carried" for line in found["report"])
    return exits.DIFFERS if strict and lacking else exits.OK


def _tables(path: Path, with_secrets: bool) -> dict[str, list[dict[str, Any]]]:
    """The rows that matter, without secrets where they are not asked for."""
    if not path.is_file():
        raise Refusal(f"There is no file {path}.", "Give its one-api.db.", code="usage")
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            base.row_factory = sqlite3.Row
            there = {row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table in TABLES:
                if table in there:
                    rows = base.execute(f"SELECT * FROM {table} LIMIT {ROWS_MAX + 1}").fetchall()  # noqa: S608 - ours
                    if len(rows) > ROWS_MAX:
                        raise Refusal(
                            f"{table} has more than {ROWS_MAX} rows.", "Delete what is not needed.", code="usage"
                        )
                    hidden = () if with_secrets else SECRET.get(table, ())
                    found[table] = [_row(row, hidden) for row in rows]
    except sqlite3.Error as error:
        raise Refusal(f"{path} is no SQLite database ({error}).", "Give its one-api.db.", code="usage") from error
    return found


def _row(row: sqlite3.Row, hidden: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: value.decode("utf-8", "replace") if isinstance(value := row[name], bytes) else value
        for name in row.keys()  # noqa: SIM118 - a Row has no other names
        if name not in hidden
    }
