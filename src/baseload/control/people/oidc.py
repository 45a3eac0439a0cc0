"""OpenID Connect, the code flow with PKCE: the address to send a browser to, and who comes back.

In:     a declared provider, where we are, what the browser brings back. Out: verified claims, or Refusal `oidc_failed`.
Tokens are verified by joserfc (signature by the provider's keys, never `none`; iss, aud, exp, nonce). State, nonce and
verifier travel in a sealed cookie, so nothing is kept for who never comes back.
Sources: OpenID Connect Core 1.0 (3.1), Discovery 1.0; RFC 7636 (PKCE), RFC 9207 (iss in the answer).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from baseload.control.config import OidcConf
from baseload.errors import Refusal
from baseload.gateway.vault import Vault

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TIMEOUT_S = 10.0
BEGUN_S = 600  # to sign in there
CACHED_S = 600
LEEWAY_S = 60
_known: dict[str, tuple[float, dict[str, Any], KeySet]] = {}


class Failed(Refusal):
    code, status = "oidc_failed", 401

    def __init__(self, why: str) -> None:
        super().__init__(f"Signing in there failed: {why}.", "Try again, or ask who runs this grid.")


def begin(vault: Vault, conf: OidcConf, redirect: str, after: str) -> tuple[str, str]:
    """(the provider's address, the sealed cookie)."""
    facts, _ = _discovered(conf)
    state, nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    kept = {"name": conf.name, "state": state, "nonce": nonce, "verifier": verifier, "after": after,
            "until": time.time() + BEGUN_S}  # fmt: skip
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code", "client_id": conf.client_id, "redirect_uri": redirect, "state": state, "nonce": nonce,
        "scope": " ".join(conf.scopes), "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    address = str(facts["authorization_endpoint"])
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}", vault.seal(json.dumps(kept))


def end(vault: Vault, conf: OidcConf, redirect: str, cookie: str, query: dict[str, str]) -> tuple[dict[str, Any], str]:
    """(the claims of the ID token, where to go then)."""
    try:
        kept = json.loads(vault.resolve(cookie)) if cookie.startswith("sealed:") else {}
    except (Refusal, ValueError):
        kept = {}
    if kept.get("name") != conf.name or kept.get("until", 0) < time.time():
        raise Failed("it was not begun in this browser, or took too long")
    if not hmac.compare_digest(str(kept["state"]).encode(), query.get("state", "").encode()):
        raise Failed("the answer is for another attempt")
    if query.get("iss", conf.issuer).rstrip("/") != conf.issuer.rstrip("/"):
        raise Failed("the answer is from another provider")
    if query.get("error") or not query.get("code"):
        raise Failed(f"the provider says {query.get('error', 'nothing')[:60]!r}")
    facts, keys = _discovered(conf)
    form = {
        "grant_type": "authorization_code", "code": query["code"], "redirect_uri": redirect,
        "client_id": conf.client_id, "code_verifier": str(kept["verifier"]),
    }  # fmt: skip
    answer = _asked(str(facts["token_endpoint"]), form, vault.resolve(conf.client_secret), conf)
    token, nonce = str(answer.get("id_token", "")), str(kept["nonce"])
    try:
        claims = _verified(conf, token, nonce, keys)
    except Failed:
        _known.pop(conf.issuer, None)  # its keys may have changed since they were read
        claims = _verified(conf, token, nonce, _discovered(conf)[1])
    return claims, str(kept["after"])


def _verified(conf: OidcConf, token: str, nonce: str, keys: KeySet) -> dict[str, Any]:
    try:
        claims = dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
        jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S, iss={"essential": True, "value": conf.issuer}, sub={"essential": True},
            aud={"essential": True, "value": conf.client_id}, exp={"essential": True}, iat={"essential": True},
        ).validate(claims)  # fmt: skip
    except (JoseError, ValueError, TypeError) as error:
        raise Failed(f"its token is not valid ({type(error).__name__})") from error
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise Failed("its token is for another attempt")
    if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != conf.client_id:
        raise Failed("its token is for another client")
    return claims


def _discovered(conf: OidcConf) -> tuple[dict[str, Any], KeySet]:
    """The provider's own words about itself, and its keys; asked anew after CACHED_S."""
    known = _known.get(conf.issuer)
    if known is not None and time.monotonic() - known[0] < CACHED_S:
        return known[1], known[2]
    facts = _read(f"{conf.issuer.rstrip('/')}/.well-known/openid-configuration", conf)
    if facts.get("issuer") != conf.issuer:
        raise Failed("the provider calls itself otherwise than [[oidc]] says")
    lacking = [name for name in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not facts.get(name)]
    if lacking:
        raise Failed(f"the provider names no {lacking[0]}")
    try:
        keys = KeySet.import_key_set(_read(str(facts["jwks_uri"]), conf))  # type: ignore[arg-type]
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise Failed("the provider's keys cannot be read") from error
    _known[conf.issuer] = (time.monotonic(), facts, keys)
    return facts, keys


def _read(url: str, conf: OidcConf) -> dict[str, Any]:
    return _answer("GET", url, conf, None)


def _asked(url: str, form: dict[str, str], secret: str, conf: OidcConf) -> dict[str, Any]:
    return _answer("POST", url, conf, {**form, "client_secret": secret} if secret else form)


def _answer(method: str, url: str, conf: OidcConf, form: dict[str, str] | None) -> dict[str, Any]:
    import httpx  # a quarter second that a start need not wait for

    if not url.startswith("https://") and not conf.issuer.startswith("http://"):
        raise Failed("an address of the provider is not https")
    try:
        reply = httpx.request(method, url, data=form, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        found = reply.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Failed(f"the provider does not answer ({type(error).__name__})") from error
    if reply.status_code != 200 or not isinstance(found, dict):
        raise Failed(f"the provider answers {reply.status_code}")
    return found
