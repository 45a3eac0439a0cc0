"""Prompts and answers are kept only where an account asks for it: sealed, for who may look, and not for longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from baseload.control.services.content import parsed
from tests.e2e.grid import Grid, home_with, up
from tests.gateway.harness import Running, chat, exchange, post
from tests.vendors import Fault, Simulator, start

WORDS = "the quick brown wombat"


@pytest.fixture(scope="module")
def vendor() -> Iterator[Simulator]:
    with start("openai", words=30) as started:
        yield started


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, vendor: Simulator) -> Iterator[Grid]:
    config = f"""
[engine]
enabled = false
[[accounts]]
name = "keeps"
content_days = 7
[[accounts]]
name = "silent"
[[providers]]
name = "sim"
from = "openai"
base_url = "{vendor.base_url}"
credential = "file:HOME/vendor.key"
[[offers]]
model = "m"
provider = "sim"
price = {{ rate = {{ input = "1", output = "10", cache_read = "1" }} }}
"""
    home = home_with(tmp_path_factory.mktemp("content"), config, vendor_key="sk-v")
    with up(home) as started:
        yield started


def ask(grid: Grid, account: str, **more: object) -> str:
    key = grid.json("keys", "create", "--account", account)["key"]["secret"]
    port = int(grid.base_url.rpartition(":")[2].partition("/")[0])
    body = {**chat("m"), "messages": [{"role": "user", "content": WORDS}], **more}
    request = post("/v1/chat/completions", body, key=key)
    until = time.monotonic() + 5
    while True:
        reply = exchange(Running(None, port, grid.process), request)  # type: ignore[arg-type]
        if reply.status == 200 or time.monotonic() > until:
            assert reply.status == 200, reply.body
            grid.settled([reply.headers["x-baseload-call-id"]])
            return str(reply.headers["x-baseload-call-id"])
        time.sleep(0.1)


def files(grid: Grid) -> list[Path]:
    return sorted((grid.home / "content").rglob("*")) if (grid.home / "content").exists() else []


def test_who_has_not_asked_keeps_nothing(grid: Grid) -> None:
    call = ask(grid, "silent")
    assert files(grid) == []
    grid.run("calls", "show", call, "--content", code=3)


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_asked_and_answered_is_shown_and_noted(grid: Grid, stream: bool) -> None:
    call = ask(grid, "keeps", stream=stream)
    kept = grid.json("calls", "show", call, "--content")["content"]
    assert WORDS in kept["request"]
    assert (kept["status"], kept["request_whole"], kept["reply_whole"]) == (200, True, True)
    assert ("data: [DONE]" in kept["reply"]) is stream
    assert '"choices"' in kept["reply"]
    latest = grid.json("audit")["audit"][0]
    assert (latest["action"], latest["subject"]) == ("content.show", call)


def test_on_disk_it_is_noise_and_for_its_owner_alone(grid: Grid) -> None:
    ask(grid, "keeps")
    found = [path for path in files(grid) if path.is_file()]
    assert found
    for path in found:
        assert path.stat().st_mode & 0o077 == 0
        assert WORDS.encode() not in path.read_bytes()
    assert WORDS.encode() not in b"".join(
        path.read_bytes() for path in (grid.home / "journal").rglob("*") if path.is_file()
    )
    assert WORDS.encode() not in b"".join(path.read_bytes() for path in grid.home.glob("baseload.db*"))


def test_a_long_answer_is_kept_in_part_and_a_refused_one_too(grid: Grid, vendor: Simulator) -> None:
    vendor.script(Fault(words=120_000))
    call = ask(grid, "keeps", stream=True)
    kept = grid.json("calls", "show", call, "--content")["content"]
    assert not kept["reply_whole"]
    assert 100_000 < len(kept["reply"]) <= 256 * 1024


def test_it_is_gone_when_the_account_keeps_nothing_any_more(grid: Grid) -> None:
    call = ask(grid, "keeps")
    config = grid.home / "baseload.toml"
    config.write_text(config.read_text().replace("content_days = 7", "content_days = 0"))
    grid.run("apply")
    from sqlalchemy import create_engine

    from baseload.control.home import Home
    from baseload.control.services.content import prune

    class Context:
        home = Home(grid.home)
        engine = create_engine(f"sqlite:///{grid.home}/baseload.db")

    assert prune(Context()) > 0  # type: ignore[arg-type]
    assert [path for path in files(grid) if path.is_file()] == []
    grid.run("calls", "show", call, "--content", code=3)
    again = ask(grid, "keeps")
    assert [path for path in files(grid) if path.is_file()] == []
    assert again


def test_replies_are_read_as_they_were_sent() -> None:
    assert parsed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi") == (200, b"hi")
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert parsed(chunked) == (200, b"abcde")
    for end in range(len(chunked)):
        assert b"abcde".startswith(parsed(chunked[:end])[1].rstrip(b"\r\n"))
