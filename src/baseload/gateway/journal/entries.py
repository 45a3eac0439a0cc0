"""What the journal records. msgpack arrays, tagged by a small integer; fields are only ever appended (with defaults).

All `_ns` are wall-clock nanoseconds since the epoch (UTC). Money is nano-units (1e-9) of the named currency.
A call has one `call` id; each try at an offer has an `attempt` number from 1. (call, attempt) is the settlement key.
"""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Base of all entries."""


class Hold(Entry, tag=1, frozen=True):
    """Written before the provider sees one byte: money set aside for a running attempt."""

    call: str
    attempt: int
    account: int
    key: int
    offer: int
    cost_price: int  # id of the price row the provider charges by
    charge_price: int  # id of the tariff's own price row; 0 = cost plus the tariff's margin
    tariff: int
    model: str  # as the client asked
    endpoint: str  # "chat" | "completions" | "embeddings"
    stream: bool
    hold_nano: int
    currency: str
    request_bytes: int
    accepted_ns: int  # the request's first byte: also the deciding instant of the price
    expires_ns: int  # a hold releases itself
    snapshot: int  # version of the snapshot the decision was made from
    leases: tuple[int, ...] = ()  # the leases its money is of; () = nothing limits this account
    fx: str = ""  # "numerator/denominator": from the price's currency to `currency`, where they differ


class Progress(Entry, tag=2, frozen=True):
    """At a stream's first text and then at most once a second: what was relayed, so that a crash can bill for it."""

    call: str
    attempt: int
    at_ns: int
    frames: int  # frames that carried generated text
    text_bytes: int  # bytes of generated text relayed to the client
    hold_nano: int = 0  # what the hold has grown to; 0 = as it was


class Reading(Entry, tag=3, frozen=True):
    """Written before the client can see the last byte: how one attempt ended and what it used."""

    call: str
    attempt: int
    account: int
    key: int
    offer: int
    cost_price: int
    charge_price: int
    tariff: int
    model: str
    endpoint: str
    stream: bool
    outcome: str  # OUTCOMES
    status: int  # HTTP status the client got; 0 = it was gone
    fault: str  # failure class of the provider ("" = none), see baseload.providers.faults
    meters: dict[str, int]  # disjoint counts, names of baseload.wire.usage; empty = nothing known
    input_provenance: str  # reported | counted | estimated | missing
    output_provenance: str
    flags: tuple[str, ...]
    select: dict[str, str | bool]  # price selectors found in the reply or known (tier, speed, batch, geo, thinking)
    reported_cost: str  # "0.00095 USD" where the provider names money, else ""
    raw_usage: bytes  # the provider's usage object, byte for byte; b"" = none
    delivered_output: int  # output tokens delivered when the client left early; -1 = all of them
    accepted_ns: int
    sent_ns: int  # request handed to the provider's connection; 0 = never
    first_ns: int  # first body byte from the provider; 0 = none
    end_ns: int
    request_bytes: int
    reply_bytes: int
    upstream_id: str  # the provider's request id
    upstream_model: str  # the model the provider says it was
    currency: str  # of the hold
    hold_nano: int
    snapshot: int
    credential: int = 0  # which of the provider's credentials, 0 = its first
    expected_nano: int = -1  # what dispatch expected this attempt to cost, in the cost price's currency; -1 = not known
    expected: tuple[int, ...] = ()  # expected tokens: (input, of them cached, output)
    seen: bytes = b""  # the merit order the decision saw: msgpack of dispatch.seen.Seen; b"" = not recorded
    leases: tuple[int, ...] = ()  # as the hold's
    charge_max: int = -1  # nano-units of `currency`: the account is charged no more, whatever it cost; -1 = no limit
    fx: str = ""  # as the hold's


class Refused(Entry, tag=4, frozen=True):
    """A request that reached no provider, and why. `account` and `key` are 0 where nobody was recognised."""

    call: str
    account: int
    key: int
    model: str
    endpoint: str
    code: str
    status: int
    accepted_ns: int
    end_ns: int


class Carry(Entry, tag=5, frozen=True):
    """First entry of a segment: the holds still open when it began, so that recovery reads one segment only."""

    holds: list[Hold]
    progress: list[Progress]


AnyEntry = Hold | Progress | Reading | Refused | Carry

OUTCOMES = (
    "ok",  # the whole reply was relayed
    "client_left",  # the client closed early
    "upstream_error",  # the provider answered with a failure, or was not reachable
    "upstream_cut",  # the provider's reply ended before it was complete
    "timeout",  # no byte within the limit
    "lost",  # the gateway was killed; ended by recovery
    "stopped",  # the account's money ran out in the middle of a stream, which was ended cleanly
)
