"""What holds for every file that is kept: no registry's host, no path of somebody's machine, everything shipped."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from pathlib import Path

from tests.tools.conftest import ROOT

# Put together here, so that this file does not contain what it looks for.
HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))]
HOSTS += [".".join(parts) for parts in (("yarnpkg", "com"), ("deb", "debian", "org"), ("crates", "io"))]
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:" + "|".join(("work", "root", "home", "Users", "tmp")) + r")/[\w.]")
CODE = {".py", ".toml", ".txt", ".md", ".json", ".yaml", ".yml", ".js", ".mjs", ".sh", ".cfg", ".ini", ""}


@cache
def kept_files() -> tuple[Path, ...]:
    """Files under version control; in an unpacked archive, everything that git would not ignore."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name]
        return tuple(path for path in map(ROOT.joinpath, names) if path.is_file())
    ignored = {".venv", "__pycache__", "node_modules", "dist"}
    return tuple(path for path in ROOT.rglob("*") if path.is_file() and ignored.isdisjoint(path.parts))


def texts() -> list[tuple[Path, str]]:
    return [(path, path.read_text(errors="replace")) for path in kept_files() if path.suffix in CODE]


def test_no_file_names_a_registrys_host() -> None:
    found = [f"{path.relative_to(ROOT)}: {host}" for path, text in texts() for host in HOSTS if host in text]
    assert found == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    """Catalogues, price files and migrations are data of the product: a wheel without them starts and then fails."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    wanted = {str(path.relative_to(source)) for path in kept_files() if source in path.parents}
    assert "baseload/py.typed" in wanted
    assert wanted - inside == set()


PLANTED = {  # id of the contract -> (file of a room, import that breaks it)
    "order": ("money/amount.py", "import baseload.providers"),
    "data-plane": ("wire/body.py", "import sqlalchemy"),
    "wire-is-pure": ("dispatch/merit.py", "import socket"),
    "store": ("engines/cards.py", "import baseload.money.amount"),
    "journal": ("gateway/journal/entries.py", "import baseload.money.amount"),
    "ledger": ("ledger/planted.py", "import baseload.gateway.snapshot"),
    "control": ("control/planted.py", "import baseload.gateway.tick"),
    "cli": ("cli/planted.py", "import baseload.store"),
}


def test_each_border_is_guarded(tmp_path: Path) -> None:
    """A contract that cannot break guards nothing: an import over each border is planted in a copy of the house."""
    shutil.copytree(ROOT / "src" / "baseload", tmp_path / "baseload", ignore=shutil.ignore_patterns("__pycache__"))
    for file, line in PLANTED.values():
        with (tmp_path / "baseload" / file).open("a") as planted:
            planted.write(f"\n{line}\n")
    lint = Path(sys.executable).with_name("lint-imports")
    words = [lint, "--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    only_the_copy = {"PYTHONPATH": str(tmp_path), "COLUMNS": "300"}
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=only_the_copy)
    broken = {name for name, contract in contracts().items() if f"{contract['name']} BROKEN" in ended.stdout}
    assert (ended.returncode, broken) == (1, set(PLANTED)), ended.stdout + ended.stderr


def contracts() -> dict[str, dict[str, str]]:
    """id -> contract, from the configuration"""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract for contract in listed}


def test_every_contract_has_its_planted_import() -> None:
    assert set(contracts()) == set(PLANTED)
