"""A small tree with our own `tools/dev.py`, which finds its root from where it lies: nothing real is touched."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "dev.py", tmp_path / "tools")
    (tmp_path / "locks").mkdir()
    for name in ("uv", "build", "local", "dev", "model", "assets"):
        (tmp_path / "locks" / f"{name}.txt").write_text(f"{name}==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return tmp_path


@pytest.fixture
def dev(tree: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev_under_test", tree / "tools" / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
