"""Kept content on a disk that fails: what is whole stays readable, and the gateway goes on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baseload.control.services.content import frames
from baseload.gateway import content
from baseload.gateway.content import ContentStore
from baseload.gateway.kept import Kept
from baseload.gateway.vault import Vault

AT = 1_795_000_000_000_000_000


def kept(call: str) -> Kept:
    return Kept(call, AT, b"asked", b"HTTP/1.1 200 OK\r\n\r\nanswered", 5, 27)


def names(folder: Path, vault: Vault) -> list[str]:
    return [one.call for path in sorted(folder.rglob("*.log")) for one in frames(path, vault)]


def test_half_a_frame_hides_none_that_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(b"m" * 32)
    store = ContentStore(tmp_path, "g0", vault)
    store.keep(1, kept("a"))
    with monkeypatch.context() as full:
        real = os.write
        full.setattr(content.os, "write", lambda handle, data: real(handle, data[:9]))
        store.keep(1, kept("b"))  # the disk takes nine bytes
    store.keep(1, kept("c"))
    assert names(tmp_path, vault) == ["a", "c"]
    ContentStore(tmp_path, "g0", vault).keep(1, kept("d"))  # another run finds the key of before
    assert names(tmp_path, vault) == ["a", "c", "d"]


def test_a_damaged_key_costs_its_file_and_nothing_else(tmp_path: Path) -> None:
    vault = Vault(b"m" * 32)
    ContentStore(tmp_path, "g0", vault).keep(1, kept("a"))
    next(tmp_path.rglob("*.key")).write_text("no key")
    ContentStore(tmp_path, "g0", vault).keep(1, kept("b"))  # said in the log, and the call goes on
    assert names(tmp_path, vault) == []
    ContentStore(tmp_path, "g1", vault).keep(1, kept("c"))
    assert names(tmp_path, vault) == ["c"]


def test_a_frame_cut_by_a_crash_ends_the_file(tmp_path: Path) -> None:
    vault = Vault(b"m" * 32)
    store = ContentStore(tmp_path, "g0", vault)
    for call in "abc":
        store.keep(1, kept(call))
    path = next(tmp_path.rglob("*.log"))
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert names(tmp_path, vault) == list("abc")[: end * 3 // len(whole)]
