"""A service account becomes a token: the assertion against google-auth's own reader, and every wrong file."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import google.auth.jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import ProviderFault, Refusal
from baseload.providers.google_auth import SCOPE, assertion, read_account, read_token, token_request

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FILE = {
    "type": "service_account",
    "project_id": "acme-1",
    "private_key_id": "kid-1",
    "private_key": PEM,
    "client_email": "svc@acme-1.iam.gserviceaccount.com",
    "client_id": "1234567890",
    "token_uri": "https://oauth2.googleapis.com/token",
    "universe_domain": "googleapis.com",
}
AT_S = 1_795_176_000.9


def test_the_assertion_is_what_google_reads():
    account = read_account(json.dumps(FILE))
    signed = assertion(account, AT_S)
    claims = google.auth.jwt.decode(signed, certs=PUBLIC, verify=False)
    assert claims == {
        "iss": FILE["client_email"],
        "scope": SCOPE,
        "aud": FILE["token_uri"],
        "iat": 1_795_176_000,
        "exp": 1_795_179_600,
    }
    header, _, _, _ = google.auth.jwt._unverified_decode(signed)
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}


def test_the_signature_holds_and_a_changed_claim_breaks_it():
    account = read_account(json.dumps(FILE))
    signed = assertion(account, AT_S, "https://example.com/scope")
    _, _, covered, signature = google.auth.jwt._unverified_decode(signed)
    assert google.auth.crypt.verify_signature(covered, signature, PUBLIC)
    assert not google.auth.crypt.verify_signature(covered + b"x", signature, PUBLIC)


def test_the_token_request():
    account = read_account(json.dumps(FILE))
    url, body = token_request(account, b"a.b.c")
    assert url == "https://oauth2.googleapis.com/token"
    assert parse_qs(body.decode()) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "assertion": ["a.b.c"],
    }


def test_the_key_shows_nowhere():
    account = read_account(json.dumps(FILE))
    assert "PRIVATE" not in repr(account)
    assert "PRIVATE" not in f"{[account]}"


def _ec_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": "authorized_user"}, "authorized_user"),
        ({"type": ""}, "no type"),
        ({"client_email": ""}, "client_email"),
        ({"private_key": ""}, "private_key"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"}, "no PEM key"),
        ({"private_key": _ec_key()}, "no RSA key"),
        ({"private_key": 7}, "not the JSON"),
        ({"token_uri": "http://evil.example/token"}, "token_uri"),
        ({"token_uri": "file:///etc/passwd"}, "token_uri"),
        ({"token_uri": "https://[bad"}, "token_uri"),
    ],
)
def test_a_wrong_file_says_what_is_wrong_and_not_what_is_in_it(change: dict[str, Any], says: str):
    with pytest.raises(Refusal) as caught:
        read_account(json.dumps({**FILE, **change}))
    assert says in caught.value.say
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("text", ["", "sk-123", "[]", "null", "{", "[" * 100_000, "\ud800"])
def test_what_is_no_key_file_at_all(text: str):
    with pytest.raises(Refusal):
        read_account(text)


def test_a_simulator_on_this_machine_may_be_asked_without_tls():
    account = read_account(json.dumps({**FILE, "token_uri": "http://127.0.0.1:8999/token"}))
    assert token_request(account, b"x")[0] == "http://127.0.0.1:8999/token"


def test_a_token_and_how_long_it_is_good():
    assert read_token(b'{"access_token":"ya29.x-y","expires_in":3599,"token_type":"Bearer"}') == ("ya29.x-y", 3599)
    assert read_token(b'{"access_token":"t","expires_in":"120"}') == ("t", 120)
    assert read_token(b'{"access_token":"t"}') == ("t", 3600)
    assert read_token(b'{"access_token":"t","expires_in":-5}') == ("t", 3600)
    assert read_token(b'{"access_token":"t","expires_in":1e300}') == ("t", 3600)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}', "bad_key", "Invalid JWT Signature"),
        (b'{"error":"invalid_client"}', "bad_key", "invalid_client"),
        (b'{"error":{"code":503,"status":"UNAVAILABLE","message":"x"}}', "unavailable", "UNAVAILABLE"),
        (b'{"error":"internal_failure"}', "unavailable", "internal_failure"),
        (b'{"error":["x"]}', "bad_key", "no reason"),
        (
            b'{"error":"invalid_grant","error_description":"svc@acme.iam.example.com gone"}',
            "bad_key",
            "[email]",
        ),
        (b"<html>", "garbage", "no token"),
        (b"", "garbage", "no token"),
        (b"{}", "garbage", "access_token"),
        (b'{"access_token":"a\\r\\nx-evil: 1"}', "garbage", "access_token"),
        (b'{"access_token":5}', "garbage", ""),
    ],
)
def test_no_token(body: bytes, kind: str, says: str):
    with pytest.raises(ProviderFault) as caught:
        read_token(body)
    assert caught.value.fault == kind
    assert says in caught.value.say


@given(st.binary(max_size=200))
def test_no_reply_of_the_endpoint_raises_anything_else(body: bytes):
    try:
        token, life_s = read_token(body)
    except ProviderFault:
        return
    assert token
    assert life_s > 0
