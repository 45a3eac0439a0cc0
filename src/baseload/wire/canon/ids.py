"""Tool-call ids: invented where a provider sends none, made safe for protocols that take few characters.

Anthropic takes letters, digits, `_` and `-` (protocols.md, pitfall 3); OpenAI some 40 to 64 characters. An id that fits
travels as it is. One that does not is written so that it can be read back without any memory. Ids of end users and
caches only have to tell one from another: too long a one becomes its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets

_SAFE = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
_COVER = "blid_"
_SHORT = 64


def invent() -> str:
    """An id for a call whose provider sent none (Gemini)."""
    return f"call_{secrets.token_hex(12)}"


def safe(id_: str) -> str:
    """The id for a client of any protocol."""
    if _SAFE.match(id_) and not id_.startswith(_COVER):
        return id_
    return _COVER + base64.urlsafe_b64encode(id_.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def native(id_: str) -> str:
    """The provider's own id behind `safe`."""
    if not id_.startswith(_COVER):
        return id_
    text = id_[len(_COVER) :]
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "surrogatepass")
    except (ValueError, UnicodeDecodeError):
        return id_


def short(id_: str) -> str:
    """The id of an end user or a cache as OpenAI takes it, in 64 characters at most.

    A longer one (coding agents send 150) is told apart by its hash as well.
    """
    return id_ if len(id_) <= _SHORT else hashlib.sha256(id_.encode("utf-8", "surrogatepass")).hexdigest()
