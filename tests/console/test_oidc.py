"""Signing in by an identity provider: a real OpenID provider in a process of its own, a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from playwright.sync_api import Browser
from tests.console.browser import Window
from tests.e2e.grid import Grid, home_with, up
from tests.gateway.harness import free_port

from baseload.control.config import OidcConf, parse
from baseload.control.people import oidc
from baseload.control.services.sign_in import name_of, role_of
from baseload.errors import Refusal

PEOPLE = (
    {"sub": "u-1", "preferred_username": "Ada.L", "groups": ["staff", "grid-admins", "platform"]},
    {"sub": "u-2", "preferred_username": "mo", "groups": ["platform"]},
    {"sub": "u-3", "preferred_username": "eve", "groups": []},
    {"sub": "u-4", "preferred_username": "ada.l", "groups": ["platform"]},  # calls itself as another does
)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    words = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    for person in PEOPLE:
        words += ["--user-claims", json.dumps(person)]
    log = tmp_path_factory.mktemp("provider") / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 20
        while True:
            try:
                httpx.get(f"{url}/.well-known/openid-configuration").raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Iterator[Grid]:
    config = f"""
[engine]
enabled = false
[[oidc]]
name = "company"
issuer = "{issuer}"
client_id = "baseload"
client_secret = "file:HOME/client.secret"
roles = {{ grid-admins = "owner", platform = "auditor" }}
"""
    home = home_with(tmp_path_factory.mktemp("oidc"), config, client_secret="the-client-secret")
    with up(home) as started:
        yield started


def signed_in(browser: Browser, grid: Grid, subject: str) -> Window:
    window = Window(browser, str(grid.facts["control_url"]))
    page = window.go("/console/usage")  # nobody yet
    page.click("text=Sign in by company")
    page.fill("input[name=sub]", subject)
    page.click("button")
    page.wait_for_url(f"{window.url}/console/**")
    return window


def test_a_person_is_made_with_the_role_of_the_groups(browser: Browser, grid: Grid, issuer: str) -> None:
    window = Window(browser, str(grid.facts["control_url"]))
    window.go("/console/usage")
    window.sound("sign-in-provider")
    window.close()
    window = signed_in(browser, grid, "u-1")
    assert window.page.url.endswith("/console/usage")  # where they wanted to go
    assert window.page.locator(".foot .tag").text_content() == "owner"
    window.close()
    window = signed_in(browser, grid, "u-2")
    assert window.page.locator(".foot .tag").text_content() == "auditor"
    assert window.go("/console/people").locator("text=not for your role").count() == 1
    window.close()
    window = signed_in(browser, grid, "u-4")  # the same name is not the same person
    assert (window.page.text_content(".foot a") or "").strip() == "ada.l-2"
    assert window.page.locator(".foot .tag").text_content() == "auditor"
    window.close()
    known = {one["name"]: one for one in grid.json("people", "list")["people"]}
    assert {name: known[name]["role"] for name in ("ada.l", "mo", "ada.l-2")} == {
        "ada.l": "owner", "mo": "auditor", "ada.l-2": "auditor",
    }  # fmt: skip


def test_who_has_no_role_and_who_is_disabled_stay_out(browser: Browser, grid: Grid) -> None:
    window = signed_in(browser, grid, "u-3")
    assert window.page.locator("text=have no role here").count() == 1
    assert "eve" not in {one["name"] for one in grid.json("people", "list")["people"]}
    window.close()
    signed_in(browser, grid, "u-2").close()
    grid.run("people", "change", "mo", "--disabled")
    window = signed_in(browser, grid, "u-2")
    assert window.page.locator("text=You are not let in here").count() == 1
    window.close()


def test_the_role_follows_the_claims(browser: Browser, grid: Grid, issuer: str) -> None:
    first = signed_in(browser, grid, "u-4")
    reply = httpx.put(f"{issuer}/users/u-4", json={"preferred_username": "ada.l", "groups": ["grid-admins"]})
    assert reply.status_code < 300, reply.text
    second = signed_in(browser, grid, "u-4")
    assert second.page.locator(".foot .tag").text_content() == "owner"
    assert "/console/sign-in" in first.go("/console/").url  # the session of the old role has ended
    first.close()
    second.close()


def test_answers_that_are_not_for_this_browser_are_refused(grid: Grid, issuer: str) -> None:
    url = str(grid.facts["control_url"])
    with httpx.Client() as client:
        away = client.get(f"{url}/console/oidc/company?next=//evil.test")
        asked = parse_qs(urlsplit(away.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["redirect_uri"] == [f"{url}/console/oidc/company/back"]
        sealed = client.cookies["oidc"]
        state = asked["state"][0]
        for query, cookie in (
            (f"code=x&state={state}", ""), (f"code=x&state={state}", "sealed:AAAA"), ("code=x&state=other", sealed),
            (f"error=access_denied&state={state}", sealed), (f"code=forged&state={state}", sealed), ("", sealed),
            (f"code=x&state={state}&iss=https://evil.test", sealed),
        ):  # fmt: skip
            back = httpx.get(f"{url}/console/oidc/company/back?{query}", cookies={"oidc": cookie} if cookie else {})
            assert back.status_code == 401, query
            assert "session" not in back.headers.get("set-cookie", "")
        assert httpx.get(f"{url}/console/oidc/nobody").status_code == 404


KEY = RSAKey.generate_key(2048, {"kid": "a", "use": "sig"})
CONF = OidcConf(name="c", issuer="https://issuer.test", client_id="me")
GOOD = {"iss": "https://issuer.test", "aud": "me", "sub": "s", "nonce": "n"}


def token(**claims: object) -> str:
    now = int(time.time())
    return jwt.encode({"alg": "RS256", "kid": "a"}, {**GOOD, "iat": now, "exp": now + 60, **claims}, KEY)


def verified(text: str) -> dict[str, object]:
    return oidc._verified(CONF, text, "n", KeySet([KEY]))


def test_a_token_is_verified_whole() -> None:
    assert verified(token())["sub"] == "s"
    assert verified(token(aud=["me", "other"], azp="me"))["sub"] == "s"
    now = int(time.time())
    for wrong in (
        token(iss="https://evil.test"), token(aud="other"), token(nonce="m"), token(exp=now - 600),
        token(aud=["me", "other"]), token(aud=["me", "other"], azp="other"), token()[:-4] + "AAAA", "", "a.b.c",
        jwt.encode({"alg": "RS256", "kid": "a"}, {**GOOD, "iat": now, "exp": now + 60}, RSAKey.generate_key(2048)),
        "eyJhbGciOiJub25lIn0." + token().split(".")[1] + ".",
    ):  # fmt: skip
        with pytest.raises(Refusal):
            verified(wrong)


def test_roles_and_names() -> None:
    conf = OidcConf(name="c", issuer="https://i", client_id="x", roles={"a": "auditor", "b": "owner"}, role="finance")
    assert role_of(conf, {"groups": ["a", "b", "z"]}) == "owner"
    assert role_of(conf, {"groups": "a"}) == "auditor"
    assert role_of(conf, {"groups": {"b": 1}}) == "finance"
    assert role_of(conf, {}) == "finance"
    assert name_of(conf, {"sub": "1", "preferred_username": "Zoë Ö'Neil"}) == "zo-neil"
    assert name_of(conf, {"sub": "1", "email": "a@b.c"}) == "a@b.c"
    assert name_of(conf, {"sub": "!!!"}) == "person"


@pytest.mark.parametrize(
    "line",
    ['issuer = "http://login.example.com"', 'client_secret = "hunter2"', 'scopes = ["email"]', 'role = "king"',
     'role = "member"', 'roles = { a = "king" }', 'name = "../x"'],
)  # fmt: skip
def test_a_wrong_provider_is_refused_with_its_line(line: str) -> None:
    fields = {"name": 'name = "c"', "issuer": 'issuer = "https://login.example.com"', "client_id": 'client_id = "x"'}
    fields[line.partition(" ")[0]] = line
    with pytest.raises(Refusal, match=r"oidc\[1\]"):
        parse("[[oidc]]\n" + "\n".join(fields.values()) + "\n")
