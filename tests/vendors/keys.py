"""Who may call: each vendor's credentials, checked by own code.

Bearer                      most; `x-api-key` (Anthropic), `x-goog-api-key` or ?key= (Gemini), `api-key` (Azure)
a token of POST /token      Vertex: a JWT of the service account, RS256, is exchanged for it
SigV4                       Bedrock, with AWS_ID and AWS_SECRET; or a Bearer key
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.vendors.dialects import OTHERS
from tests.vendors.failures_shapes import dump
from tests.vendors.visit import JSON, Made, State, Visit, whole

AWS_ID, AWS_SECRET = "AKIASIMULATED00000001", "simulated/secret+key"  # of an account that does not exist
SERVICES = {"bedrock": "bedrock", "bedrock_mantle": "bedrock-mantle"}
EMAIL = "sim@p-1.iam.gserviceaccount.com"


def given(dialect: str, headers: dict[str, str], query: dict[str, str]) -> list[str]:
    """The keys of a request, in all places where this vendor looks."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    found = [bearer] if scheme.lower() == "bearer" else []
    places = {"gemini": "x-goog-api-key", "azure": "api-key", "azure_deployments": "api-key"}
    name = places.get(dialect, "x-api-key")
    if dialect != "vertex" and headers.get(name):
        found.append(headers[name])
    if dialect == "gemini" and query.get("key"):
        found.append(query["key"])
    return found


def allowed(dialect: str, key: str, state: State, method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """May this request be served? `key` = "": any key will do, but the vendors of other protocols want one."""
    bare, _, query_text = path.partition("?")
    if dialect == "vertex" and bare.endswith("/token"):
        return True
    if dialect in SERVICES and headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
        return sigv4(method, path, headers, body, service=SERVICES[dialect])
    keys = given(dialect, headers, dict(parse_qsl(query_text)))
    if dialect == "vertex":
        return any(state.valid(token) or (key and token == key) for token in keys)
    if key:
        return key in keys
    return bool(keys) or dialect not in OTHERS


# --- AWS Signature Version 4


def sigv4(method: str, path: str, headers: dict[str, str], body: bytes, *, service: str) -> bool:
    """Recomputes the signature of a request from AWS_SECRET, from the bytes that came."""
    parts = dict(
        item.strip().split("=", 1) for item in headers["authorization"].partition(" ")[2].split(",") if "=" in item
    )
    try:
        ident, date, region, named, _ = parts["Credential"].split("/")
        signed = parts["SignedHeaders"].split(";")
        stamp = headers["x-amz-date"]
        wanted = parts["Signature"]
    except (KeyError, ValueError):
        return False
    if ident != AWS_ID or named != service or not stamp.startswith(date) or "host" not in signed:
        return False
    bare, _, query = path.partition("?")
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(query, True))
    canonical = "\n".join(
        (
            method,
            quote(bare, safe="/-_.~"),  # the path as sent, encoded once more
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed),
            "",
            ";".join(signed),
            headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest(),
        )
    )
    if headers.get("x-amz-content-sha256", "") not in ("", hashlib.sha256(body).hexdigest()):
        return False
    scope = f"{date}/{region}/{named}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = f"AWS4{AWS_SECRET}".encode()
    for step in (date, region, named, "aws4_request"):
        secret = hmac.new(secret, step.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(secret, text.encode(), hashlib.sha256).hexdigest(), wanted)


# --- Google service accounts


@functools.cache
def _private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(token_uri: str) -> dict[str, str]:
    """The JSON file of a service account that `token_uri` accepts."""
    pem = _private().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "p-1",
        "private_key_id": "kid-1",
        "private_key": pem.decode(),
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": token_uri,
    }


def token(visit: Visit) -> Made:
    """POST /token: checks the JWT and issues a bearer token."""
    form = {name: values[0] for name, values in parse_qs(visit.raw.decode("latin-1")).items()}
    if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return whole({"error": "unsupported_grant_type"}, 400)
    wrong = _wrong(form.get("assertion", ""), visit)
    if wrong:
        return whole({"error": "invalid_grant", "error_description": wrong}, 400)
    made = f"ya29.sim-{visit.number}"
    visit.state.tokens[made] = time.monotonic() + visit.state.token_life_s
    reply = {"access_token": made, "expires_in": int(visit.state.token_life_s), "token_type": "Bearer"}
    return Made(JSON, iter((dump(reply),)))


def _wrong(assertion: str, visit: Visit) -> str:
    """What is wrong with a JWT; "" = nothing."""
    try:
        head, claims, signature = assertion.split(".")
        kind, said = _decoded(head), _decoded(claims)
        _private().public_key().verify(
            _unpadded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except (ValueError, InvalidSignature) as error:
        return f"Invalid JWT Signature. {type(error).__name__}"
    now = time.time()
    if kind.get("alg") != "RS256":
        return "Invalid JWT: alg must be RS256."
    if said.get("iss") != EMAIL:
        return "Invalid JWT: account not found."
    if not str(said.get("aud", "")).endswith(unquote(visit.path)):
        return "Invalid JWT: aud must be the token URI."
    if "https://www.googleapis.com/auth/cloud-platform" not in str(said.get("scope", "")).split():
        return "Invalid OAuth scope."
    if not now - 300 <= said.get("iat", 0) <= now + 300 or not now < said.get("exp", 0) <= said["iat"] + 3600:
        return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
    return ""


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _decoded(text: str) -> dict[str, Any]:
    made = json.loads(_unpadded(text))
    if not isinstance(made, dict):
        raise ValueError("not an object")
    return made
