"""Signatures, encrypted reasoning and redacted blocks as a vendor issues them: good at this vendor and model only.

Pure: an HMAC over dialect, model and text with a secret that the simulators alone know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

_SECRET = b"known to simulated vendors only"


def sign(dialect: str, model: str, text: str) -> str:
    """The signature of a thinking text, or of a function call."""
    return base64.b64encode(_mac(dialect, model, text) + b"signature").decode()


def signed(dialect: str, model: str, text: str, signature: object) -> bool:
    return isinstance(signature, str) and hmac.compare_digest(sign(dialect, model, text).encode(), signature.encode())


def hide(dialect: str, model: str, text: str) -> str:
    """A text so that only its maker reads it: redacted thinking, encrypted reasoning."""
    return base64.b64encode(_mac(dialect, model, text) + bytes(byte ^ 0x5A for byte in text.encode())).decode()


def reveal(dialect: str, model: str, data: object) -> str | None:
    """The hidden text; None where it was made elsewhere or was altered."""
    try:
        raw = base64.b64decode(str(data), validate=True)
        text = bytes(byte ^ 0x5A for byte in raw[32:]).decode()
    except (binascii.Error, ValueError):
        return None
    return text if hmac.compare_digest(raw[:32], _mac(dialect, model, text)) else None


def call_text(name: str, arguments: object) -> str:
    """What is signed of a function call: member order does not matter."""
    return f"{name} {json.dumps(arguments, sort_keys=True)}"


def _mac(dialect: str, model: str, text: str) -> bytes:
    return hmac.new(_SECRET, json.dumps([dialect, model, text]).encode(), hashlib.sha256).digest()
