"""Who may do what: every route against every role; sessions, links, tokens, tries; nothing is open by accident."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from baseload import store
from baseload.console.app import pages
from baseload.control.app import build, doors
from baseload.control.people import identity, sessions, totp
from baseload.control.people.roles import MAY, MEMBER, ROLES, ROUTES, needed
from baseload.control.services import people
from baseload.errors import Refusal
from baseload.store import tables as t

PASSWORD = "three quiet load curves"
SAME = {"sec-fetch-site": "same-origin"}
OPEN_PAGES = ("/console/oidc/", "/console/sign-in", "/console/link", "/console/language", "/console/assets/")


@pytest.fixture
def desk(context: Any) -> Desk:
    return Desk(context)


class Desk:
    """The control plane with its pages, through TCP's door."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.app = doors(context, pages)[1]
        people_add = people.add(context, "test", name="ada", role="owner", account="")
        self.cookie("ada", people_add["link"])

    def client(self, cookie: str = "", token: str = "") -> TestClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        cookies = {"session": cookie} if cookie else {}
        return TestClient(self.app, raise_server_exceptions=False, headers=headers, cookies=cookies)

    def cookie(self, name: str, link: str) -> str:
        return people.by_link(self.context, link=link, name=name, password=PASSWORD, agent="test")

    def role(self, role: str) -> TestClient:
        account = "default" if role == MEMBER else ""
        made = people.make_token(self.context, "test", name=role, role=role, account=account, expires_days=0)
        return self.client(token=made["token"])


def routes(context: Any) -> list[tuple[str, str]]:
    app = build(context, pages)
    found = []
    stack: list[Any] = list(app.routes)
    while stack:
        route = stack.pop()
        stack += list(getattr(getattr(route, "original_router", None), "routes", []))
        if isinstance(route, APIRoute):
            found += [(method, route.path) for method in route.methods if method != "HEAD"]
    return found


def test_every_route_of_the_api_has_a_permission_and_every_permission_a_route(context: Any) -> None:
    """A new route fails this until someone decides who may use it; until then it is closed."""
    api = {(method, path) for method, path in routes(context) if path.startswith("/api")}
    assert len(api) > 60
    assert api == set(ROUTES)
    assert set(ROUTES.values()) | {"call"} == set(MAY)  # calls are made from pages
    assert needed("GET", "/api/something-new") is None


def test_every_route_against_every_role(desk: Desk) -> None:
    for role in ROLES:
        client = desk.role(role)
        for (method, template), permission in ROUTES.items():
            path = re.sub(r"{\w+}", "nothing-of-that-name", template)
            reply = client.request(method, path, params={"account": "default"} if method == "GET" else None)
            forbidden = reply.status_code == 403 and reply.json()["error"]["code"] == "forbidden"
            assert forbidden == (role not in MAY[permission]), f"{role} {method} {template}: {reply.text[:200]}"


def test_without_a_token_or_a_session_nothing_answers_but_the_open_pages(desk: Desk, context: Any) -> None:
    client = desk.client()
    for method, template in routes(context):
        path = re.sub(r"{\w+(:path)?}", "x", template)
        reply = client.request(method, path, follow_redirects=False)
        if path in ("/", "/healthz") or path.startswith(("/hooks/", *OPEN_PAGES)):
            continue
        if path.startswith("/console") and method == "GET":
            assert reply.status_code == 303, path
            assert reply.headers["location"].startswith("/console/sign-in?next=/console")
        else:
            assert reply.status_code == 401, f"{method} {path}"


def test_a_member_names_its_own_account_or_one_below(desk: Desk) -> None:
    owner = desk.role("owner")
    for name, parent in (("child", "default"), ("other", "")):
        made = owner.post("/api/accounts", json={"name": name, "parent": parent})
        assert made.status_code == 201
    member = desk.role(MEMBER)
    for path in ("/api/usage", "/api/calls", "/api/keys", "/api/balances", "/api/bill"):
        assert member.get(path, params={"account": "default"}).status_code == 200, path
        assert member.get(path, params={"account": "child"}).status_code == 200, path
        for params in ({"account": "other"}, {}, {"account": ""}):
            assert member.get(path, params=params).status_code == 403, path


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
                                     {"origin": "http://evil.test"}, {}])  # fmt: skip
