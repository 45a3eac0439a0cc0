"""An instance of a simple JSON schema, always the same for the same schema and text. Pure."""

from __future__ import annotations

from typing import Any

BIG = 2**53 + 1  # an integer that a float would spoil: given for properties whose name says "big"


def instance(schema: Any, text: str, name: str = "", root: Any = None) -> Any:
    """A value that `schema` accepts. Texts are `text`; every property is there, in the schema's order."""
    if not isinstance(schema, dict):
        return text
    root = schema if root is None else root
    if "$ref" in schema:
        return instance(_at(root, schema["$ref"]), text, name, root)
    for choices in ("anyOf", "oneOf"):
        if schema.get(choices):
            fitting = [option for option in schema[choices] if option.get("type") not in ("null", "NULL")]
            return instance(fitting[0] if fitting else {"type": "null"}, text, name, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    match str(kind).lower():
        case "object":
            return {key: instance(value, text, key, root) for key, value in (schema.get("properties") or {}).items()}
        case "array":
            return [instance(schema.get("items"), text, name, root) for _ in range(max(schema.get("minItems", 1), 1))]
        case "integer":
            return BIG if "big" in name.lower() else max(schema.get("minimum", 7), 7)
        case "number":
            return max(schema.get("minimum", 1.5), 1.5)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return text[: schema["maxLength"]] if isinstance(schema.get("maxLength"), int) else text


def _at(root: Any, pointer: str) -> Any:
    for step in pointer.removeprefix("#").split("/"):
        if step:
            root = root[step]
    return root
