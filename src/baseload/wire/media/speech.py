"""`POST /v1/audio/speech`: a text spoken. The reply is sound, relayed as it comes, or events with `stream_format` sse.

In:     `{model, input, voice, response_format, stream_format, ...}`. Out: see the room.
A reply of sound reports nothing: the characters (code points) of `input` are counted from the request. Events end with
a report in tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from baseload.wire.ask import Ask, InvalidMember
from baseload.wire.body import open_body
from baseload.wire.media.shapes import begin, model_of, required, string, with_model
from baseload.wire.metering import Facts
from baseload.wire.raw import ABSENT

GUARDED = ("model", "input", "stream_format")


def open(body: bytes | bytearray, content_type: str = "") -> dict[str, Raw]:
    return open_body(body, GUARDED)


def read_ask(members: Mapping[str, Raw]) -> Ask:
    """A `Refusal` names in `param` what is missing or wrong."""
    model = model_of(members)
    text = string(required(members, "input", b'"', "a string"))
    if not text:
        raise InvalidMember("input is empty.", "Send the text to speak.", param="input")
    stream = string(members.get("stream_format", ABSENT)) == "sse"
    return Ask(model, stream, units=(("characters", len(text)),))


def patch(members: Mapping[str, Raw], ask: Ask, upstream_model: str) -> bytes:
    return with_model(members, upstream_model)


def read_reply(body: bytes, content_type: str = "") -> Facts:
    """A JSON body (an error, mostly) is read; sound has no facts. Never raises."""
    if content_type.partition(";")[0].strip().lower() not in ("", "application/json"):
        return Facts()
    begun = begin(body)
    return Facts(malformed=True) if begun is None else begun[0]
