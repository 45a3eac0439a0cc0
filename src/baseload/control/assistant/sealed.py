"""Texts and files of one person, sealed: AES-256-GCM under a key of the home's secret, bound to the person's id."""

from __future__ import annotations

import os

from baseload.errors import Refusal
from baseload.gateway.vault import Vault

_NONCE = 12


class Box:
    """Opens what it sealed, and nothing of another person's."""

    def __init__(self, vault: Vault, person: int) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(vault.derived(b"assistant"))
        self._whose = b"person %d" % person

    def seal(self, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, self._whose)

    def open(self, sealed: bytes) -> bytes:
        """Raises Refusal where another home, or another person, sealed it."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._whose)
        except (InvalidTag, ValueError) as error:
            raise Refusal(
                "What was kept does not open with this home's secret.key.", "Restore it from a backup.",
                code="sealed_elsewhere", status=500,
            ) from error  # fmt: skip
