"""What an attempt may cost before it begins, and what it used when it is over: reported beats counted beats estimated.

In:     a call before its hold; an ended call (its meter, its reply's usage object, how it ended).
Out:    the hold's amount; the `Reading`. Pure but for reading the call's fields.

The rules of a reading, in order:
1. Nothing reached the provider, or it answered with a failure: no tokens, provenance "counted" (we know it is nothing).
2. The provider reported usage: that, field by field, the last report.
3. It did not (cut, timed out, stopped): output is what was relayed, counted where the dialect sends one token a frame,
   else estimated from the text's bytes; input is estimated from the request's bytes. A side of which nothing can be
   said is "missing", never zero.
4. The client left early: `delivered_output` is what it had by then; the account pays for that, the cost stays whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from baseload.errors import Refusal
from baseload.gateway.catalog import MILLION
from baseload.gateway.journal.entries import Reading
from baseload.gateway.paying import LEAST_OUTPUT, PER_MILLE, charged_rate
from baseload.wire import media, refusals
from baseload.wire.chat.usage_plain import plain_meters
from baseload.wire.usage import NEUTRAL_TIERS, Usage, normalise

if TYPE_CHECKING:
    from baseload.dispatch.rates import RowRates
    from baseload.gateway.call import Call
    from baseload.gateway.catalog import Offer

NANO_MAX = 2**53  # nine million units of money: beyond any call, and what every store and JSON reader keeps exact
MEDIA_TOKENS_MAX = 100_000  # input tokens held for a call with media that is billed by tokens
_NOTHING = Usage(meters={}, input_provenance="counted", output_provenance="counted")
_ENDED = {"ok": "normal", "client_left": "client_cut", "stopped": "client_cut"}


class Held(NamedTuple):
    """The size of a hold, in nano-units of the currency that is charged. `least`: the least a call can begin with."""

    nano: int
    least: int
    input_nano: int
    out_rate: int  # for 1,000,000 tokens of output
    fx: str
    currency: str


def hold_of(call: Call, cost: RowRates, charge: RowRates | None) -> Held:
    """What a call may cost its account: its input by size, its output by what its key's calls have needed before, where
    something limits the account; else all the output it may have. Raises Refusal where it cannot be priced."""
    key, price = call.key, charge or cost
    currency = key.currency or price.currency
    fx = call.gw.catalog.fx_text(price.currency, currency, call.accepted_ns) if key.currency else ""
    if not key.purses:
        nano = charged_rate(_hold_nano(call, cost, charge, 0), key, charge, fx)
        return Held(_checked(nano, currency), nano, 0, 0, fx, currency)
    minimum = key.tariff.rules.minimum_nano
    if call.ask.units or not call.kind.generates:
        nano = max(charged_rate(_hold_nano(call, cost, charge, 0), key, charge, fx), minimum)
        return Held(_checked(nano, currency), nano, nano, 0, fx, currency)
    ask, forecast, model = call.ask, call.gw.dispatcher.forecast, call.offer.model
    usual = forecast.output_tokens(key.id, model, ask.max_output, PER_MILLE)
    sizes = [_hold_nano(call, cost, charge, tokens) for tokens in (usual, min(LEAST_OUTPUT, usual), 0)]
    nano, floor, empty = (max(charged_rate(size, key, charge, fx), minimum) for size in sizes)
    rates = price.at(call.accepted_ns, _input_tokens(call))
    out_rate = charged_rate(rates[1] if rates is not None else 0, key, charge, fx) * ask.n
    return Held(_checked(nano, currency), floor, empty, out_rate, fx, currency)


def _input_tokens(call: Call) -> int:
    return int(call.request_bytes / call.offer.bytes_per_token) + 1


def _checked(nano: int, currency: str) -> int:
    if nano > NANO_MAX:
        say = f"This call could cost {nano // 10**9} {currency}; no call may cost so much."
        raise Refusal(say, "Lower max_tokens or n.", code="call_too_large", status=400, param="max_tokens")
    return nano


def _hold_nano(call: Call, cost: RowRates, charge: RowRates | None, output: int) -> int:
    """Input by size and so much output (0 = none where something limits the account, else all it may have), at today's
    band, in the price's currency and before a margin."""
    ask, offer = call.ask, call.offer
    input_tokens = _input_tokens(call)
    rates = (charge or cost).at(call.accepted_ns, input_tokens)
    if rates is None:  # the row prices no input of this length: settlement could not bill it either
        raise refusals.Unpriced(ask.model, f"{input_tokens} input tokens are beyond its price row")
    if ask.units:
        nano = _units_nano(call, charge or cost, rates, input_tokens)
    elif not call.kind.generates:
        nano = rates[0] * input_tokens // MILLION + 1
    else:
        if (charge or cost).missing_side:
            whose = "its price" if charge is None else "the account's tariff"
            raise refusals.Unpriced(ask.model, f"{whose} has no rate for {(charge or cost).missing_side}")
        limit = offer.output_bound
        if 0 < ask.max_output < limit:
            limit = ask.max_output
        if call.key.purses:
            limit = min(output, limit)
        nano = (rates[0] * input_tokens + rates[1] * limit * ask.n) // MILLION + 1
    return nano


