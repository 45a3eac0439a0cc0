"""A door: one endpoint of one provider, with the request head that goes through it.

In:     a provider's row, its vendor's facts, the credential, the upstream model.
Out:    `Door.head(...)`: request line and headers up to the body's length. For a key in a header it is written once;
        a signature (AWS) or a token that expires (Google) is added to each request by its `Access`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Protocol
from urllib.parse import urlsplit

from baseload.errors import Refusal
from baseload.gateway.snapshot import OfferRow, ProviderRow
from baseload.providers import google_auth, sigv4
from baseload.providers.vendor import Auth, Vendor
from baseload.wire.canon.carry import Target

PREFERENCE: dict[str, tuple[str, ...]] = {
    # A client's endpoint -> the doors that can serve it, best first: its own, then those that carry most of it.
    "chat": ("chat", "responses", "messages", "gemini", "converse", "qwen"),
    "responses": ("responses", "chat", "messages", "gemini", "converse", "qwen"),
    "messages": ("messages", "converse", "gemini", "responses", "chat", "qwen"),
    "gemini": ("gemini", "messages", "converse", "responses", "chat", "qwen"),
    "embeddings": ("embeddings", "gemini_embed"),
    "gemini_embed": ("gemini_embed", "embeddings"),
}
_PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "rerank": "/rerank",
    "images": "/images/generations",
    "speech": "/audio/speech",
    "transcriptions": "/audio/transcriptions",
}
"""Where a provider has an endpoint whose vendor's file does not say: below base_url, as OpenAI's own paths are."""

REGION_DEFAULT = "us-east-1"  # what is signed for a host that names no region (a proxy, a private address)


def doors_of(endpoints: tuple[str, ...]) -> dict[str, str]:
    """Client's endpoint -> the door it goes through, for an offer with these doors."""
    found = {name: name for name in endpoints}
    for client, order in PREFERENCE.items():
        door = next((door for door in order if door in endpoints), "")
        if door:
            found[client] = door
    return found


class Access(Protocol):
    """How a request proves whose it is."""

    def lines(self, method: str, host: str, target: str, body: bytes, at_ns: int) -> bytes:
        """Header lines, each ended by CRLF."""


class HeaderKey:
    def __init__(self, line: bytes) -> None:
        self.line = line

    def lines(self, method: str, host: str, target: str, body: bytes, at_ns: int) -> bytes:
        return self.line


class AwsKey:
    """Every request is signed (SigV4)."""

    def __init__(self, credential: sigv4.Credential, service: str, region: str) -> None:
        self._credential = credential
        self._service, self._region = service, region

    def lines(self, method: str, host: str, target: str, body: bytes, at_ns: int) -> bytes:
        path, _, query = target.partition("?")
        signed = sigv4.sign(
            method, path, query, {"host": host}, sha256(body).hexdigest(), self._credential,
            region=self._region, service=self._service, at_s=at_ns / 1e9,
        )  # fmt: skip
        return "".join(f"{name}: {value}\r\n" for name, value in signed).encode("latin-1")


