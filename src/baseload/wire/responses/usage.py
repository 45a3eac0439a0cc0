"""Usage of Responses: the numbers of chat under other names, and tools beside them.

In:     one raw usage object, with the reply's `tool_usage` in it where tools were used (`Response.report`).
Out:    `Found`. `input_tokens` includes what was read from and written to a cache, `output_tokens` includes reasoning
        (protocols.md, section 7): the arithmetic is chat's.

`tool_usage` is outside `usage` and priced by itself. Web searches are a meter. Tokens of image generation have none:
the reading is flagged "image_generation", and the raw report that is kept with it holds the numbers.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.chat import usage as chat_usage
from baseload.wire.found import COUNT_MAX, Found
from baseload.wire.raw import ABSENT, FAILED

_NAMES = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}


class _Search(msgspec.Struct, gc=False):
    num_requests: int | None = None


class _Images(msgspec.Struct, gc=False):
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Tools(msgspec.Struct, gc=False):
    web_search: Raw = ABSENT
    image_gen: Raw = ABSENT


_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_tools = msgspec.json.Decoder(_Tools).decode
_decode_search = msgspec.json.Decoder(_Search).decode
_decode_images = msgspec.json.Decoder(_Images).decode
_encode = msgspec.json.Encoder().encode


def read(raw: bytes, vendor: str, embeddings: bool, request_ttl: str) -> Found:
    """One report; see `chat/usage.py` for what voids it and how contradictions are flagged."""
    try:
        members = _decode_members(raw)
    except FAILED:
        return chat_usage.read(raw, vendor, embeddings, request_ttl)  # void, and flagged so there
    tools = members.pop("tool_usage", None)
    renamed = {name: value for name, value in members.items() if name not in _NAMES}
    for name, chats in _NAMES.items():
        if name in members:
            renamed[chats] = members[name]
    found = chat_usage.read(_encode(renamed), vendor, embeddings, request_ttl)
    return found if tools is None else _with_tools(found, tools)


def _with_tools(found: Found, raw: Raw) -> Found:
    flags = list(found.flags)
    meters = dict(found.meters)
    try:
        tools = _decode_tools(raw)
        searches = None if tools.web_search is ABSENT else _decode_search(tools.web_search).num_requests
        images = _Images() if tools.image_gen is ABSENT else _decode_images(tools.image_gen)
    except FAILED:
        flags.append("invalid")
        searches, images = None, _Images()
    if searches and not 0 <= searches <= COUNT_MAX:
        flags.append("invalid")
    elif searches:
        meters["web_searches"] = searches
    if images.total_tokens or images.input_tokens or images.output_tokens:
        flags.append("image_generation")
    return Found(
        meters,
        found.input_known,
        found.output_known,
        tuple(dict.fromkeys(flags)),
        found.select,
        found.tier,
        found.cost,
    )
