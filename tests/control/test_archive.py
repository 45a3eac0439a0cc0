"""The archive through the admin API: lines of JSON, a row in the audit, and no folder of a stranger's choice."""

from __future__ import annotations

import json

import pytest
from tests.ledger import support as s

from baseload.control.services import archive as service
from baseload.ledger.settle import Settler

DAYS = {"since": "2026-09-21", "until": "2026-09-23"}
DAY = 24 * s.HOUR


@pytest.fixture
def used(context, owner, tmp_path):
    """Two days with a reading each."""
    s.journal(tmp_path / "g", *(s.reading(f"c{day}", input=1, accepted_ns=s.T0 + day * DAY) for day in range(2)))
    Settler(context.engine).drain(tmp_path / "g", "g1")
    return owner


def lines(reply):
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in reply.text.splitlines() if line]


def acts(context):
    return [row for row in s.table(context.engine, "audit", "action, subject, actor") if row[0] == "archive"]


def test_days_are_written_noted_and_proved(used, context):
    made = lines(used.post("/api/archive", json=DAYS))
    assert [(each["day"], each["readings"], each["made"]) for each in made] == [
        ("2026-09-21", 1, True), ("2026-09-22", 1, True),
    ]  # fmt: skip
    assert [each["made"] for each in lines(used.post("/api/archive", json={"until": "2026-09-23"}))] == [False, False]
    noted = used.get("/api/archive").json()["archives"]
    assert [(each["file"], each["sha256"], each["actor"]) for each in noted] == [
        (each["file"], each["sha256"], "socket") for each in made
    ]
    assert acts(context) == [("archive", each["file"], "socket") for each in made]
    assert lines(used.get("/api/archive/verify")) == []
    folder = context.home.path / "archive"
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / made[0]["file"]).unlink()
    assert [fault["check"] for fault in lines(used.get("/api/archive/verify"))] == ["missing"]


def test_parts_of_days_are_left_out(used):
    made = lines(used.post("/api/archive", json={"since": "2026-09-20T23:00:00Z", "until": "2026-09-22T23:00:00Z"}))
    assert [each["day"] for each in made] == ["2026-09-21"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"until": "2999-01-01"}, 409, "period_open"),
        ({"until": "2026-09-21T23:00:00Z", "since": "2026-09-21"}, 400, "days_wrong"),
        ({"until": "soon"}, 400, "instant_wrong"),
        ({**DAYS, "folder": "here"}, 400, "archive_folder"),
        ({**DAYS, "folder": "/dev/null/x"}, 400, "archive_folder"),
        ({}, 422, "request_wrong"),
    ],
)
def test_what_is_wrong_is_refused_before_a_line_is_sent(used, context, body, status, code):
    reply = used.post("/api/archive", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert acts(context) == []


def test_a_folder_is_named_by_the_owner_of_the_home_only(used, outside, secrets, tmp_path):
    asked = {**DAYS, "folder": str(tmp_path / "elsewhere")}
    token = {"authorization": f"Bearer {secrets['admin_token']}"}
    assert outside.post("/api/archive", json=asked).status_code == 401
    for reply in (
        outside.post("/api/archive", json=asked, headers=token),
        outside.get("/api/archive/verify", params={"folder": "/etc"}, headers=token),
    ):
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "socket_only")
    assert not (tmp_path / "elsewhere").exists()
    assert len(lines(outside.post("/api/archive", json=DAYS, headers=token))) == 2
    assert len(lines(used.post("/api/archive", json=asked))) == 2
    assert len(list((tmp_path / "elsewhere").glob("*.parquet"))) == 2


def test_what_goes_wrong_later_is_the_last_line_and_a_long_wait_is_not_silent(used, context, monkeypatch):
    monkeypatch.setattr(service, "QUIET_S", 0.0)
    held = context.home.path / "archive" / "readings-2026-09-22.parquet"
    assert "\n\n" in used.post("/api/archive", json=DAYS).text
    held.unlink()
    monkeypatch.setattr("baseload.ledger.archive_files.Staging.write", lambda _: 1 / 0)
    *before, last = lines(used.post("/api/archive", json=DAYS))
    assert [each["day"] for each in before] == ["2026-09-21"]
    assert last["error"]["code"] == "internal"
    assert "division" not in json.dumps(last)