def test_what_a_session_changes_must_come_from_our_own_pages(desk: Desk, headers: dict[str, str]) -> None:
    cookie = people.sign_in(desk.context, name="ada", password=PASSWORD, address="a", agent="")
    client = desk.client(cookie)
    reply = client.post("/api/accounts", json={"name": "evil"}, headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (403, "cross_site")
    assert client.get("/api/accounts", headers=headers).status_code == 200  # reading answers to nobody but the browser
    for same in (SAME, {"origin": "http://testserver"}):
        name = f"good-{len(same)}{next(iter(same))[:3]}"
        assert client.post("/api/accounts", json={"name": name}, headers=same).status_code == 201
    assert desk.role("owner").post("/api/accounts", json={"name": "tool"}, headers=headers).status_code == 201


def test_a_session_ends_when_it_is_idle_old_signed_out_or_its_person_changed(desk: Desk) -> None:
    context = desk.context
    engine, vault, now = context.engine, context.vault, time.time_ns()
    cookie = people.sign_in(context, name="ada", password=PASSWORD, address="a", agent="\x00evil\nagent")
    for at in (now, now + sessions.IDLE_NS - sessions.SECOND):
        who = sessions.of_cookie(engine, vault, cookie, at)
        assert who is not None
        assert (who.name, who.role) == ("ada", "owner")
    assert sessions.of_cookie(engine, vault, cookie, now + 2 * sessions.IDLE_NS + sessions.SECOND) is None
    at = now  # used all the time: it ends all the same
    while at < now + sessions.WHOLE_NS - sessions.IDLE_NS:
        at += sessions.IDLE_NS // 2
        assert sessions.of_cookie(engine, vault, cookie, at) is not None
    assert sessions.of_cookie(engine, vault, cookie, now + sessions.WHOLE_NS + 60 * sessions.SECOND) is None
    second = people.sign_in(context, name="ada", password=PASSWORD, address="a", agent="")
    assert second != cookie
    client = desk.client(second)
    assert client.get("/api/session").json()["session"]["name"] == "ada"
    assert client.delete("/api/session", headers=SAME).status_code == 200
    assert desk.client(second).get("/api/session").status_code == 401
    people.add(context, "test", name="bob", role="operator", account="")
    third = desk.cookie("bob", people.link_for(context, "test", "bob"))
    people.change(context, "test", "bob", role="auditor", account=None, disabled=None)
    assert desk.client(third).get("/api/session").status_code == 401
    people.change(context, "test", "bob", role=None, account=None, disabled=True)
    with pytest.raises(Refusal, match="wrong"):
        people.sign_in(context, name="bob", password=PASSWORD, address="a", agent="")


def test_secrets_are_stored_as_keyed_hashes_only(desk: Desk) -> None:
    context = desk.context
    cookie = people.sign_in(context, name="ada", password=PASSWORD, address="a", agent="")
    token = people.make_token(context, "test", name="x", role="auditor", account="", expires_days=1)["token"]
    link = people.link_for(context, "test", "ada")
    with store.reading(context.engine) as connection:
        rows = [str(tuple(row)) for table in (t.people, t.sessions, t.api_tokens, t.links, t.audit)
                for row in connection.execute(table.select())]  # fmt: skip
    assert not [row for row in rows if any(secret in row for secret in (cookie, token, link, PASSWORD))]


def test_a_link_is_good_once_and_the_first_owner_is_made_once(context: Any) -> None:
    link = people.link_for_first(context, "test")
    with pytest.raises(Refusal, match="at least 12"):
        people.by_link(context, link=link, name="ada", password="short", agent="")
    with pytest.raises(Refusal, match="cannot be a name"):
        people.by_link(context, link=link, name="Ada Lovelace!", password=PASSWORD, agent="")
    again = people.link_for_first(context, "test")  # a newer one: the older stops
    with pytest.raises(Refusal, match="used, has expired"):
        people.by_link(context, link=link, name="ada", password=PASSWORD, agent="")
    assert people.by_link(context, link=again, name="ada", password=PASSWORD, agent="")
    with pytest.raises(Refusal, match="used, has expired"):
        people.by_link(context, link=again, name="eve", password=PASSWORD, agent="")
    assert people.link_for_first(context, "test") == ""
    now = time.time_ns()
    with store.writing(context.engine) as connection:
        old = sessions.make_link(connection, context.vault, None, now - sessions.LINK_NS - 1)
        with pytest.raises(Refusal):
            sessions.take_link(connection, context.vault, old, now)


def test_the_last_owner_stays(desk: Desk) -> None:
    for change in ({"role": "auditor", "disabled": None}, {"role": None, "disabled": True}):
        with pytest.raises(Refusal, match="last owner"):
            people.change(desk.context, "test", "ada", account=None, **change)
    assert people.sign_in(desk.context, name="ada", password=PASSWORD, address="a", agent="")


def test_tries_are_slowed_down_by_name_and_by_address_and_over_a_restart(desk: Desk) -> None:
    engine, now = desk.context.engine, time.time_ns()

    def attempt(name: str, address: str, at: int, password: str = "wrong wrong wrong") -> str:
        try:
            identity.sign_in(engine, name, password, address, at)
        except Refusal as refusal:
            return str(refusal.code)
        return "in"

    for _ in range(identity.FREE_TRIES + 1):
        assert attempt("ada", "1.1.1.1", now) == "sign_in_wrong"
    assert attempt("ada", "2.2.2.2", now, PASSWORD) == "sign_in_slow"  # whoever asks: the name is held back
    assert attempt("ada", "2.2.2.2", now + identity.WAIT_MAX_S * sessions.SECOND, PASSWORD) == "in"  # but not for long
    for number in range(identity.FREE_TRIES * 10 + 1):
        assert attempt(f"nobody{number}", "3.3.3.3", now) == "sign_in_wrong"
    assert attempt("ada", "3.3.3.3", now, PASSWORD) == "sign_in_slow"
    assert attempt("ada", "4.4.4.4", now, PASSWORD) == "in"


def test_a_token_has_a_role_an_end_and_can_be_revoked(desk: Desk) -> None:
    owner = desk.role("owner")
    made = owner.post("/api/tokens", json={"name": "grafana", "role": "auditor", "expires_days": 1}).json()["token"]
    reader = desk.client(token=made["token"])
    assert reader.get("/api/audit").status_code == 200
    assert reader.post("/api/accounts", json={"name": "x"}).status_code == 403
    later = time.time_ns() + 86_400 * sessions.SECOND + 1
    assert sessions.of_token(desk.context.engine, desk.context.vault, made["token"], later) is None
    assert owner.delete(f"/api/tokens/{made['id']}").json() == {"revoked": True}
    assert owner.delete(f"/api/tokens/{made['id']}").json() == {"revoked": False}
    assert reader.get("/api/audit").status_code == 401
    wrong = owner.post("/api/tokens", json={"name": "x", "role": "member"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "role_wrong")


@pytest.mark.parametrize(
    "after", ["//evil.test", "https://evil.test", "/console//evil", "/console\\evil", "javascript:1"]
)
def test_signing_in_leads_to_our_own_pages_only(desk: Desk, after: str) -> None:
    form = {"name": "ada", "password": PASSWORD, "next": after}
    reply = desk.client().post("/console/sign-in", data=form, headers=SAME, follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (303, "/console/")
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    over_tls = {**SAME, "x-forwarded-proto": "https"}
    reply = desk.client().post("/console/sign-in", data=form, headers=over_tls, follow_redirects=False)
    assert reply.headers["set-cookie"].startswith("__Host-session=")
    assert "Secure" in reply.headers["set-cookie"]


# RFC 6238, appendix B (SHA-1, 8 digits, the secret "12345678901234567890")
RFC = [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
       (2000000000, "69279037"), (20000000000, "65353130")]  # fmt: skip


@pytest.mark.parametrize(("at_s", "code"), RFC)
def test_codes_of_a_device_are_those_of_the_rfc(at_s: int, code: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp.code_at(secret, at_s // 30, 8) == code
    now = at_s * 10**9
    assert totp.step_of(secret, code[2:], now, 0) == at_s // 30
    assert totp.step_of(secret, code[2:], now, at_s // 30) is None  # never twice
    assert totp.step_of(secret, code[2:], now + 61 * 10**9, 0) is None
    assert totp.step_of(secret, code, now, 0) is None


def test_with_a_device_a_password_is_not_enough_and_a_code_is_good_once(desk: Desk) -> None:
    context = desk.context
    ada = people.verifiers(context)[1](people.sign_in(context, name="ada", password=PASSWORD, address="a", agent=""))
    assert ada is not None
    secret = totp.new_secret()

    def code(ahead: int = 0) -> str:
        return totp.code_at(secret, time.time_ns() // totp.STEP_NS + ahead)

    with pytest.raises(Refusal, match="not the code"):
        people.add_device(context, ada, secret=secret, code="000000" if code() != "000000" else "000001")
    recovery = people.add_device(context, ada, secret=secret, code=code(-1))
    assert len(set(recovery)) == totp.RECOVERY
    other = totp.new_secret()
    its_code = totp.code_at(other, time.time_ns() // totp.STEP_NS)
    with pytest.raises(Refusal, match="already"):  # whoever has stolen a session cannot put a device of their own
        people.add_device(context, ada, secret=other, code=its_code)

    def first() -> str:
        with pytest.raises(people.CodeNeeded) as needed:
            people.sign_in(context, name="ada", password=PASSWORD, address="a", agent="")
        return needed.value.pending

    def second(pending: str, typed: str) -> str:
        return people.second_step(context, pending=pending, code=typed, address="a", agent="")

    pending = first()
    used = code()
    assert second(pending, f"{used[:3]} {used[3:]}")
    for wrong in (used, "", "x" * 500, recovery[0] + "x"):
        with pytest.raises(Refusal, match="wrong"):
            second(first(), wrong)
        identity.forget_tries(context.engine, "ada", "a")
    assert second(first(), recovery[0].upper())
    with pytest.raises(Refusal, match="wrong"):
        second(first(), recovery[0])
    identity.forget_tries(context.engine, "ada", "a")
    number, expires, mark = first().split(".")
    people.add(context, "test", name="eve", role="owner", account="")
    forgeries = (f"2.{expires}.{mark}", f"{number}.{int(expires) + 1}.{mark}", f"{number}.{expires}.", "..", "1", "",
                 f"{number}.{expires}.\u00e9", f"{'9' * 40}.{expires}.{mark}")  # fmt: skip
    for forged in forgeries:
        with pytest.raises(Refusal, match="wrong"):
            second(forged, recovery[1])
    for _ in range(identity.FREE_TRIES):  # codes are six digits: they cannot be tried for long
        with pytest.raises(Refusal):
            second(first(), "000000")
    with pytest.raises(Refusal, match="Too many tries"):
        people.sign_in(context, name="ada", password=PASSWORD, address="b", agent="")
    cookie = desk.cookie("ada", people.link_for(context, "test", "ada"))  # a link is for who has lost the device
    identity.forget_tries(context.engine, "ada", "a")
    assert desk.client(cookie).get("/api/session").status_code == 200
    assert people.sign_in(context, name="ada", password=PASSWORD, address="a", agent="")
