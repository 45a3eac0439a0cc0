"""Ids of responses that carry their place: a stored response lives in one account at one provider (pitfall 26).

In:     the provider's id, the offer that answered, the account that asked, the gateways' common secret.
Out:    `<native id>_bl<offer>_<16 hex digits>`: the offer to go back to, and an HMAC over id, offer and account, so
        that another account's key and an invented id are refused. No memory: any gateway with the secret reads it.
`Pinner` rewrites the ids in replies that are forwarded: only the bytes of the id change.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.sse import data_of

ID_MAX = 1024
"""Characters of an id that is looked at. OpenAI's have some 55."""
_PINNED = re.compile(r"(.+)_bl(0|[1-9][0-9]{0,18})_([0-9a-f]{16})\Z", re.DOTALL)


def pin(native_id: str, offer: int, account: int, secret: bytes) -> str:
    """The id that a client sees."""
    return f"{native_id}_bl{offer}_{_mac(native_id, offer, account, secret)}"


def unpin(id_: str, account: int, secret: bytes) -> tuple[str, int] | None:
    """The provider's id and the offer; None where the id is not one that this account was given."""
    found = _PINNED.match(id_) if len(id_) <= ID_MAX else None
    if found is None:
        return None
    native, offer = found[1], int(found[2])
    if not hmac.compare_digest(_mac(native, offer, account, secret), found[3]):
        return None
    return native, offer


def _mac(native_id: str, offer: int, account: int, secret: bytes) -> str:
    said = b"%d %d %b" % (offer, account, native_id.encode("utf-8", "surrogatepass"))
    return hmac.new(secret, said, hashlib.sha256).hexdigest()[:16]


class Pinner:
    """Rewrites the ids of one attempt's reply. Holds nothing of it."""

    __slots__ = ("_account", "_offer", "_secret")

    def __init__(self, offer: int, account: int, secret: bytes) -> None:
        self._offer = offer
        self._account = account
        self._secret = secret

    def frame(self, frame: bytes) -> bytes:
        """One whole frame of a stream. Inside a text the quotes are escaped, so deltas cost one search."""
        if b'"response"' not in frame:
            return frame
        payload = data_of(frame)
        if payload is None:
            return frame
        patched = self._patched(payload, nested=True)
        if patched is payload:
            return frame
        at = frame.find(payload)
        if at >= 0:
            return frame[:at] + patched + frame[at + len(payload) :]
        return _relined(frame, patched)

    def frames(self, frames: bytes) -> bytes:
        """Several whole frames in one piece, as a meter hands them on."""
        if b'"response"' not in frames:
            return frames
        return b"".join([self.frame(frame) for frame in _split(frames)])

    def whole(self, body: bytes) -> bytes:
        """A whole reply: `POST`, `GET`, cancel and `DELETE` of a response have its id at the top level."""
        return self._patched(body, nested=False)

    def _patched(self, data: bytes, nested: bool) -> bytes:
        readable = half_surrogates_masked(data)  # of the same length
        try:
            found = (_decode_event(readable).response or _NONE) if nested else _decode_named(readable)
        except FAILED:
            return data
        edits: list[tuple[int, int, bytes]] = []
        for name, raw in (("id", found.id), ("previous_response_id", found.previous_response_id)):
            try:
                native = _decode_str(raw)
            except FAILED:
                continue  # absent or null
            if not native:
                continue
            text = bytes(raw)
            at = readable.find(text)
            if readable.find(text, at + 1) >= 0:  # it stands elsewhere too: look where the members are
                span = _member(readable, ("response", name) if nested else (name,))
                if span is None:
                    continue
                at = span[0]
            pinned = _encode(pin(native, self._offer, self._account, self._secret))
            edits.append((at, at + len(text), pinned))
        for start, end, new in sorted(edits, reverse=True):
            data = data[:start] + new + data[end:]
        return data


class _Named(msgspec.Struct, gc=False):
    id: Raw = ABSENT
    previous_response_id: Raw = ABSENT


class _Event(msgspec.Struct, gc=False):
    response: _Named | None = None


_NONE = _Named()
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_named = msgspec.json.Decoder(_Named).decode
_decode_str = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_FRAME_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],]|[^\s"{}\[\],:]+', re.DOTALL)


def _split(frames: bytes) -> Iterator[bytes]:
    start = 0
    for end in _FRAME_END.finditer(frames):
        yield frames[start : end.end()]
        start = end.end()
    if start < len(frames):
        yield frames[start:]


def _relined(frame: bytes, payload: bytes) -> bytes:
    """A frame whose data stood on several lines, with other data."""
    kept = [line for line in frame.splitlines(keepends=True) if line.strip() and not line.startswith(b"data")]
    data = b"".join(b"data: " + line + b"\n" for line in payload.split(b"\n"))
    return b"".join(kept) + data + b"\n"


def _member(data: bytes, path: tuple[str, ...]) -> tuple[int, int] | None:
    """Where the value of a member stands in valid JSON; of duplicates the last, as every reader here takes it."""
    tokens = _TOKEN.finditer(data)
    next(tokens, None)  # the outer brace
    return _in_object(tokens, path)


def _in_object(tokens: Iterator[re.Match[bytes]], path: tuple[str, ...]) -> tuple[int, int] | None:
    found: tuple[int, int] | None = None
    for token in tokens:
        text = token[0]
        if text == b"}":
            break
        if text == b",":
            continue
        mine = _decode_str(text) == path[0]
        value = next(tokens)
        if mine and len(path) > 1 and value[0] == b"{":
            found = _in_object(tokens, path[1:])
            continue
        end = _skip(tokens, value)
        if mine:
            found = (value.start(), end) if len(path) == 1 else None
    return found


def _skip(tokens: Iterator[re.Match[bytes]], value: re.Match[bytes]) -> int:
    """Past a value that has begun; its end."""
    depth, token = 0, value
    while True:
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
        if not depth:
            return token.end()
        token = next(tokens)