class GoogleToken:
    """A service account's OAuth token, fetched by the gateway before it expires."""

    EARLY_S = 300  # it is fetched anew so long before its end

    def __init__(self, account: google_auth.ServiceAccount) -> None:
        self.account = account
        self._token = ""
        self._until_ns = 0

    def fresh(self, at_ns: int) -> bool:
        return bool(self._token) and at_ns < self._until_ns

    def request(self, at_ns: int) -> tuple[str, bytes]:
        """(url, form body) of the token request."""
        return google_auth.token_request(self.account, google_auth.assertion(self.account, at_ns / 1e9))

    def take(self, reply: bytes, at_ns: int) -> None:
        """Raises ProviderFault where the reply holds no token."""
        self._token, expires_s = google_auth.read_token(reply)
        self._until_ns = at_ns + max(expires_s - self.EARLY_S, expires_s // 2) * 1_000_000_000

    def forget(self) -> None:
        """The token was refused."""
        self._token = ""

    def lines(self, method: str, host: str, target: str, body: bytes, at_ns: int) -> bytes:
        return f"authorization: Bearer {self._token}\r\n".encode("latin-1")


@lru_cache(maxsize=256)  # one a credential, not one a snapshot: a token outlives many snapshots
def _google(secret: str) -> GoogleToken:
    return GoogleToken(google_auth.read_account(secret))


def access_of(auth: Auth, secret: str, host: str, provider: str) -> Access:
    """Raises Refusal for a credential that cannot be used."""
    if auth.kind == "google" and secret.lstrip().startswith("{"):
        return _google(secret)
    if any(ord(letter) < 33 or ord(letter) > 126 for letter in secret):
        raise Refusal(f"The credential of provider {provider} has characters that no header can carry.")
    aws = sigv4.read_credential(secret) if auth.kind == "sigv4" else None
    if aws is not None:
        return AwsKey(aws, auth.service, sigv4.region_of(host) or REGION_DEFAULT)
    if not secret:
        return HeaderKey(b"")
    if auth.kind in ("sigv4", "google"):  # a Bearer key of Bedrock, a token that somebody else keeps fresh
        return HeaderKey(f"authorization: Bearer {secret}\r\n".encode("latin-1"))
    return HeaderKey(f"{auth.header}: {auth.value(secret)}\r\n".encode("latin-1"))


class Door:
    """One endpoint of one offer."""

    __slots__ = ("_host", "_send", "_targets", "access", "fixed", "name", "target", "token")

    def __init__(self, name: str, row: OfferRow, provider: ProviderRow, vendor: Vendor, secret: str) -> None:
        self.name = name
        parts = urlsplit(provider.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refusal(f"Provider {provider.name}: base_url {provider.base_url!r} is not http(s)://host/...")
        self._host = parts.netloc
        below = parts.path.rstrip("/")
        path = vendor.path_of(name, row.upstream_model) or _PATHS.get(name)
        if path is None:
            raise Refusal(f"Provider {provider.name}: {vendor.title} has no {name} endpoint.")
        model = sigv4.segment(row.upstream_model)
        self._targets = (
            _below(below, path, model),
            _below(below, vendor.stream_paths.get(name, path), model),
        )
        self.access = access_of(vendor.auth_for.get(name, vendor.auth), secret, parts.hostname, provider.name)
        self.token = self.access if isinstance(self.access, GoogleToken) else None
        send = vendor.send.get(name, {})
        self._send = (send, {**send, **vendor.stream_send.get(name, {})})
        facts = vendor.translate_for(row.upstream_model)
        self.target = Target(
            protocol=name, dialect=vendor.name, model=row.upstream_model, output_max=row.output_max,
            developer=facts.developer, max_tokens_name=facts.max_tokens_name, thought=facts.thought,
            schema=facts.schema, image_url=facts.image_url, image_bare=facts.image_bare,
            cache_marks=facts.cache_marks, reasoning_back=facts.reasoning_back, unsupported=facts.unsupported,
        )  # fmt: skip
        # The head of nearly every call: nothing in it depends on the call.
        self.fixed: tuple[bytes, bytes] | None = None
        if isinstance(self.access, HeaderKey):
            self.fixed = (self.head(False, b"", 0), self.head(True, b"", 0))

    def head(
        self, stream: bool, body: bytes, at_ns: int, *, headers: Mapping[str, str] | None = None, query: str = "",
        content_type: str = "application/json",
    ) -> bytes:  # fmt: skip
        """The head up to the digits of content-length. `headers` replace those of the vendor's file."""
        send = self._send[stream]
        if headers:
            send = {**send, **headers}
        target = self._targets[stream]
        if query:
            target += ("&" if "?" in target else "?") + query
        return self._written("POST", target, send, body, at_ns, content_type) + b"content-length: "

    def other(self, method: str, tail: str, at_ns: int) -> bytes:
        """A whole head without a body for something below this door: GET, DELETE or POST of `tail`."""
        target = self._targets[0] + tail
        length = b"content-length: 0\r\n" if method == "POST" else b""
        return self._written(method, target, self._send[0], b"", at_ns, "application/json") + length + b"\r\n"

    def _written(
        self, method: str, target: str, send: Mapping[str, str], body: bytes, at_ns: int, content_type: str
    ) -> bytes:
        auth = self.access.lines(method, self._host, target, body, at_ns)
        lines = "".join(f"{name}: {value}\r\n" for name, value in send.items())
        return b"".join((
            f"{method} {target} HTTP/1.1\r\nhost: {self._host}\r\n".encode("latin-1"), auth,
            f"content-type: {content_type}\r\naccept: application/json, text/event-stream\r\n"
            f"accept-encoding: identity\r\nuser-agent: baseload\r\n{lines}".encode("latin-1"),
        ))  # fmt: skip


def _below(prefix: str, path: str, model: str) -> str:
    """A path of a vendor's file as a request target: `//` begins at the host itself."""
    path = path.replace("{model}", model)
    return path[1:] if path.startswith("//") else prefix + path
