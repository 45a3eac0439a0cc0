"""What points client programs at a grid: each text is what its program can read, and the page says the same."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from baseload.cli.clients import CLIENTS, page, text_of

BASE = "http://127.0.0.1:8400"
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_text_is_what_its_program_can_read(client) -> None:
    text = text_of(client, BASE + "/", "smollm2")
    assert BASE in text
    assert "{base}" not in text
    if client.file.endswith(".toml"):
        provider = tomllib.loads(text)["model_providers"]["baseload"]
        assert (provider["base_url"], provider["env_key"]) == (f"{BASE}/v1", "BASELOAD_API_KEY")
    elif client.file.endswith(".json"):
        options = json.loads(text)["provider"]["baseload"]["options"]
        assert options == {"baseURL": f"{BASE}/v1", "apiKey": "{env:BASELOAD_API_KEY}"}
    elif not client.file:
        script = f'{text}\nenv | grep -c "secret-key"'  # a shell takes it, and the key arrives
        given = {"BASELOAD_API_KEY": "secret-key", "PATH": "/usr/bin:/bin"}
        found = subprocess.run(["sh", "-eu", "-c", script], env=given, capture_output=True, text=True, check=True)
        assert int(found.stdout) >= 2


def test_the_page_is_made_from_the_same_table() -> None:
    assert (ROOT / "docs" / "clients.md").read_text() == page(), (
        "python -c 'from baseload.cli.clients import page; ...'"
    )
