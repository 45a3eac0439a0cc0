"""The home's master secret and what is derived from it: the key pepper, sealed provider credentials.

In:     `HOME/secret.key` (64 hex digits, mode 0600, made once), a credential reference.
Out:    HMAC-SHA256 hashes of API keys; AES-256-GCM sealed texts. Nothing here is ever logged.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from baseload.errors import Refusal

PREFIX_LENGTH = 12  # characters of a key that may be shown: enough to recognise, too few to guess from


class Vault:
    """Derives what it needs from one master secret by HMAC with a label, so that no two uses share a key."""

    def __init__(self, master: bytes) -> None:
        self._master = master
        self.pepper = hmac.digest(master, b"baseload key pepper v1", "sha256")

    @classmethod
    def open(cls, home: Path, *, create: bool = False) -> Vault:
        """Reads HOME/secret.key; with `create` makes it (mode 0600) if it is not there."""
        path = home / "secret.key"
        if create and not path.exists():
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32) + "\n")
        try:
            master = bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError) as error:
            raise Refusal(f"The home's secret {path} cannot be read ({error}).", "Restore it from a backup.") from error
        if len(master) != 32:
            raise Refusal(f"{path} must hold 64 hex digits.", "Restore it from a backup.")
        return cls(master)

    def key_hash(self, key: bytes) -> bytes:
        """HMAC-SHA256 of an API key with the pepper (32 bytes)."""
        return hmac.digest(self.pepper, key, "sha256")

    def derived(self, label: bytes) -> bytes:
        """A secret of its own for one more use (32 bytes)."""
        return hmac.digest(self._master, b"baseload " + label + b" v1", "sha256")

    def seal(self, text: str) -> str:
        """Encrypts a credential for the database: `sealed:` + base64(nonce 12 bytes, AES-256-GCM)."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        return (
            "sealed:"
            + base64.b64encode(nonce + AESGCM(self._sealing_key()).encrypt(nonce, text.encode(), None)).decode()
        )

    def resolve(self, reference: str) -> str:
        """The credential behind `env:NAME`, `file:PATH` or `sealed:...`; "" stays "". Refusal if missing."""
        if not reference:
            return ""
        scheme, _, rest = reference.partition(":")
        if scheme == "env":
            if rest not in os.environ:
                raise Refusal(f"The environment variable {rest} is not set.", f"Set {rest} and start again.")
            return os.environ[rest].strip()
        if scheme == "file":
            try:
                return Path(rest).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise Refusal(f"The credential file {rest} cannot be read ({error}).") from error
        if scheme == "sealed":
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            try:
                blob = base64.b64decode(rest)
                return AESGCM(self._sealing_key()).decrypt(blob[:12], blob[12:], None).decode()
            except (InvalidTag, ValueError) as error:
                raise Refusal(
                    "A stored credential does not open with this home's secret.key.", "Add it again."
                ) from error
        raise Refusal(f"A credential must be env:NAME, file:PATH or sealed:..., not {scheme}:...")

    def _sealing_key(self) -> bytes:
        return hmac.digest(self._master, b"baseload credential sealing v1", "sha256")


def new_key() -> str:
    """A fresh API key: `sk-bl-` and 200 random bits; the form that clients which check for `sk-` accept."""
    return "sk-bl-" + base64.b32encode(secrets.token_bytes(25)).decode().lower()


def key_prefix(key: str) -> str:
    return key[:PREFIX_LENGTH]
