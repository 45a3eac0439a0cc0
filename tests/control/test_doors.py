"""Who may come in: the owner through the socket, everybody else with a token, nobody by a header."""

from __future__ import annotations

import json
import logging
import os
import stat

import pytest

from baseload import store
from baseload.control.__main__ import prepare, tcp_socket, unix_socket
from baseload.control.home import Home
from baseload.control.services import admin
from baseload.errors import Refusal

EVERYTHING = [
    ("GET", "/api/status"), ("GET", "/api/doctor"), ("GET", "/api/engine"), ("GET", "/api/accounts"),
    ("POST", "/api/accounts"), ("GET", "/api/keys"), ("POST", "/api/keys"), ("DELETE", "/api/keys/1"),
    ("GET", "/api/providers"), ("POST", "/api/providers"), ("POST", "/api/providers/x/test"), ("GET", "/api/offers"),
    ("POST", "/api/offers"), ("GET", "/api/prices"), ("POST", "/api/config/apply"), ("POST", "/api/config/diff"),
    ("POST", "/api/admin-token/rotate"), ("GET", "/api/internal/calls/x?account=1"), ("GET", "/api/openapi.json"),
    ("GET", "/api/nothing-here"), ("GET", "/docs"), ("POST", "/"), ("GET", "/healthz/"), ("GET", "/healthz/../api"),
    ("OPTIONS", "/api/status"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_without_a_token_everything_is_closed(outside, method, path):
    reply = outside.request(method, path)
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "token_missing"
    assert reply.headers["www-authenticate"] == "Bearer"


def test_open_to_all_are_health_and_a_page_that_says_nothing_of_this_home(outside, context, secrets):
    assert outside.get("/healthz").json() == {"ok": True}
    page = outside.get("/")
    assert page.status_code == 200
    assert "<script" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for private in (str(context.home.path), "smollm2", secrets["key"][:12], "8401"):
        assert private not in page.text


def test_the_token_opens_and_a_wrong_one_does_not(outside, secrets):
    token = secrets["admin_token"]
    assert outside.get("/api/status", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert outside.get("/api/status", headers={"authorization": f"bearer {token}"}).status_code == 200
    for wrong in (
        token[:-1],
        token + "x",
        token.upper(),
        "bl-admin-",
        secrets["key"],
        "",
        "' OR 1=1 --",
        "bl-admin-' OR 1=1 --",
    ):
        reply = outside.get("/api/status", headers={"authorization": f"Bearer {wrong}"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "token_wrong"), wrong
    assert outside.get("/api/status", headers={"authorization": f"Basic {token}"}).status_code == 401
    assert outside.get(f"/api/status?token={token}").status_code == 401
    two = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
    assert outside.get("/api/status", headers=two).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "baseload"},
        {"host": "localhost"},
        {"host": "control.sock"},
        {"host": "127.0.0.1:8401", "x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-host": "localhost", "forwarded": "for=unix:;host=localhost"},
        {"x-real-ip": "127.0.0.1", "x-original-url": "/healthz", "x-rewrite-url": "/healthz"},
        {"x-actor": "socket", "x-http-method-override": "GET"},
    ],
)
def test_lesson_66_no_header_makes_a_stranger_the_owner(outside, headers):
    for path in ("/api/keys", "/api/internal/calls/x?account=1"):
        assert outside.get(path, headers=headers).status_code == 401


def test_lesson_66_names_from_requests_are_bound_and_never_sql(owner, context):
    for hostile in ("x' OR '1'='1", "x'; DROP TABLE keys; --", "%", "\x00", "a" * 5000):
        assert owner.get("/api/accounts/" + hostile.replace("%", "%25").replace("\x00", "%00")).status_code == 404
        assert owner.post("/api/keys", json={"account": hostile}).status_code == 404
    assert len(owner.get("/api/keys").json()["keys"]) == 1


def test_what_gateways_ask_is_answered_on_the_socket_only(outside, owner, secrets):
    headers = {"authorization": f"Bearer {secrets['admin_token']}"}
    reply = outside.get("/api/internal/calls/call_x?account=1", headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "socket_only")
    assert owner.get("/api/internal/calls/call_x?account=1").status_code == 404


def test_errors_say_code_message_and_fix_and_never_repeat_a_secret(owner):
    unknown = owner.get("/api/accounts/nobody").json()["error"]
    assert unknown["code"] == "account_not_found"
    assert "nobody" in unknown["message"]
    assert "baseload accounts list" in unknown["fix"]
    body = {"vendor": "deepseek", "key": "sk-secret-text", "kye": 1}
    reply = owner.post("/api/providers", json=body)
    assert reply.status_code == 422
    assert reply.json()["error"]["param"] == "kye"
    assert "sk-secret-text" not in reply.text
    assert owner.post("/api/keys", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    assert owner.post("/api/keys", json={"name": "x" * (33 * 2**20)}).status_code == 413
    assert owner.get("/api/nothing").json()["error"]["code"] == "http_404"


def test_rotation_ends_the_old_token_at_once(owner, outside, secrets):
    fresh = owner.post("/api/admin-token/rotate").json()["token"]
    assert outside.get("/api/status", headers={"authorization": f"Bearer {secrets['admin_token']}"}).status_code == 401
    assert outside.get("/api/status", headers={"authorization": f"Bearer {fresh}"}).status_code == 200


def test_a_database_that_is_away_keeps_the_door_closed(outside, context, secrets):
    """Lesson 38, at this door: fail closed, and say what is the matter."""
    store.dispose(context.engine)
    for name in ("baseload.db", "baseload.db-wal", "baseload.db-shm"):
        (context.home.path / name).unlink(missing_ok=True)
    (context.home.path / "baseload.db").mkdir()
    reply = outside.get("/api/status", headers={"authorization": f"Bearer {secrets['admin_token']}"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "database_away")


def test_lesson_70_first_start_makes_one_time_secrets_and_never_again(context, restart, secrets, home):
    assert secrets["key"].startswith("sk-bl-")
    assert secrets["admin_token"].startswith("bl-admin-")
    path = home / "first-start.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    again = restart()
    assert not path.exists()
    assert admin.verify(again, secrets["admin_token"]) is not None
    assert admin.first_start(again) is False


def test_lesson_70_two_homes_share_no_secret(tmp_path, secrets):
    other = prepare(Home.at(tmp_path / "other"), "127.0.0.1", 8401, 0)
    store.dispose(other.engine)
    fresh = json.loads(other.home.first_start.read_text())
    assert fresh.keys() == secrets.keys()
    assert set(fresh.values()).isdisjoint(secrets.values())


def test_only_hashes_are_stored(context, secrets):
    store.dispose(context.engine)
    raw = b"".join(path.read_bytes() for path in context.home.path.glob("baseload.db*"))
    for secret in secrets.values():
        assert secret.encode() not in raw


def test_a_lost_secret_is_not_replaced_by_a_new_one(context, restart):
    context.home.secret.unlink()
    with pytest.raises(Refusal, match=r"secret\.key"):
        restart()


def test_the_socket_is_its_owners_from_the_first_moment(context):
    before = os.umask(0)
    try:
        sock = unix_socket(context.home)
    finally:
        os.umask(before)
    try:
        assert stat.S_IMODE(context.home.socket.stat().st_mode) == 0o600
        sock.listen()
        with pytest.raises(Refusal, match="Another control plane"):
            unix_socket(context.home)
    finally:
        sock.close()
    unix_socket(context.home).close()  # what a killed process left is replaced


def test_a_home_that_others_can_open_is_refused(home):
    home.chmod(0o755)
    with pytest.raises(Refusal, match="may be opened by others"):
        Home.at(home).make()


def test_a_database_that_is_none_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    (path / "baseload.db").write_text("garbage " * 200)
    with pytest.raises(Refusal, match="file is not a database") as refused:
        prepare(Home.at(path), "127.0.0.1", 0, 0)
    assert "backup" in refused.value.fix


def test_a_home_that_cannot_be_made_or_written_is_refused_without_a_traceback(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Refusal, match="cannot be made") as refused:
            Home.at(path).make()
        assert "--home" in refused.value.fix
    (tmp_path / "blocked").mkdir(mode=0o700)
    (tmp_path / "blocked" / "journal").write_text("")
    with pytest.raises(Refusal, match="cannot be written"):
        Home.at(tmp_path / "blocked").make()


def test_commands_we_suggest_can_be_pasted_whatever_the_path(tmp_path):
    assert Home.at(tmp_path / "my grid").option == f" --home '{tmp_path}/my grid'"


def test_a_path_too_long_for_a_socket_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(Refusal, match="shorter --home"):
        Home.at(tmp_path / ("x" * 120)).make()


def test_a_taken_port_is_a_clear_refusal():
    taken = tcp_socket("127.0.0.1", 0)
    taken.listen()
    try:
        with pytest.raises(Refusal, match=r"cannot listen on 127\.0\.0\.1"):
            tcp_socket("127.0.0.1", taken.getsockname()[1])
    finally:
        taken.close()


def test_no_secret_reaches_the_log(owner, caplog, secrets):
    caplog.set_level(logging.DEBUG)
    made = owner.post("/api/keys", json={}).json()["key"]["secret"]
    token = owner.post("/api/admin-token/rotate").json()["token"]
    owner.post("/api/providers", json={"vendor": "deepseek", "key": "sk-provider-secret"})
    for secret in (made, token, "sk-provider-secret", *secrets.values()):
        assert secret not in caplog.text
