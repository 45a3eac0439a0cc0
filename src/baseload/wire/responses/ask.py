"""What a Responses request asks for, and the bytes that go to a provider of the same protocol.

In:     the members of a request body (`open_body(raw, GUARDED)`).
Out:    `Ask`, or a refusal that names the member at fault; the patched body. Items are not looked into: the provider
        checks them, we forward them. One exception: sealed reasoning (see `canon/signature.py`) is unsealed for its
        maker and left out for everybody else, who could only refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import Ask, InvalidMember, count, flag
from baseload.wire.body import close_body, open_object, raw_value
from baseload.wire.canon.signature import MARK, unseal
from baseload.wire.raw import FAILED, NULL

GUARDED = (
    "model",
    "stream",
    "max_output_tokens",
    "prompt_cache_options",
    "previous_response_id",
    "conversation",
    "background",
    "store",
    "service_tier",
)
"""Members whose value decides where a call goes, what is held for it, or what it costs."""

_CACHE_OPTIONS = ("ttl",)
_WITHOUT_INPUT = ("prompt", "previous_response_id", "conversation")  # what a request can be about instead of an input

_ARRAY, _STRING = 0x5B, 0x22

_str = msgspec.json.Decoder(str).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_object = msgspec.json.Decoder(dict[str, Raw]).decode


class _Reasoning(msgspec.Struct, gc=False):
    effort: str | None = None


_reasoning = msgspec.json.Decoder(_Reasoning).decode


def read_ask(members: Mapping[str, Raw]) -> Ask:
    """Reads the members that decide route, hold and price. Usage always comes with the terminal event."""
    get = members.get
    model = _model(get("model"))
    _check_input(members)
    stream = flag("stream", get("stream"))
    limited = get("max_output_tokens")
    limit = 0 if limited is None else count("max_output_tokens", limited)
    options = get("prompt_cache_options")
    cache_ttl = "" if options is None or options == NULL else _ttl(options)
    return Ask(model, stream, True, limit, 1, _thinking(get("reasoning")), cache_ttl)


def patch(
    members: Mapping[str, Raw],
    ask: Ask,
    upstream_model: str,
    origin: str = "",
    previous: str | None = None,
    lost: list[str] | None = None,
) -> bytes:
    """The body for one offer. `members` are not changed; every value that is not named here leaves byte for byte.

    origin      `Target.origin` of the offer: its own sealed reasoning goes back as it came, any other is left out
    previous    the provider's own id of the stored response that `previous_response_id` means
    lost        gets the names of the items that are left out
    """
    patched = dict(members)
    patched["model"] = raw_value(upstream_model)
    if previous is not None:
        patched["previous_response_id"] = raw_value(previous)
    if ask.cache_ttl:
        raw = members["prompt_cache_options"]
        text = bytes(raw)
        if text.count(b'"ttl"') != 1 or b"\\" in text:  # perhaps said twice: what we read is what goes out
            patched["prompt_cache_options"] = raw_value(open_object(raw, "prompt_cache_options", _CACHE_OPTIONS))
    given = members.get("input")
    if given is not None and memoryview(given)[0] == _ARRAY and MARK in (text := bytes(given)):
        patched["input"] = Raw(_unsealed(text, origin, [] if lost is None else lost))
    return close_body(patched)


def _model(raw: Raw | None) -> str:
    if raw is None:
        raise InvalidMember(
            "The request names no model.", "Add model.", code="missing_required_parameter", param="model"
        )
    try:
        model = _str(raw)
    except FAILED:
        model = ""
    if not model:
        raise InvalidMember(
            "model must be a string and not empty.", "Send a model's name.", code="invalid_type", param="model"
        )
    return model


def _check_input(members: Mapping[str, Raw]) -> None:
    raw = members.get("input")
    if raw is None or raw == NULL:
        if any(members.get(name, NULL) != NULL for name in _WITHOUT_INPUT):
            return
        raise InvalidMember("The request has no input.", "Add input.", code="missing_required_parameter", param="input")
    if memoryview(raw)[0] not in (_ARRAY, _STRING):
        raise InvalidMember(
            "input must be a string or an array of items.",
            "Send a string or an array as input.",
            code="invalid_type",
            param="input",
        )


def _ttl(raw: Raw) -> str:
    said = open_object(raw, "prompt_cache_options", _CACHE_OPTIONS).get("ttl", NULL)
    if said == NULL:
        return ""
    try:
        return _str(said)
    except FAILED:
        raise InvalidMember(
            "prompt_cache_options.ttl must be a string.", 'Send for example "30m".', param="prompt_cache_options"
        ) from None


def _thinking(raw: Raw | None) -> bool | None:
    """Whether thinking is asked for; a shape that is not known says nothing, it is the provider's to refuse."""
    if raw is None or raw == NULL:
        return None
    try:
        effort = _reasoning(raw).effort
    except FAILED:
        return None
    return None if effort is None else effort != "none"


def _unsealed(text: bytes, origin: str, lost: list[str]) -> bytes:
    """An array of input items without others' sealed reasoning, and with ours as its maker sent it.

    Items and the white space between those that stay are not touched. An unsealed item goes without its id: the id it
    had towards the client was ours, and OpenAI refuses encrypted reasoning under another id than its own.
    """
    try:
        items = [bytes(item) for item in _list(text)]
    except FAILED:
        return text
    out: list[bytes] = []
    kept_end, at, skipped = 0, 1, False
    for number, item in enumerate(items):
        start = text.index(item, at)  # only white space and a comma lie before it
        at = start + len(item)
        new = _item(item, origin) if MARK in item else item
        if new is None:
            lost.append(f"input[{number}]")
            skipped = True
            continue
        if not out:
            out.append(b"[" if skipped else text[:start])
        else:
            out.append(b"," if skipped else text[kept_end:start])
        out.append(new)
        kept_end, skipped = at, False
    if not out:
        return b"[]"
    out.append(b"]" if skipped else text[kept_end:])
    return b"".join(out)


def _item(item: bytes, origin: str) -> bytes | None:
    """The item as it goes on; None = not at all."""
    try:
        members = _object(item)
        if _str(members.get("type", NULL)) != "reasoning":
            return item
        sealed = unseal(_str(members.get("encrypted_content", NULL)))
    except FAILED:
        return item
    if sealed is None:
        return item
    if sealed.origin != origin or not sealed.signature:
        return None
    members.pop("id", None)
    members["encrypted_content"] = raw_value(sealed.signature)
    return bytes(close_body(members))
