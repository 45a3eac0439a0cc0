"""`baseload archive` against a real control plane."""

from __future__ import annotations

import pytest
from tests.ledger import support as s

from baseload import store
from baseload.ledger.settle import Settler

DAY = 24 * s.HOUR


@pytest.fixture
def used(control, tmp_path):
    """Beside the running control plane, as its settlement would: two days with a reading each."""
    engine = store.open(f"sqlite:///{control.cli.home}/baseload.db")
    s.journal(tmp_path / "g", *(s.reading(f"c{day}", input=1, accepted_ns=s.T0 + day * DAY) for day in range(2)))
    Settler(engine).drain(tmp_path / "g", "g1")
    store.dispose(engine)
    return control.cli


def test_from_the_first_file_to_a_damaged_one(used, control, tmp_path, monkeypatch):
    run, folder = used, tmp_path / "files"
    monkeypatch.chdir(tmp_path)
    done = run("archive", "--until", "2026-09-23", "--folder", "files")
    assert (done.code, [(row["day"], row["readings"], row["made"]) for row in done.rows]) == (
        0, [("2026-09-21", "1", "yes"), ("2026-09-22", "1", "yes")],
    )  # fmt: skip
    assert "readings-2026-09-22.parquet" in done.err
    again = run("archive", "--since", "2026-09-22", "--until", "2026-09-23", "--folder", str(folder), "--json")
    assert [day["made"] for day in again.json["days"]] == [False]
    assert [row["file"] for row in run("archive", "list").rows] == [row["file"] for row in done.rows]
    clean = run("archive", "verify", "--folder", "files")
    assert (clean.code, clean.rows) == (0, [])
    (folder / done.rows[0]["file"]).write_bytes(b"other")
    wrong = run("archive", "verify", "--folder", "files", "--json")
    assert (wrong.code, [(fault["check"], fault["file"]) for fault in wrong.json["faults"]]) == (
        8, [("changed", "readings-2026-09-21.parquet")],
    )  # fmt: skip
    assert run("archive", "verify", "--folder", str(tmp_path / "nowhere")).code == 3
    assert run("archive", "--until", "2999-01-01").code == 1
    remote = {"BASELOAD_URL": control.url, "BASELOAD_TOKEN": control.token}
    assert run("archive", "--until", "2026-09-23", "--folder", "files", **remote).code == 4
    assert "Example" in run("archive", "--help").out
