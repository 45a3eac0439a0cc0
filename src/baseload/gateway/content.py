"""Prompts and answers of accounts that have asked for it: sealed files beside the journal, for as long as they say.

In:     a request's body, the bytes of its reply.
Out:    frames of HOME/content/ACCOUNT/DAY.GATEWAY.log, read by the control plane, and deleted by it with their key.
A frame is 4 bytes of length and AES-256-GCM over msgpack; the file's key is its own, sealed by the vault in a file
beside it: without the key the frames are noise. Accounts that have not asked cost one comparison a call. What cannot be
written is not kept: content is no part of the bill.
"""

from __future__ import annotations

import base64
import logging
import os
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from baseload.errors import Refusal
from baseload.gateway.kept import NONCE, Kept, key_of
from baseload.gateway.vault import Vault

if TYPE_CHECKING:
    from baseload.gateway.downstream import Downstream

log = logging.getLogger("baseload.gateway.content")
KEPT_MAX = 256 * 1024  # bytes of a request, and of a reply
_encode = msgspec.msgpack.Encoder().encode


class Recorder:
    """Stands in for a client's transport: what is written goes on at once, and its beginning is kept."""

    def __init__(self, transport: Any, store: ContentStore, account: int, call: str, at_ns: int, body: bytes) -> None:
        self._transport = transport
        self._store = store
        self._account, self._call, self._at_ns = account, call, at_ns
        self._request, self._request_size = bytes(body[:KEPT_MAX]), len(body)
        self._parts: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._transport.write(data)
        if self._size < KEPT_MAX:
            self._parts.append(bytes(data[: KEPT_MAX - self._size]))
        self._size += len(data)

    def end(self) -> Any:
        """Keeps it; gives the transport back."""
        reply = b"".join(self._parts)
        kept = Kept(self._call, self._at_ns, self._request, reply, self._request_size, self._size)
        self._store.keep(self._account, kept)
        return self._transport


class ContentStore:
    """Appends to one file an account and day; opened anew for each frame, so a deleted file stays deleted."""

    def __init__(self, folder: Path, gateway: str, vault: Vault) -> None:
        self._folder, self._gateway, self._vault = folder, gateway, vault
        self._keys: dict[Path, bytes] = {}

    def watch(self, down: Downstream, account: int, call: str, at_ns: int, body: bytes) -> None:
        down.recorder = Recorder(down.transport, self, account, call, at_ns, body)
        down.transport = down.recorder  # type: ignore[assignment]

    def keep(self, account: int, kept: Kept) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        day = time.strftime("%Y-%m-%d", time.gmtime(kept.accepted_ns // 10**9))
        path = self._folder / str(account) / f"{day}.{self._gateway}.log"
        try:
            key = self._key(path)
            nonce = os.urandom(NONCE)
            sealed = nonce + AESGCM(key).encrypt(nonce, _encode(kept), None)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                frame = struct.pack(">I", len(sealed)) + sealed
                written = os.write(handle, frame)
                if written < len(frame):  # half a frame would hide all that come after it
                    os.ftruncate(handle, os.fstat(handle).st_size - written)
                    raise OSError("the disk is full")
            finally:
                os.close(handle)
        except (OSError, Refusal, ValueError) as error:  # a key file that is damaged, a disk that is full
            log.warning("the content of %s is not kept (%s)", kept.call, error)

    def _key(self, path: Path) -> bytes:
        beside = path.with_suffix(".key")
        key = self._keys.get(path)
        if key is not None and beside.exists():
            return key
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if beside.exists():
            key = key_of(self._vault, beside)
        else:  # whole or not at all: a file of this name has one writer
            key, fresh = os.urandom(32), beside.with_suffix(".new")
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(self._vault.seal(base64.b64encode(key).decode()))
            os.replace(fresh, beside)
        self._keys = {path: key} if len(self._keys) > 64 else {**self._keys, path: key}
        return key
