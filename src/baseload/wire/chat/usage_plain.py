"""The usual usage object, read in one decode: what nine of ten replies carry.

In:     one raw report of the OpenAI shape.
Out:    its meters, equal to what `usage.normalise` finds; None when there is anything in it that needs a rule (a member
        this file does not know, a contradiction, audio, cache writes): then `normalise` reads it.
"""

from __future__ import annotations

import msgspec


class _In(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    cached_tokens: int = 0
    audio_tokens: int = 0


class _Out(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class _Report(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _In | None = None
    completion_tokens_details: _Out | None = None


_decode = msgspec.json.Decoder(_Report).decode
_LARGEST = 2**40  # beyond it `normalise` has its say


def plain_meters(raw: bytes) -> dict[str, int] | None:
    """Meters of a report without anything unusual; None = ask `usage.normalise`."""
    try:
        report = _decode(raw)
    except msgspec.DecodeError:
        return None
    prompt, completion = report.prompt_tokens, report.completion_tokens
    if prompt < 0 or completion < 0 or prompt + completion != report.total_tokens or report.total_tokens > _LARGEST:
        return None
    meters = {"input_uncached": prompt}
    ins = report.prompt_tokens_details
    if ins is not None:
        cached = ins.cached_tokens
        if ins.audio_tokens or not 0 <= cached <= prompt:
            return None
        if cached:
            meters["input_uncached"] = prompt - cached
            meters["cache_read"] = cached
    outs = report.completion_tokens_details
    if outs is not None:
        reasoning = outs.reasoning_tokens
        if outs.audio_tokens or not 0 <= reasoning <= completion:
            return None
        if outs.accepted_prediction_tokens < 0 or outs.rejected_prediction_tokens < 0:
            return None
        if reasoning:
            meters["reasoning"] = reasoning
    meters["output_total"] = completion
    return meters
