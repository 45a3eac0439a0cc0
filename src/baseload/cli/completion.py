"""`baseload completion`: tab completion for bash, zsh and fish."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from baseload.cli import exits
from baseload.errors import Refusal

app = App(name="completion", help="Tab completion for your shell.")
Shell = Literal["bash", "zsh", "fish"]


@app.command
def show(shell: Shell | None = None) -> None:
    """Print the completion script.

    Example: baseload completion show bash > ~/.local/share/bash-completion/completions/baseload

    Parameters
    ----------
    shell
        Which shell; default: the one you are in.
    """
    from baseload.cli.app import build

    print(build().generate_completion(shell=_shell(shell)))


@app.command
def install(shell: Shell | None = None) -> None:
    """Write the completion script where your shell looks for it.

    Example: baseload completion install zsh

    Parameters
    ----------
    shell
        Which shell; default: the one you are in.
    """
    from baseload.cli.app import build

    path = build().install_completion(shell=_shell(shell), add_to_startup=False)
    exits.note(f"Written: {path}. Open a new shell to use it.")


def _shell(given: Shell | None) -> Shell:
    if given:
        return given
    from cyclopts.completion.detect import ShellDetectionError, detect_shell

    try:
        found = detect_shell()
    except ShellDetectionError as error:
        raise Refusal(
            "Your shell was not recognised.", "Name it: baseload completion show bash", code="usage"
        ) from error
    if found == "powershell":
        raise Refusal("There is no completion for PowerShell.", "Use bash, zsh or fish.", code="usage")
    return found
