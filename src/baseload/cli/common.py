"""Options that every command shares, and the client they lead to."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from baseload.control.home import Home
from baseload.errors import Refusal

if TYPE_CHECKING:
    from baseload.cli.client import Client

HomeOption = Annotated[Path | None, Parameter(help="Folder where everything lies; BASELOAD_HOME, else ~/.baseload.")]
_GROUP = Group("Where and how", sort_key=100)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Local:
    """Options of commands that concern this machine's home only."""

    home: Annotated[Path | None, Parameter(help="Folder where everything lies; BASELOAD_HOME, else ~/.baseload.")] = (
        None
    )

    def place(self) -> Home:
        return Home.at(self.home)


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Common:
    """Options of commands that speak to the control plane."""

    home: Annotated[Path | None, Parameter(help="Folder where everything lies; BASELOAD_HOME, else ~/.baseload.")] = (
        None
    )
    url: Annotated[str | None, Parameter(help="A remote control plane, as http://host:8401; BASELOAD_URL.")] = None
    token: Annotated[
        str | None,
        Parameter(help="Its admin token, by reference: env:NAME or file:PATH; BASELOAD_TOKEN holds it itself."),
    ] = None
    json: Annotated[bool, Parameter(help='Print {"v":1,...} for programs.', negative="")] = False

    def place(self) -> Home:
        return Home.at(self.home)

    def client(self) -> Client:
        from baseload.cli.client import Client

        url = self.url or os.environ.get("BASELOAD_URL", "")
        if not url:
            return Client.local(self.place())
        reference = self.token or os.environ.get("BASELOAD_TOKEN_REF", "")
        return Client.remote(url, secret(reference) if reference else os.environ.get("BASELOAD_TOKEN", ""))


LOCAL, COMMON = Local(), Common()


def about(command: Callable[..., Any]) -> str:
    """A command's docstring between its first line and its parameters: `--help` shows it below the options."""
    return inspect.cleandoc(command.__doc__ or "").partition("\n\nParameters\n")[0].partition("\n")[2].strip()


def secret(reference: str, what: str = "token") -> str:
    """The secret behind env:NAME or file:PATH. A literal is refused: arguments are visible to every process."""
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and rest:
        if not (value := os.environ.get(rest, "").strip()):
            raise Refusal(f"The environment variable {rest} is not set.", f"Set {rest} and try again.", code="usage")
        return value
    if scheme == "file" and rest:
        try:
            return Path(rest).expanduser().read_text().strip()
        except OSError as error:
            raise Refusal(f"{rest} cannot be read ({error.strerror}).", "Check the path.", code="usage") from error
    raise Refusal(
        f"The {what} must be given as env:NAME or file:PATH: what stands in a command line, other processes can read.",
        "Put it in an environment variable or a file.",
        code="usage",
    )


def read_secret(what: str, key_env: str | None, key_file: Path | None) -> str:
    """A secret from an environment variable, a file, a hidden prompt on a terminal, or stdin; never from argv."""
    if key_env:
        return secret(f"env:{key_env}", what)
    if key_file:
        return secret(f"file:{key_file}", what)
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(f"{what} (not shown): ").strip()
    return sys.stdin.readline().strip()
