"""What a frame of kept content holds, and the key of its file: the form that gateway and control plane share.

In:     a file beside a log, the vault. Out: its key; `Kept`.
"""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec

from baseload.gateway.vault import Vault

NONCE = 12  # bytes before the sealed text


class Kept(msgspec.Struct, frozen=True):
    """What is sealed. `reply`: HTTP as it was sent, head and framing too."""

    call: str
    accepted_ns: int
    request: bytes
    reply: bytes
    request_size: int
    reply_size: int


def key_of(vault: Vault, path: Path) -> bytes:
    """The key behind a file beside a log. Raises OSError, Refusal."""
    return base64.b64decode(vault.resolve(path.read_text().strip()))
