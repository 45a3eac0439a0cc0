"""schemathesis against the admin API as it describes itself: no answer that it does not tell of, and no failure.

Left out: routes that take the token away which the test asks with, and those meant for processes of the home.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.grid import up

pytestmark = pytest.mark.long
LEFT_OUT = "/api/internal|/grid|/api/admin-token|/api/tokens/"
# TRACE and the like: uvicorn answers some before us. Accepting: what a schema allows, a rule of the books may refuse.
CHECKS_LEFT_OUT = "unsupported_method,positive_data_acceptance"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with up(tmp_path / "home", "--no-engine") as grid:
        token = grid.json("tokens", "create", "schema", "--role", "owner")["token"]["token"]
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"), "run", f"{grid.facts['control_url']}/api/openapi.json",
                "-H", f"Authorization: Bearer {token}", "--max-examples", "4", "--phases", "coverage,fuzzing",
                "--exclude-checks", CHECKS_LEFT_OUT, "--exclude-path-regex", LEFT_OUT, "--seed", "7",
            ],
            capture_output=True, text=True, timeout=500, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:]
        assert "Traceback" not in (grid.home / "logs/control.log").read_text()
        assert [one for one in grid.json("ledger", "check")["findings"] if one["severity"] == "error"] == []
