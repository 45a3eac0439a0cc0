"""Google OAuth by a service account, for Vertex: the account's file -> a signed assertion -> an access token. Pure.

In:     the JSON text of a service account's key file, the time, the reply of the token endpoint.
Out:    `ServiceAccount`, the assertion (a JWT, RS256), the token request as (url, body), the token and its lifetime.
Sends nothing: whoever holds the sockets posts the body (content-type application/x-www-form-urlencoded) and asks again
before the token ends. Errors never hold the private key.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from baseload.errors import ProviderFault, Refusal
from baseload.providers.mask import mask

__all__ = ["SCOPE", "ServiceAccount", "assertion", "read_account", "read_token", "token_request"]

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFE_S = 3600  # of an assertion and of its token: the most that Google grants
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TOKEN_MAX = 16_384


class ServiceAccount(msgspec.Struct, frozen=True):
    client_email: str
    private_key: str  # PEM
    private_key_id: str = ""
    token_uri: str = _TOKEN_URI
    project_id: str = ""

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r}, ...)"


class _File(msgspec.Struct):
    type: str = ""
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = ""
    project_id: str = ""


class _Token(msgspec.Struct):
    access_token: str = ""
    expires_in: float = LIFE_S
    token_type: str = ""
    error: Any = None
    error_description: str = ""


def read_account(text: str) -> ServiceAccount:
    """The account of a key file. Raises Refusal that names what is wrong with it, never what is in it."""
    try:
        file = msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=_File)
    except (ValueError, RecursionError):
        raise _wrong("it is not the JSON of a key file") from None
    if file.type != "service_account":
        raise _wrong(f"its type is {file.type[:40]!r}" if file.type else "it has no type")
    for member in ("client_email", "private_key"):
        if not getattr(file, member):
            raise _wrong(f"it has no {member}")
    uri = file.token_uri or _TOKEN_URI
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)):
        raise _wrong("its token_uri is no https address")
    account = ServiceAccount(file.client_email, file.private_key, file.private_key_id, uri, file.project_id)
    _key(account)
    return account


def assertion(account: ServiceAccount, at_s: float, scope: str = SCOPE) -> bytes:
    """The JWT that asks for a token, signed with the account's key."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    begin = int(at_s)
    header = {"alg": "RS256", "typ": "JWT"} | ({"kid": account.private_key_id} if account.private_key_id else {})
    claims = {
        "iss": account.client_email,
        "scope": scope,
        "aud": account.token_uri,
        "iat": begin,
        "exp": begin + LIFE_S,
    }
    signed = _base64(msgspec.json.encode(header)) + b"." + _base64(msgspec.json.encode(claims))
    return signed + b"." + _base64(_key(account).sign(signed, PKCS1v15(), SHA256()))


def token_request(account: ServiceAccount, signed: bytes) -> tuple[str, bytes]:
    """Where to post, and the form to post there."""
    return account.token_uri, urlencode({"grant_type": _GRANT, "assertion": signed.decode("ascii")}).encode("ascii")


def read_token(body: bytes) -> tuple[str, int]:
    """(access token, seconds it is good for) of the endpoint's reply, whatever its status.

    Raises ProviderFault: "bad_key" where Google refuses the account, "unavailable" where it fails itself, "garbage".
    """
    try:
        reply = msgspec.json.decode(body[:_TOKEN_MAX], type=_Token, strict=False)
    except (ValueError, RecursionError):
        raise ProviderFault("garbage", "Google's token endpoint answered something that is no token") from None
    if reply.error:
        code = _word(reply.error)
        kind = "unavailable" if code in _GOOGLES_OWN else "bad_key"
        words = mask(f"{code}: {reply.error_description}".strip(": "))
        raise ProviderFault(kind, f"Google refuses a token for this service account: {words or 'no reason given'}")
    token = reply.access_token
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ProviderFault("garbage", "Google's token endpoint answered without a usable access_token")
    life_s = reply.expires_in if 0 < reply.expires_in <= 86_400 else LIFE_S
    return token, int(life_s)


_GOOGLES_OWN = ("internal_failure", "server_error", "temporarily_unavailable", "UNAVAILABLE", "INTERNAL")


def _word(error: Any) -> str:
    """OAuth's `error` is a word; a failure before it is Google's usual object."""
    word = error.get("status") if isinstance(error, dict) else error
    return word[:80] if isinstance(word, str) else ""


def _key(account: ServiceAccount) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm  # slow to import, seldom needed
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _wrong("its private_key is no PEM key") from None
    if not isinstance(key, RSAPrivateKey):
        raise _wrong("its private_key is no RSA key")
    return key


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _wrong(what: str) -> Refusal:
    return Refusal(
        f"The credential is no Google service account: {what}.",
        "Give the JSON key file that Google made for the service account, as file:PATH.",
        code="bad_credential",
        param="credential",
    )
