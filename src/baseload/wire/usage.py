"""A provider's usage object -> disjoint meters. Pure; knows shapes and vendors' rules, no prices.

In:     the raw report (or the reports of a stream, oldest first), who sent it, and what the gateway itself counted.
Out:    `Usage`: meters that sum to the whole, where each side's numbers come from, and flags for a reviewer.
Rules:  the last report wins, per field; reports are never added. Zero is a report, absent is not. No meter is negative.
        The total of each side stays, its parts are cut to fit; a contradiction is flagged, never repaired in silence.

The arithmetic of the OpenAI shapes is in `chat/usage.py`; this file merges, chooses and fills gaps.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from baseload.wire import usage_native
from baseload.wire.chat import usage as chat_usage
from baseload.wire.converse import usage as converse_usage
from baseload.wire.found import Found
from baseload.wire.gemini import usage as gemini_usage
from baseload.wire.media import usage as media_usage
from baseload.wire.messages import usage as messages_usage
from baseload.wire.qwen import usage as qwen_usage
from baseload.wire.raw import FAILED, NULL
from baseload.wire.responses import usage as responses_usage

REPORTED, COUNTED, ESTIMATED, MISSING = "reported", "counted", "estimated", "missing"

INFORMATIONAL = frozenset(("reasoning", "tool_prompt", "provisioned_input", "provisioned_output"))
"""Meters that are inside another one and have no price of their own."""

_PRICE_NAMES = {
    "input_uncached": "input",
    "output_total": "output",
    "web_searches": "web_search_call",
    "web_fetches": "web_fetch_call",
}
NEUTRAL_TIERS = frozenset(("", "default", "standard", "on_demand", "auto"))
_READERS: dict[str, Callable[..., Found]] = {
    "openai-chat": chat_usage.read,
    "openai-chat-batch-item": chat_usage.read,
    "openai-embeddings": chat_usage.read,
    "openai-responses": responses_usage.read,
    "anthropic-messages": messages_usage.read,
    "gemini": gemini_usage.read,
    "bedrock-converse": converse_usage.read,
    "dashscope-native": qwen_usage.read,
    "openai-images": media_usage.read_images,
    "openai-audio": media_usage.read_transcription,
    "openai-speech": media_usage.read_speech,
    "rerank": media_usage.read_rerank,
    "tencent-native": usage_native.read_tencent,
    "ollama-native": usage_native.read_ollama,
}
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
_REPLACED_TOGETHER = frozenset(
    ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "promptTokenCount", "candidatesTokenCount")
)


class Usage(msgspec.Struct, gc=False):
    """The meter reading of one attempt."""

    meters: dict[str, int]  # disjoint counts; a missing name is 0; empty = nothing known
    input_provenance: str = MISSING  # "reported" | "counted" | "estimated" | "missing"
    output_provenance: str = MISSING
    flags: tuple[str, ...] = ()
    select: dict[str, str | bool] = {}  # price selectors: tier, batch, byok
    reported_cost: str = ""  # money the supply names, exact text and currency: "0.00095 USD"
    raw: bytes = b""  # the last report, byte for byte


def normalise(
    protocol: str,
    vendor: str,
    usage: bytes | list[bytes],
    *,
    model: str = "",
    endpoint: str = "chat",
    request_cache_ttl: str = "",
    tier: str = "",
    ended: str = "normal",
    counted_output: int | None = None,
    counted_input: int | None = None,
    counted_units: dict[str, int] | None = None,
) -> Usage:
    """Reads a usage report. Reported beats counted; a side with neither is "missing" and has no meter.

    protocol           a key of `_READERS`: "openai-chat", "openai-embeddings", "bedrock-converse", ...
    vendor             the provider's dialect; decides the lifetime of unlabelled cache writes, the currency of a cost
    usage              one JSON object, b"" for none, or the reports of a stream, oldest first (`StreamMeter.usages`)
    model              as the provider names it (no rule depends on it yet)
    endpoint           "embeddings" reports no output: it is 0
    request_cache_ttl  lifetime the request asked for ("5m", "30m", "1h", "12h"), for writes reported without one
    tier               service tier the reply reports beside its usage
    ended              "normal", or how the attempt broke off; a report of a broken attempt is flagged "partial"
    counted_output     tokens the gateway counted, used only where the provider reports nothing; None = not counted
    counted_units      own units of `wire.media` that the gateway counted, used only where the provider reports nothing
    """
    try:
        read = _READERS[protocol]
    except KeyError:
        raise ValueError(f"no usage reader for protocol {protocol!r}; there are {', '.join(_READERS)}") from None
    if isinstance(usage, bytes):
        merged = raw = usage
    else:
        merged, raw = _merge(usage)
    if not merged or merged == b"null":
        if counted_units:
            return Usage(dict(counted_units), COUNTED, COUNTED)
        found = _NOTHING
    else:
        if protocol == "openai-embeddings":
            endpoint = "embeddings"
        found = read(merged, vendor, endpoint == "embeddings", request_cache_ttl)
    meters, flags = found.meters, found.flags
    input_from = output_from = REPORTED
    if not found.input_known or not found.output_known:
        meters = dict(meters)
        input_from, output_from = _fill(meters, found, counted_input, counted_output)
        if found.input_known or found.output_known:
            flags = (*flags, "partial")
    if ended != "normal" and (found.input_known or found.output_known) and "partial" not in flags:
        flags = (*flags, "partial")
    select = found.select
    tier = tier or found.tier
    if tier not in NEUTRAL_TIERS:
        select = {**select, "tier": tier}
    if protocol == "openai-chat-batch-item":
        select = {**select, "batch": True}
    return Usage(meters, input_from, output_from, flags, select, found.cost, raw)


def price_meters(usage_meters: dict[str, int]) -> dict[str, int]:
    """The meters that are priced, under the names of price rows; together they are what is paid, nothing twice."""
    priced: dict[str, int] = {}
    for name, count in usage_meters.items():
        if name not in INFORMATIONAL:
            priced[_PRICE_NAMES.get(name, name)] = count
    own = priced.get("output_audio", 0) + priced.get("output_image", 0)
    if own:
        priced["output"] = priced.get("output", own) - own
    return priced


_NOTHING = Found({}, input_known=False, output_known=False)


def _fill(
    meters: dict[str, int], found: Found, counted_input: int | None, counted_output: int | None
) -> tuple[str, str]:
    input_from = output_from = REPORTED
    if not found.input_known:
        input_from = MISSING
        if counted_input is not None:
            meters["input_uncached"], input_from = counted_input, COUNTED
    if not found.output_known:
        output_from = MISSING
        if counted_output is not None:
            meters["output_total"], output_from = counted_output, COUNTED
    return input_from, output_from


def _merge(reports: list[bytes]) -> tuple[bytes, bytes]:
    """One report from several, per field the last that says something; and the provider's last report as it came."""
    if len(reports) == 1:
        return reports[0], reports[0]
    merged: dict[str, Raw] = {}
    raw = b""
    for report in reports:
        if not report:
            continue
        try:
            members = _decode_members(report)
        except FAILED:
            merged, raw = {}, report  # the reader will call it invalid
            continue
        if members.keys() != {"timings"}:
            raw = report
        if not _REPLACED_TOGETHER.isdisjoint(members):
            merged.pop("total_tokens", None)  # a sum of older parts says nothing about the newer ones
            merged.pop("totalTokenCount", None)
        for name, value in members.items():
            if value == NULL:
                merged.setdefault(name, value)
            elif name in merged and memoryview(value)[0] == 0x7B:
                merged[name] = _overlaid(merged[name], value)
            else:
                merged[name] = value
    return (_encode(merged) if merged else raw), raw


def _overlaid(old: Raw, new: Raw) -> Raw:
    """The members of two details objects, those of the newer one first in right; a null says nothing."""
    try:
        members = _decode_members(old)
        members.update({name: value for name, value in _decode_members(new).items() if value != NULL})
    except FAILED:
        return new
    return Raw(_encode(members))
