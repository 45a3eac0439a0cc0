"""A tool's schema for protocols that want the arguments to be an object, and the schema to say so.

In:     the schema as it came. Out: the same bytes where it says its type, else with `"type": "object"` before the rest.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.raw import ABSENT, FAILED

NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')
_TYPE = Raw(b'"object"')
_members = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def object_schema(raw: Raw) -> Raw:
    """An absent schema, null, true and {} are an object of anything: Anthropic and Bedrock refuse them."""
    if raw is ABSENT:
        return NO_ARGUMENTS
    try:
        members = _members(raw)
    except FAILED:
        return NO_ARGUMENTS
    if "type" in members:
        return raw
    return Raw(_encode({"type": _TYPE, **members})) if members else NO_ARGUMENTS
