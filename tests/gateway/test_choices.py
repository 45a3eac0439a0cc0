"""Several choices at an engine that reports usage for one only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.harness import Home, chat, exchange, gateway, post
from tests.vendors import start


@pytest.mark.parametrize(("dialect", "status"), [("llamacpp", 400), ("openai", 200)])
def test_more_choices_than_are_reported_are_refused(dialect: str, status: int, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start(dialect) as upstream:
        home.offer(upstream.base_url, dialect=dialect)
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat(n=2)))
            prompts = exchange(running, post("/v1/completions", {"model": "m", "prompt": ["a", "b"]}))
            assert exchange(running, post("/v1/chat/completions", chat(n=1))).status == 200
    assert reply.status == prompts.status == status, prompts.body
    if status == 400:
        assert reply.json()["error"]["code"] == "too_many_choices"
        assert reply.json()["error"]["param"] == "n"
    else:
        assert len(reply.json()["choices"]) == 2
