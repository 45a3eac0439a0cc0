"""What a gateway bears: sizes, counts and patience. Defaults with their origin."""

from __future__ import annotations

import msgspec

from baseload.errors import Refusal


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes and seconds. Each may be set when a gateway is started: `--limit beat_s=5`."""

    body_max: int = 64 * 1024 * 1024  # 20 MB bodies (images, PDFs) are common; vendors stop at 20 to 100 MB
    reply_max: int = 256 * 1024 * 1024  # a reply that is not streamed is held whole: embeddings can be long
    connections_max: int = 16_384
    head_timeout_s: float = 15.0  # slow loris: a head is one packet for every honest client
    body_timeout_s: float = 30.0  # between two pieces of a body
    body_total_s: float = 600.0  # a body that trickles in
    idle_timeout_s: float = 120.0  # keep-alive between requests
    write_stall_s: float = 600.0  # a reader that takes nothing at all
    commit_s: float = 10.0  # role chunks, pings and comments alone begin no reply before this: see relay.py
    beat_s: float = 15.0  # silence after which a running stream is kept alive: proxies commonly give up at 60 s
    drain_s: float = 120.0  # reading on after the client left, to learn what is billed
    drains_max: int = 256
    drain_bytes_max: int = 64 * 1024 * 1024
    wait_s: float = 10.0  # for a place at an offer that is at its limit; 0 = nobody waits
    waiting_max: int = 1024  # calls that wait
    out_max_s: float = 3600.0  # the longest a failure keeps an offer out; 0 = nothing a provider says does
    lease_wait_s: float = 0.05  # for the control plane's answer, of a call whose lease is short
    shutdown_s: float = 30.0  # running calls may finish


def read_limits(given: list[str], limits: Limits) -> Limits:
    """`limits`, changed as `NAME=NUMBER` says. Raises Refusal for what is no limit or no number."""
    changes: dict[str, int | float] = {}
    for item in given:
        name, _, text = item.partition("=")
        if name not in Limits.__struct_fields__:
            raise Refusal(f"There is no limit {name!r}.", f"Choose one of: {', '.join(Limits.__struct_fields__)}.")
        try:
            changes[name] = type(getattr(limits, name))(text)
        except ValueError:
            raise Refusal(f"{text!r} is no value for the limit {name}.", "Give a number.") from None
        if not changes[name] >= 0:
            raise Refusal(f"{text!r} is no value for the limit {name}.", "Give a number that is not negative.")
    return msgspec.structs.replace(limits, **changes)
