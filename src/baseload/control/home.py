"""Where the things of a home lie. Shared by the control plane and the command; imports only the standard library.

A home is one folder, mode 0700: what is in it belongs to one person. `baseload.toml`, `secret.key`, `baseload.db`,
`control.sock`, `snapshot.msgpack`, `journal/<gateway>/`, `logs/`, `run.json`.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from baseload.errors import Refusal

SOCKET_PATH_MAX = 100  # bytes; sun_path of unix(7) holds 108 with its final NUL, and 104 on BSD


@dataclass(frozen=True)
class Home:
    path: Path

    @classmethod
    def at(cls, path: str | Path | None = None) -> Home:
        """The home chosen by argument, then BASELOAD_HOME, then ~/.baseload."""
        chosen = path or os.environ.get("BASELOAD_HOME")
        return cls(Path(chosen).expanduser().absolute()) if chosen else cls.standard()

    @classmethod
    def standard(cls) -> Home:
        """The home of a person who chose none."""
        return cls(Path.home() / ".baseload")

    @property
    def option(self) -> str:
        """` --home DIR` for commands we suggest, "" for the standard home."""
        return "" if self == Home.standard() else f" --home {shlex.quote(str(self.path))}"

    @property
    def config(self) -> Path:
        return self.path / "baseload.toml"

    @property
    def secret(self) -> Path:
        return self.path / "secret.key"

    @property
    def database(self) -> Path:
        return self.path / "baseload.db"

    @property
    def database_url(self) -> str:
        return os.environ.get("BASELOAD_DATABASE") or f"sqlite:///{self.database}"

    @property
    def socket(self) -> Path:
        return self.path / "control.sock"

    @property
    def snapshot(self) -> Path:
        return self.path / "snapshot.msgpack"

    @property
    def journal(self) -> Path:
        return self.path / "journal"

    @property
    def content(self) -> Path:
        """Prompts and answers of accounts that keep them."""
        return self.path / "content"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        return self.path / "run.json"

    @property
    def lock(self) -> Path:
        return self.path / "run.lock"

    @property
    def first_start(self) -> Path:
        """Secrets of the first start, 0600, until `up` has shown and removed them."""
        return self.path / "first-start.json"

    @property
    def cli_key(self) -> Path:
        """The key `baseload call` uses when none is given, 0600."""
        return self.path / "cli.key"

    def make(self) -> None:
        """Creates the folders with mode 0700; refuses a home that others could read or that belongs to someone else."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable("cannot be made", error) from error
        if found := self.exposure():
            raise Refusal(f"The home {self.path} {found}.", self.closing, code="home_exposed", status=403)
        if len(os.fsencode(self.socket)) > SOCKET_PATH_MAX:
            raise Refusal(
                f"The home's path is too long for a socket: {self.socket} exceeds {SOCKET_PATH_MAX} bytes.",
                "Choose a shorter --home (or BASELOAD_HOME).",
                code="home_path_too_long",
            )
        try:
            for folder in (self.journal, self.logs):
                folder.mkdir(mode=0o700, exist_ok=True)
            os.close(os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise self._unusable("cannot be written", error) from error

    def _unusable(self, what: str, error: OSError) -> Refusal:
        return Refusal(
            f"The home {self.path} {what} ({error.strerror}).",
            "Choose a folder you can write to with --home (or BASELOAD_HOME).",
            code="home_unusable",
        )

    @property
    def closing(self) -> str:
        """The command that makes this folder its owner's alone, or what to do when the owner is someone else."""
        if self.path.stat().st_uid != os.geteuid():
            return "Run as its owner, or choose a home of your own with --home (or BASELOAD_HOME)."
        return f"chmod 700 {shlex.quote(str(self.path))}"

    def exposure(self) -> str:
        """What is wrong with the folder's owner or mode, "" when nothing is."""
        status = self.path.stat()
        if status.st_uid != os.geteuid():
            return f"belongs to user {status.st_uid}, not to you ({os.geteuid()})"
        if stat.S_IMODE(status.st_mode) & 0o077:
            return f"may be opened by others (mode {stat.S_IMODE(status.st_mode):04o})"
        return ""


def write_private(path: Path, data: bytes) -> None:
    """Writes a file that only its owner can read (0600), replacing what was there in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