def _units_nano(call: Call, price: RowRates, rates: tuple[int, int], input_tokens: int) -> int:
    """Images, characters, sound: by their own units where the row prices those, else by tokens."""
    ask = call.ask
    units = price.units(call.accepted_ns, dict(ask.units), input_tokens)
    if units is None:
        raise refusals.Unpriced(ask.model, f"{', '.join(name for name, _ in ask.units)}")
    if units:
        return units
    tokens = min(input_tokens, MEDIA_TOKENS_MAX)  # a recording's bytes are no text
    return (rates[0] * tokens + rates[1] * call.offer.output_bound * ask.n) // MILLION + 1


def count_output(offer: Offer, frames: int, text_bytes: int) -> tuple[int, str]:
    """(tokens, provenance) of relayed text."""
    if offer.vendor.token_frames:
        return frames, "counted"
    return max(frames, int(text_bytes / offer.bytes_per_token)) if frames else 0, "estimated"


def reading_of(
    call: Call,
    outcome: str,
    *,
    fault: str,
    status: int,
    unsent: bool,
    usages: list[bytes] | None,
    tier: str,
    text_bytes: int,
    end_ns: int,
) -> Reading:
    hold, offer, meter = call.hold, call.offer, call.meter
    delivered = -1
    if meter is not None:
        tier = meter.tier
    raws: Sequence[bytes] = (meter.usages if meter is not None else usages) or ()
    meters = plain_meters(raws[0]) if len(raws) == 1 and outcome == "ok" and not fault else None
    if meters is not None:
        usage = Usage(meters, "reported", "reported", raw=raws[0])
        if tier not in NEUTRAL_TIERS:
            usage.select = {"tier": tier}
    elif unsent:
        usage = _NOTHING
    else:
        usage = _usage_of(call, outcome, raws, tier, text_bytes)
        if call.delivered_frames >= 0:
            delivered = count_output(offer, call.delivered_frames, call.delivered_text)[0]
            delivered = min(delivered, usage.meters.get("output_total", 0))
    select = usage.select
    if call.ask.thinking is not None:
        select = {**select, "thinking": call.ask.thinking}
    flags = (*usage.flags, "resent") if call.resent else usage.flags
    if call.flags:
        flags = (*flags, *call.flags)
    expected_nano, expected = call.choice.expected()
    return Reading(
        call.id, call.attempt, hold.account, hold.key, hold.offer, hold.cost_price, hold.charge_price, hold.tariff,
        hold.model, hold.endpoint, hold.stream, outcome, status if call.down is not None else 0, fault, usage.meters,
        usage.input_provenance, usage.output_provenance, flags, select, usage.reported_cost, usage.raw, delivered,
        hold.accepted_ns, call.sent_ns, call.first_ns, end_ns, hold.request_bytes, call.reply_bytes, call.upstream_id,
        call.upstream_model or (meter.upstream_model if meter is not None else ""), hold.currency, hold.hold_nano,
        hold.snapshot, offer.credential, expected_nano, expected, call.choice.seen(call.gw.catalog.fx_base),
        (), -1, hold.fx,
    )  # fmt: skip


def _usage_of(call: Call, outcome: str, raws: Sequence[bytes], tier: str, text_bytes: int) -> Usage:
    offer, meter, ask = call.offer, call.meter, call.ask
    # For the side that is not reported: Anthropic's message_start reports the input of a stream that is cut later.
    counted_input: int | None = int(call.request_bytes / offer.bytes_per_token) + 1
    counted_output: int | None = None
    if meter is not None:
        counted_output, _ = count_output(offer, meter.frames, meter.text_bytes)
    elif text_bytes:
        counted_output = int(text_bytes / offer.bytes_per_token) + 1
    units: dict[str, int] | None = None
    medium = call.kind.medium
    if medium and not raws:
        # what a reply that failed or never came has used of these units nobody can say
        seen = getattr(meter, "units", None) or dict(call.units)
        units = media.counted(medium, ask, seen) if outcome == "ok" or seen else None
        counted_input = counted_output = None
    written = call.passage.cache_ttl
    usage = normalise(
        call.kind.usage,
        offer.vendor.name,
        list(raws),
        endpoint="chat" if call.kind.generates else "embeddings",
        request_cache_ttl=(ask.cache_ttl if written is None else written) or offer.provider.cache_ttl,
        tier=tier,
        ended=_ENDED.get(outcome, "upstream_cut"),
        counted_output=counted_output,
        counted_input=counted_input,
        counted_units=units,
    )
    if units:  # images and characters are counted, not told from bytes
        return usage
    # What is told from bytes is an estimate, whoever counted the bytes.
    if usage.input_provenance == "counted":
        usage.input_provenance = "estimated"
    if usage.output_provenance == "counted" and not (meter is not None and offer.vendor.token_frames):
        usage.output_provenance = "estimated"
    return usage
