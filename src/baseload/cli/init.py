"""`baseload init` and `baseload apply`: the configuration file."""

from __future__ import annotations

import sys
from importlib import resources
from typing import Annotated

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import COMMON, LOCAL, Common, Local, about
from baseload.cli.output import print_rows
from baseload.control.home import write_private
from baseload.errors import Refusal

app = App(name="init")
apply_app = App(name="apply")
COLUMNS = ("action", "kind", "name", "detail")


@app.default
def init(
    *,
    write: Annotated[
        bool, Parameter(negative="", help="Write HOME/baseload.toml; a file that is there is never replaced.")
    ] = False,
    local: Local = LOCAL,
) -> None:
    """Print a commented example of baseload.toml; with --write put it into the home.

    Examples:
      baseload init
      baseload init --write --home ./grid
    """
    example = resources.files("baseload.control").joinpath("example.toml").read_text()
    if not write:
        sys.stdout.write(example)
        return
    home = local.place()
    home.make()
    if home.config.exists():
        raise Refusal(
            f"{home.config} exists already and is not replaced.", f"Edit it: {home.config}", code="exists", status=409
        )
    write_private(home.config, example.encode())
    exits.note(
        f"Written: {home.config}. Edit it; a running control plane takes it up by itself, or: baseload up{home.option}"
    )


@apply_app.default
def apply(
    *,
    diff: Annotated[
        bool, Parameter(negative="", help="Only show what would change; exit 8 when something would.")
    ] = False,
    common: Common = COMMON,
) -> int:
    """Apply baseload.toml to the database now. A running control plane does it by itself when the file changes.

    Examples:
      baseload apply --diff
      baseload apply
    """
    path = "/api/config/diff" if diff else "/api/config/apply"
    changes = common.client().post(path)["changes"]
    print_rows(changes, COLUMNS, as_json=common.json, name="changes")
    if not changes:
        exits.note("The database is as the file says.")
    return exits.DIFFERS if diff and changes else exits.OK


app.help_epilogue = about(init)
apply_app.help_epilogue = about(apply)
