"""Request bodies as top-level members with raw values: opened, patched, closed.

In:     the bytes of a JSON object. Out: `dict[str, Raw]`, and the bytes that go to the provider.
A value that is not patched leaves byte for byte (escapes, whitespace inside it, big numbers, nested look-alikes): it is
a view into the body that came, copied once when the body is closed, and never parsed here. Writing the dict back also
leaves one of each duplicate member (the last), so that no two readers behind us can pick different ones.

Refused: whatever is not one UTF-8 JSON object, and bodies in which another reader could find a different value for a
member we route or bill by (see `_twin`). Knows no protocol beyond the names of those members.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from baseload.errors import Refusal

GUARDED = (
    "model",
    "stream",
    "stream_options",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "prompt_cache_options",
    "best_of",
    "n_predict",
    "n_cmpl",
)
"""Members whose value decides where a call goes, what is held for it, or what it costs."""

MEMBERS_MAX = 1000
"""Members at the top level. No API has a tenth of it; it bounds the time that looking at their names takes."""
NAME_MAX = 256
"""Characters of a member's name, for the same reason."""

# Names that clients really send: one set comparison answers for a whole body; only other names are looked at closely.
_NAMES = """
messages prompt input audio frequency_penalty function_call functions logit_bias logprobs metadata modalities
moderation parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention reasoning_effort
response_format safety_identifier seed service_tier stop store temperature tool_choice tools top_logprobs top_p user
verbosity web_search_options suffix echo dimensions encoding_format enable_thinking thinking thinking_budget
enable_search search_options top_k min_p repetition_penalty chat_template_kwargs reasoning reasoning_split provider
models plugins user_id request_id do_sample tool_stream extra_body caching partial cache_prompt ignore_eos
system stop_sequences output_config cache_control container diagnostics speed inference_geo context_management
mcp_servers instructions include previous_response_id conversation background background_options truncation text
max_tool_calls client_metadata contents systemInstruction toolConfig safetySettings cachedContent generationConfig
labels serviceTier documents query top_n return_documents voice response_format instructions size quality
"""
_USUAL = frozenset(GUARDED) | frozenset(_NAMES.split())

_open = msgspec.json.Decoder(dict[str, Raw]).decode
_close = msgspec.json.Encoder().encode
_BOM = codecs.BOM_UTF8


class InvalidJson(Refusal):
    """The body is not one JSON object in UTF-8, or it could be read in two ways."""

    code, status = "invalid_json", 400


