"""Thinking signatures on their way through a protocol that is not their maker's.

A signature is good at one vendor and model only, and must come back unchanged. In a reply to a client of another
protocol it is sealed: marked with its origin (and, where the client's form of thinking is not exact, with the exact
text). When it comes back, `unseal` gives it to its maker; anybody else's is left out. Sealed text is plain base64, so
it passes wherever a signature may stand (Gemini's clients decode theirs).

This is no secret and no proof: a client could send the provider any signature itself. It only says where it belongs.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

_MAGIC = b"blsig1"  # six bytes: their base64 does not depend on what follows
MARK = base64.b64encode(_MAGIC)
"""What every sealed signature begins with; `MARK in body` tells quickly that a request carries one."""

_STANDARD = str.maketrans("-_", "+/")


class Sealed(msgspec.Struct, array_like=True, frozen=True):
    origin: str
    signature: str
    text: str | None = None  # the exact thinking text; None = it travels beside the signature
    redacted: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Sealed).decode


def seal(origin: str, signature: str, *, text: str | None = None, redacted: bool = False) -> str:
    """The signature with its origin, as base64 text."""
    return base64.b64encode(_MAGIC + _encode(Sealed(origin, signature, text, redacted))).decode()


def unseal(text: str) -> Sealed | None:
    """What was sealed; None for anything else (a maker's own signature, or a damaged one)."""
    if not text.startswith(MARK.decode()):
        return None
    try:
        # Google's clients decode a signature and send it back in the URL-safe alphabet.
        return _decode(base64.b64decode(text.translate(_STANDARD), validate=True)[len(_MAGIC) :])
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
