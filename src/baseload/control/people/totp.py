"""One-time codes of a device (RFC 6238: HMAC-SHA1, 30 seconds, 6 digits), and codes for the day it is lost. Pure.

In:     a secret in base32, a code, an instant, the last step that was used.
Out:    the step a code is good for, or None. A code is good for its step and the ones beside it (clocks differ), and
        never twice (RFC 6238, 5.2).
"""

from __future__ import annotations

import base64
import hmac
import secrets
import struct
from urllib.parse import quote

STEP_NS, DIGITS, BESIDE = 30 * 10**9, 6, 1
RECOVERY = 10  # codes


def new_secret() -> str:
    """160 random bits (RFC 4226, 4 recommends as many)."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def code_at(secret: str, step: int, digits: int = DIGITS) -> str:
    """RFC 4226, 5.3: dynamic truncation."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    at = digest[-1] & 15
    number = struct.unpack(">I", digest[at : at + 4])[0] & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def step_of(secret: str, code: str, now_ns: int, last: int) -> int | None:
    """The step that `code` is good for, if none at or after it was used."""
    now = now_ns // STEP_NS
    for step in range(now - BESIDE, now + BESIDE + 1):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()) and step > last:
            return step
    return None


def address(secret: str, name: str) -> str:
    """What an authenticator reads (the otpauth scheme)."""
    return f"otpauth://totp/Baseload:{quote(name)}?secret={secret}&issuer=Baseload"


def recovery_codes() -> list[str]:
    """Each is good once; 50 random bits, in letters that cannot be taken for each other."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return ["".join(secrets.choice(letters) for _ in range(10)) for _ in range(RECOVERY)]


def plain(code: str) -> str:
    """As people type it: without blanks and dashes, small."""
    return code.replace(" ", "").replace("-", "").lower()