def open_body(raw: bytes | bytearray, guarded: tuple[str, ...] = GUARDED) -> dict[str, Raw]:
    """The members of a JSON object, in their order; of duplicates the last value, at the place of the first.

    `guarded`: the members that a protocol routes or bills by; a name that another reader may take for one is refused.

    The values are views that keep `raw` alive. A bytearray is copied first: a view would forbid its owner to resize it.
    Raises `InvalidJson` for everything else, with the byte where it went wrong.
    """
    if raw.__class__ is not bytes:
        raw = bytes(raw)
    try:
        if not raw.isascii():
            raw.decode()  # msgspec does not look at the bytes of a string that it skips
        members = _open(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise _explain(raw, why) from None
    if not (members.keys() <= _USUAL):
        if len(members) > MEMBERS_MAX:
            raise InvalidJson(f"The body has {len(members)} members.", f"Send at most {MEMBERS_MAX} at the top level.")
        _refuse_twins((members.keys() - _USUAL).difference(guarded), guarded)
    return members


def patch(members: Mapping[str, Raw], changes: Mapping[str, Raw | None]) -> dict[str, Raw]:
    """A copy with `changes` made: a value replaces the member in its place or is added last, None removes it."""
    patched = dict(members)
    for name, value in changes.items():
        if value is None:
            patched.pop(name, None)
        else:
            patched[name] = value
    return patched


def close_body(members: Mapping[str, Raw]) -> bytes:
    """The members as one JSON object; each value exactly as it came."""
    return _close(members)


def raw_value(value: Any) -> Raw:
    """A value of our own (a name, a flag) as a member for `patch`."""
    return Raw(_close(value))


def open_object(raw: Raw, name: str, guarded: tuple[str, ...]) -> dict[str, Raw]:
    """The members of a nested object that we read; refused when one of `guarded` has a twin. `name` is its own name."""
    try:
        members = _open(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidJson(
            f"{name} must be an object.", f"Send an object as {name}, or leave it out.", code="invalid_type", param=name
        ) from None
    others = members.keys() - guarded
    if others:
        if len(others) > MEMBERS_MAX:
            raise InvalidJson(f"{name} has {len(others)} members.", f"Send at most {MEMBERS_MAX}.", param=name)
        _refuse_twins(others, guarded, within=name)
    return members


def _refuse_twins(names: Iterable[str], guarded: tuple[str, ...], within: str = "") -> None:
    for name in names:
        if len(name) > NAME_MAX:
            raise InvalidJson(
                f"A member's name is {len(name)} characters long.", f"Use names of at most {NAME_MAX} characters."
            )
        twin = _twin(name, guarded)
        if twin:
            where = f" of {within}" if within else ""
            raise InvalidJson(
                f"The member {name!a}{where} can be mistaken for {twin!r}: some servers read it so, others do not.",
                f"Spell it {twin!r}, or remove it.",
                code="ambiguous_member",
                param=within or twin,
            )


@lru_cache(maxsize=4096)  # the few names beyond the usual ones come again and again; bounded, for hostile ones
def _twin(name: str, guarded: tuple[str, ...]) -> str:
    """The guarded member that another reader may take `name` for, or "".

    Go's `encoding/json` matches names without regard to case and folds U+017F to s and U+212A to k; protobuf's JSON
    takes maxTokens for max_tokens; others strip space, control and invisible characters, or normalise; C ends a name
    at NUL.
    """
    readings = {_fold(name), _fold(name.partition("\0")[0])}
    return next((twin for twin in guarded if _fold(twin) in readings), "")


def _fold(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def _explain(raw: bytes, why: Exception) -> InvalidJson:
    fix = "Send one JSON object, encoded as UTF-8."
    if isinstance(why, RecursionError):
        return InvalidJson("The body is nested too deeply.", "Nest arrays and objects less than 500 deep.")
    if not raw.strip():
        return InvalidJson("The body is empty.", fix)
    if raw.startswith(_BOM):
        return InvalidJson("The body begins with a byte order mark (byte 0).", "Send it without the mark.")
    if isinstance(why, UnicodeDecodeError):
        return InvalidJson(f"The body is not UTF-8 (byte {_bad_utf8(raw)}).", fix)
    if isinstance(why, msgspec.ValidationError):
        return InvalidJson(f"The body must be a JSON object, it is of another kind: {why} (byte 0).", fix)
    whole = half_surrogates_masked(raw)
    if whole is not raw:
        try:
            _open(whole)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return InvalidJson(
                "The body holds half of a surrogate pair (such as \\ud83d without its other half).",
                "Cut texts between whole characters, not inside one.",
            )
    text = str(why)
    if "(byte " not in text:
        text = f"{text} (byte {len(raw)})"
    return InvalidJson(f"The body is not valid JSON: {text}.", fix)


def half_surrogates_masked(raw: bytes) -> bytes:
    """The bytes with every escaped surrogate replaced by some other character, for reading facts beside a broken text.

    The same object where there is none. Only for reading: the text itself is changed.
    """
    if b"\\ud" not in raw and b"\\uD" not in raw:
        return raw
    return raw.replace(b"\\ud", b"\\u0").replace(b"\\uD", b"\\u0")


def _bad_utf8(raw: bytes) -> int:
    try:
        raw.decode()
    except UnicodeDecodeError as why:
        return why.start
    return len(raw)
