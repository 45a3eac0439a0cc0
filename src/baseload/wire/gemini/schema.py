"""JSON schemas on their way from and to Google.

`from_openapi`   a `Schema` of `parameters` or `responseSchema` (OpenAPI 3.0, type names in capitals) -> JSON schema.
                 `propertyOrdering` has no counterpart and is reported.
`for_output`     a JSON schema for `responseJsonSchema`: unchanged, but for a `$ref` that has neighbours. Google takes
                 none beside it, so the reference moves into an `anyOf` of one: the meaning is the same.

Tools go out by `parametersJsonSchema`, byte for byte: `$ref`, `$defs`, `additionalProperties`, `oneOf`, `const` and all
the rest stay as they came. Keys keep their order and numbers their digits: values that are no schemas are not parsed.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw

from baseload.wire.ask import TRUE
from baseload.wire.gemini.names import camel
from baseload.wire.raw import FAILED, NULL

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_str = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_MAPS = ("properties", "$defs", "defs", "definitions", "patternProperties", "dependentSchemas")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "additionalItems")
_NUMBERS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_RENAMED = {"defs": "$defs", "ref": "$ref", "example": "examples"}
_QUOTE = 0x22
DEPTH_MAX = 100
"""Levels of a schema that are looked into; below them it stays as it is."""


def from_openapi(raw: Raw, lost: Callable[[str], None]) -> Raw:
    """The JSON schema of Google's `Schema`; the same bytes where it cannot be read. `lost` hears of each keyword."""
    return _from_openapi(raw, lost, 0)


def _from_openapi(raw: Raw, lost: Callable[[str], None], depth: int) -> Raw:
    members = _object(raw)
    if members is None or depth > DEPTH_MAX:
        return raw
    schema: dict[str, Raw] = {}
    nullable = False
    for spelled, value in members.items():
        name = spelled if spelled.startswith("$") else camel(spelled)
        if name == "type":
            value = _lowered(value)
        elif name == "nullable":
            nullable = value == TRUE
            continue
        elif name == "propertyOrdering":
            lost(name)
            continue
        elif name in _NUMBERS and memoryview(value)[0] == _QUOTE:  # protobuf writes an int64 as a string
            value = Raw(bytes(value).strip(b'"'))
        elif name == "example":
            value = Raw(b"[" + bytes(value) + b"]")
        else:
            value = _inside(name, value, lambda each: _from_openapi(each, lost, depth + 1))
        schema[_RENAMED.get(name, name)] = value
    if nullable:
        _allow_null(schema)
    return Raw(_encode(schema))


def _allow_null(schema: dict[str, Raw]) -> None:
    kind = schema.get("type")
    if kind is not None and memoryview(kind)[0] == _QUOTE:
        schema["type"] = Raw(b"[" + bytes(kind) + b',"null"]')
        enum = _items(schema.get("enum"))
        if enum and NULL not in enum:
            schema["enum"] = Raw(_encode([*enum, NULL]))
    elif "anyOf" in schema:
        schema["anyOf"] = Raw(_encode([*_items(schema["anyOf"]), Raw(b'{"type":"null"}')]))


def for_output(raw: Raw) -> Raw:
    """The schema for `responseJsonSchema`; the same bytes where nothing must change."""
    return _for_output(raw, 0) if b'"$ref"' in bytes(raw) else raw


def _for_output(raw: Raw, depth: int) -> Raw:
    members = _object(raw)
    if members is None or depth > DEPTH_MAX or b'"$ref"' not in bytes(raw):
        return raw
    schema = {name: _inside(name, value, lambda each: _for_output(each, depth + 1)) for name, value in members.items()}
    if "$ref" in schema and any(not name.startswith("$") for name in schema):
        branch = Raw(_encode({"$ref": schema.pop("$ref")}))
        if "anyOf" not in schema:
            schema["anyOf"] = Raw(_encode([branch]))
        else:
            schema["allOf"] = Raw(_encode([branch, *_items(schema.get("allOf"))]))
    if all(schema[name] is members.get(name) for name in schema):
        return raw
    return Raw(_encode(schema))


def _inside(name: str, value: Raw, change: Callable[[Raw], Raw]) -> Raw:
    """A keyword's value with the schemas in it changed; the same object where none is."""
    if name in _SINGLE:
        return change(value)
    if name in _MAPS:
        inner = _object(value)
        if inner is None:
            return value
        changed = {key: change(each) for key, each in inner.items()}
        return value if all(changed[key] is inner[key] for key in inner) else Raw(_encode(changed))
    if name in _LISTS:
        items = _items(value)
        made = [change(each) for each in items]
        return value if all(a is b for a, b in zip(items, made, strict=True)) else Raw(_encode(made))
    return value


def _lowered(value: Raw) -> Raw:
    """OBJECT -> object. TYPE_UNSPECIFIED never comes from anybody's schema."""
    try:
        return Raw(_encode(_str(value).lower()))
    except FAILED:
        return value


def _object(raw: Raw) -> dict[str, Raw] | None:
    try:
        return _members(raw)
    except FAILED:
        return None


def _items(raw: Raw | None) -> list[Raw]:
    try:
        return [] if raw is None else _list(raw)
    except FAILED:
        return []
