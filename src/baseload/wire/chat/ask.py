"""The endpoints `chat`, `completions` and `embeddings`: what a request asks, and the bytes that go upstream.

In:     the members of a request body. Out: `Ask` (what routing and holding need), the patched body, or a refusal that
        names the member at fault. Messages are not looked into, but for thinking that this gateway sealed: the provider
        checks them, we forward them.
Replies are read in `facts.py` (whole) and `meter.py` (streams); their names are exported here too.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import TRUE, Ask, InvalidMember, count, flag, whole
from baseload.wire.body import close_body, open_object
from baseload.wire.canon.signature import MARK
from baseload.wire.chat.seals import without_seals
from baseload.wire.raw import NULL

ENDPOINTS = {"chat": "messages", "completions": "prompt", "embeddings": "input"}
"""Endpoint -> the member that carries its input."""


_str = msgspec.json.Decoder(str).decode
_bool = msgspec.json.Decoder(bool).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode

_USAGE_ONLY = Raw(b'{"include_usage":true}')
_STREAM_OPTIONS = ("include_usage",)
_CACHE_OPTIONS = ("ttl",)
_THINKING = ("reasoning_effort", "thinking", "enable_thinking", "reasoning", "chat_template_kwargs")


def read_request(endpoint: str, members: Mapping[str, Raw]) -> Ask:
    """Reads the members that decide route, hold and price. A `Refusal` names in `param` what is missing or wrong."""
    get = members.get
    raw = get("model")
    try:
        model = _str(raw)  # type: ignore[arg-type]
    except (msgspec.DecodeError, TypeError):
        raise _no_model(raw) from None
    if not model:
        raise _no_model(raw)
    if endpoint == "embeddings":
        _check_input(endpoint, get("input"))
        if flag("stream", get("stream")):
            raise InvalidMember("Embeddings are not streamed.", "Remove stream.", param="stream")
        return Ask(model)
    _check_input(endpoint, get(ENDPOINTS[endpoint]))
    stream = flag("stream", get("stream"))
    wants_usage = False
    if stream:
        raw = get("stream_options")
        if raw is not None and raw != NULL:
            options = open_object(raw, "stream_options", _STREAM_OPTIONS)
            wants_usage = flag("stream_options", options.get("include_usage"))
    limit = 0
    raw = get("max_completion_tokens")
    if raw is not None:
        limit = count("max_completion_tokens", raw)
    raw = get("max_tokens")
    if raw is not None:
        limit = max(limit, count("max_tokens", raw))
    n = 1
    raw = get("n")
    if raw is not None:
        n = count("n", raw) or 1
    raw = get("best_of")  # completions: so many are generated and billed, `n` of them are returned
    if raw is not None:
        n = max(n, count("best_of", raw))
    raw = get("n_cmpl")  # llama.cpp reads it before n
    if raw is not None:
        n = max(n, count("n_cmpl", raw))
    if endpoint == "completions":
        n *= _prompts(members["prompt"])
    raw = get("n_predict")  # llama.cpp reads it before max_tokens; negative = no limit
    if raw is not None and raw != NULL:
        predict = whole("n_predict", raw)
        limit = max(limit, predict) if predict >= 0 else 0
    thinking = None
    for name in _THINKING:
        if name in members:
            thinking = _thinking(members)
            break
    cache_ttl = ""
    raw = get("prompt_cache_options")
    if raw is not None and raw != NULL:
        raw = open_object(raw, "prompt_cache_options", _CACHE_OPTIONS).get("ttl")
        if raw is not None and raw != NULL:
            try:
                cache_ttl = _str(raw)
            except msgspec.DecodeError:
                raise InvalidMember(
                    "prompt_cache_options.ttl must be a string.",
                    'Send for example "30m".',
                    param="prompt_cache_options",
                ) from None
    return Ask(model, stream, wants_usage, limit, n, thinking, cache_ttl)


def patch_request(
    endpoint: str, members: Mapping[str, Raw], ask: Ask, upstream_model: str, lost: list[str] | None = None
) -> bytes:
    """The body for one offer: its model name, and usage asked for in a stream. `members` are not changed.

    Sealed thinking is left out; `lost` gets its names.
    """
    patched = dict(members)
    patched["model"] = Raw(_encode(upstream_model))
    if ask.stream and endpoint != "embeddings":
        raw = members.get("stream_options")
        if raw is None or raw == NULL:
            patched["stream_options"] = _USAGE_ONLY
        else:
            # Written back even where the client asked for usage itself: then no duplicate inside it survives.
            options = open_object(raw, "stream_options", _STREAM_OPTIONS)
            options["include_usage"] = TRUE
            patched["stream_options"] = Raw(_encode(options))
    if ask.cache_ttl:
        raw = members["prompt_cache_options"]
        text = bytes(raw)
        if text.count(b'"ttl"') != 1 or b"\\" in text:  # perhaps said twice: what we read is what goes out
            patched["prompt_cache_options"] = Raw(_encode(open_object(raw, "prompt_cache_options", _CACHE_OPTIONS)))
    messages = members.get("messages")
    if messages is not None and MARK in bytes(messages):
        patched["messages"] = without_seals(messages, [] if lost is None else lost)
    return close_body(patched)


def _no_model(raw: Raw | None) -> InvalidMember:
    if raw is None:
        return InvalidMember(
            "The request names no model.", "Add model.", code="missing_required_parameter", param="model"
        )
    return InvalidMember(
        "model must be a string and not empty.", "Send a model's name.", code="invalid_type", param="model"
    )


def _check_input(endpoint: str, raw: Raw | None) -> None:
    name = ENDPOINTS[endpoint]
    if raw is None:
        raise InvalidMember(
            f"The request has no {name}.", f"Add {name}.", code="missing_required_parameter", param=name
        )
    first = memoryview(raw)[0]
    if first != 0x5B and (first != 0x22 or endpoint == "chat"):
        kind = "an array of messages" if endpoint == "chat" else "a string or an array"
        raise InvalidMember(f"{name} must be {kind}.", f"Send {kind} as {name}.", code="invalid_type", param=name)


def _prompts(raw: Raw) -> int:
    """Prompts in one completions request: each is answered. A string or an array of tokens is one prompt."""
    if memoryview(raw)[0] == 0x22:
        return 1
    try:
        items = _list(raw)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidMember("prompt must be a string or an array.", "Send valid JSON.", param="prompt") from None
    return len(items) if items and memoryview(items[0])[0] in b'"[' else 1


class _Toggle(msgspec.Struct, gc=False):
    type: str | None = None
    enabled: bool | None = None
    effort: str | None = None
    enable_thinking: bool | None = None


_toggle = msgspec.json.Decoder(_Toggle).decode


def _thinking(members: Mapping[str, Raw]) -> bool | None:
    """Whether thinking mode is asked for, by any vendor's switch; an explicit toggle comes before an effort.

    A shape that is not known says nothing: it is the provider's to refuse.
    """
    said: bool | None = None
    for name in reversed(_THINKING):
        raw = members.get(name)
        if raw is None or raw == NULL:
            continue
        try:
            if name == "enable_thinking":
                said = _bool(raw)
            elif name == "reasoning_effort":
                said = _str(raw) != "none" if said is None else said
            else:
                toggle = _toggle(raw)
                if toggle.enable_thinking is not None:
                    said = toggle.enable_thinking
                if toggle.enabled is not None:
                    said = toggle.enabled
                if toggle.type in ("enabled", "adaptive", "between_tools"):
                    said = True
                elif toggle.type == "disabled":
                    said = False
                elif toggle.type is not None:
                    said = None  # "auto": the model decides, nobody knows yet
                if toggle.effort is not None and said is None:
                    said = toggle.effort != "none"
        except (msgspec.DecodeError, RecursionError):
            continue
    return said
