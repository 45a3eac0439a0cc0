"""What a gateway bears: sizes, counts and patience. Defaults with their origin."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes and seconds."""

    body_max: int = 64 * 1024 * 1024  # 20 MB bodies (images, PDFs) are common; vendors stop at 20 to 100 MB
    reply_max: int = 256 * 1024 * 1024  # a reply that is not streamed is held whole: embeddings can be long
    connections_max: int = 16_384
    head_timeout_s: float = 15.0  # slow loris: a head is one packet for every honest client
    body_timeout_s: float = 30.0  # between two pieces of a body
    body_total_s: float = 600.0  # a body that trickles in
    idle_timeout_s: float = 120.0  # keep-alive between requests
    write_stall_s: float = 600.0  # a reader that takes nothing at all
    drain_s: float = 120.0  # reading on after the client left, to learn what is billed
    drains_max: int = 256
    drain_bytes_max: int = 64 * 1024 * 1024
    shutdown_s: float = 30.0  # running calls may finish
