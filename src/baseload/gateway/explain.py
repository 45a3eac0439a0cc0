"""`POST /v1/dispatch/explain`: what dispatch would do with a request, and why. Nothing is sent to any provider.

In:     a request as a client would send it, to `/v1/dispatch/explain` (chat) or `/v1/dispatch/explain/v1/messages` and
        so on; its key, headers and `baseload` member count as for the call itself.
Out:    the merit order of the model (of each model of a group, and of the fallbacks), from the code that decides calls.

Amounts are what the caller's account would be charged: what a provider charges us is not a client's to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from baseload.dispatch.cost import MILLION, parts
from baseload.dispatch.health import OF_CREDENTIAL, SAY
from baseload.dispatch.merit import Ranked
from baseload.errors import Refusal
from baseload.money.amount import format_decimal, margin, round_half_even

if TYPE_CHECKING:
    from baseload.gateway.asked import Asked
    from baseload.gateway.core import Gateway
    from baseload.gateway.dispatching import Merit
    from baseload.gateway.downstream import Downstream
    from baseload.money.rate import Quote


class Explaining:
    def __init__(self, gateway: Gateway) -> None:
        self._gw = gateway

    def serve(self, connection: Downstream, asked: Asked) -> None:
        """Raises Refusal as a call of the same model would, but for what it is there to explain."""
        merit = self._gw.dispatcher.open(asked, connection.accepted_ns)
        self._gw.answer_json(connection, self.explained(merit))

    def explained(self, merit: Merit) -> dict[str, Any]:
        asked, bound = merit.asked, merit.bound
        chosen = merit.decide()
        orders = merit.explained()
        mute = {offer.id for offers in self._gw.catalog.models.values() for offer in offers if offer.trouble}
        winner = chosen.offer if chosen is not None else None
        refusal: Refusal | None = merit.none_eligible() if winner is None else None
        return {
            "object": "baseload.explanation",
            "model": asked.ask.model,
            "endpoint": asked.route.endpoint,
            "objective": bound.objective,
            "policy": msgspec.to_builtins(bound.policy),
            "needs": sorted(merit.needs | bound.require),
            "winner": None if winner is None else {
                "offer": winner.name, "model": winner.model, "credential": winner.credential,
            },
            "refusal": None if refusal is None else {"code": refusal.code, "message": refusal.say, "fix": refusal.fix},
            "models": [
                {"model": model, "order": [self._line(merit, model, line, mute) for line in lines]}
                for model, lines in orders
            ],
        }  # fmt: skip

    def _line(self, merit: Merit, model: str, line: Ranked, mute: set[int]) -> dict[str, Any]:
        """`mute`: offers whose trouble is told to nobody but the operator."""
        why = "it is not ready" if line.offer in mute and line.why_not else _plain(line.why_not)
        shown: dict[str, Any] = {
            "rank": line.rank, "offer": line.name, "provider": line.provider, "vendor": line.vendor,
            "credential": line.credential, "why_not": why, "reservation": _plain(line.reservation),
            "input_tokens": line.input_tokens, "cached_tokens": line.cached_tokens, "output_tokens": line.output_tokens,
            "quality": line.quality, "certificate": line.certificate, "first_token_ms": line.first_token_ms,
            "tokens_per_s": line.tokens_per_s, "in_flight": line.in_flight,
        }  # fmt: skip
        return shown | self._charge(merit, model, line)

    def _charge(self, merit: Merit, model: str, line: Ranked) -> dict[str, Any]:
        """What the account would pay at this offer, by part."""
        if line.parts is None:
            return {"expected": None}
        tariff, asked = merit.asked.key.tariff, merit.asked
        try:
            own = tariff.price_at(model, merit.at_ns)
        except Refusal:
            return {"expected": None}
        found, currency, ppm = line.parts, line.currency, tariff.margin_ppm
        if own is not None:
            wanted = merit.wanted(model, {})
            quote: Quote | None = own.quote(
                merit.at_ns, line.input_tokens, line.output_tokens, bool(asked.ask.thinking), wanted.write
            )
            if quote is None:
                return {"expected": None}
            tokens = (line.input_tokens, line.cached_tokens, line.output_tokens)
            found, currency, ppm = parts(quote, *tokens, writes=bool(wanted.write)), own.currency, 0
        nano = round_half_even(found.total, MILLION)
        whole = nano if own is not None else margin(nano, ppm)
        by_part = {
            name: _text(round_half_even(getattr(found, name) * (MILLION + ppm), MILLION * MILLION))
            for name in ("input", "cache_read", "cache_write", "output")
        }
        return {"expected": {"text": _text(whole), "nano": whole, "currency": currency, "parts": by_part}}


def _plain(reason: str) -> str:
    """Without what is the operator's affair: keys, money and plans at a provider."""
    for kind in OF_CREDENTIAL:
        reason = reason.replace(SAY[kind], "it is out of service")
    return reason


def _text(nano: int) -> str:
    return format_decimal(nano, 9)
