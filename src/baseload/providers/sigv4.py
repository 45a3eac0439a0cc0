"""AWS Signature Version 4, for Bedrock. Pure: the time is an argument.

In:     a request as it will go out (method, path and query as on the wire, headers, the body's SHA-256), a credential.
Out:    the headers to add.
Model ids hold ":" and may be ARNs with "/": `segment` encodes them once for the wire, and the canonical request encodes
the path as sent once more, as AWS asks of every service but S3 (vendors.md, 3.13). Checked against botocore's signer.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

import msgspec

__all__ = ["Credential", "read_credential", "region_of", "segment", "sign"]

_ALGORITHM = "AWS4-HMAC-SHA256"
# What the way may change, and what is a result of signing.
_UNSIGNED = frozenset(("authorization", "user-agent", "expect", "te", "trailer", "transfer-encoding", "upgrade"))
_UNSIGNED |= {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization"}
_UNSIGNED |= {"baggage", "traceparent", "tracestate", "x-amzn-trace-id"}
_ACCESS_KEY = re.compile(r"[A-Z0-9]{16,128}")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2}")


class Credential(msgspec.Struct, frozen=True):
    access_key: str
    secret_key: str
    token: str = ""  # of a session

    def __repr__(self) -> str:
        return "Credential(...)"


def read_credential(text: str) -> Credential | None:
    """`ACCESS_KEY_ID:SECRET` or `ACCESS_KEY_ID:SECRET:SESSION_TOKEN`; None = something else, such as a Bearer key."""
    access_key, colon, rest = text.strip().partition(":")
    secret, _, token = rest.partition(":")
    if not colon or not secret or not _ACCESS_KEY.fullmatch(access_key):
        return None
    return Credential(access_key, secret, token)


def region_of(host: str) -> str:
    """The region that a host names ("bedrock-runtime.eu-west-1.amazonaws.com"), "" = none."""
    return next((label for label in host.lower().split(":")[0].split(".") if _REGION.fullmatch(label)), "")


def segment(text: str) -> str:
    """A model id as one segment of a path, percent-encoded once."""
    return quote(text, safe="-._~")


def sign(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body_sha256: str,
    credential: Credential,
    *,
    region: str,
    service: str,
    at_s: float,
) -> list[tuple[str, str]]:
    """The headers that sign a request: `x-amz-date`, `x-amz-security-token` of a session, `authorization`.

    `path` and `query` are as on the wire, without "?". `headers` are those that will be sent unchanged, `host` among
    them; `body_sha256` is the body's digest in lower-case hex. `at_s` is the time in seconds since 1970.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at_s))
    added = [("x-amz-date", stamp)]
    if credential.token:
        added.append(("x-amz-security-token", credential.token))
    signed = {name.lower().strip(): " ".join(value.split()) for name, value in (*headers.items(), *added)}
    names = sorted(signed.keys() - _UNSIGNED)
    listed = ";".join(names)
    canonical = "\n".join(
        (
            method.upper(),
            quote(_without_dots(path), safe="/~"),
            "&".join(f"{key}={value}" for key, value in sorted(_pairs(query))),
            *(f"{name}:{signed[name]}" for name in names),
            "",
            listed,
            body_sha256,
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credential.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    value = f"{_ALGORITHM} Credential={credential.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
    return [*added, ("authorization", value)]


def _pairs(query: str) -> list[tuple[str, str]]:
    if not query:
        return []
    return [(key, value) for key, _, value in (pair.partition("=") for pair in query.split("&"))]


def _without_dots(path: str) -> str:
    """The path without `.`, `..` and empty segments: AWS normalises it before it checks (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    ending = "/" if kept and path.endswith("/") else ""
    return "/" + "/".join(kept) + ending
