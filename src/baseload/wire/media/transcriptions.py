"""`POST /v1/audio/transcriptions`: what is said in a recording, as JSON, text, subtitles or a stream of events.

In:     a form: `model`, `file` (or `url` where a provider takes one), `stream`, `response_format`, ...
Out:    see the room.
Reports: `usage` by duration (-> `audio_ms`) or in tokens; `duration` of verbose replies. Subtitles are read for the end
of their last line. Plain text says nothing: its usage is missing, not zero.

A file's size is no duration. For the hold, a WAV file is as long as its header says, any other no denser than
BYTES_A_SECOND (16 kbit/s, a low rate for speech); at least a second, at most AUDIO_MS_MAX. What a provider reports is
billed, be it more or less.
"""

from __future__ import annotations

import re
import struct

from baseload.wire.ask import Ask, InvalidMember
from baseload.wire.media.multipart import Field, Form, read_form
from baseload.wire.media.shapes import begin
from baseload.wire.metering import Facts
from baseload.wire.raw import ABSENT

BYTES_A_SECOND = 2000
AUDIO_MS_MAX = 4 * 3_600_000  # four hours: more than any provider takes in one file
SUBTITLES_MAX = 64 * 2**20

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}
_TIME = re.compile(rb"-->[ \t]*(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{3})")


def open(body: bytes | bytearray, content_type: str) -> Form:
    return read_form(body, content_type)


def read_ask(form: Form) -> Ask:
    """A `Refusal` names in `param` what is missing or wrong."""
    model = form.text("model")
    if not model:
        raise InvalidMember(
            "The request names no model.", "Add a field model.", code="missing_required_parameter", param="model"
        )
    form.one("response_format")
    stream = _BOOLEANS.get((form.text("stream") or "").lower())
    if stream is None:
        raise InvalidMember("stream must be true or false.", "Send true or false for stream.", param="stream")
    file = form.one("file")
    if file is None and not form.text("url"):
        raise InvalidMember("The request has no file.", "Add file.", code="missing_required_parameter", param="file")
    bound = AUDIO_MS_MAX if file is None else _bound_ms(form, file)
    return Ask(model, stream, units=(("audio_ms", bound),))


def patch(form: Form, ask: Ask, upstream_model: str) -> bytes:
    """The form with the provider's name of the model; every other byte as it came."""
    field = form.one("model")
    assert field is not None  # read_ask found it
    return form.replaced(field, upstream_model.encode())


def read_reply(body: bytes, content_type: str = "") -> Facts:
    """JSON where it is an object, else subtitles or text. Never raises."""
    if body.lstrip()[:1] != b"{":
        end = _subtitles_end_ms(body)
        return Facts(units={"audio_ms": end} if end else {}, text_bytes=len(body))
    begun = begin(body)
    if begun is None:
        return Facts(malformed=True)
    facts, found = begun
    if not facts.usage and found.duration is not ABSENT:
        facts.usages = [b'{"duration":' + bytes(found.duration) + b"}"]
    facts.text_bytes = max(0, len(found.text) - 2)
    return facts


def wav_ms(data: bytes | memoryview) -> int:
    """How long a WAV recording lasts, by its header; 0 where it is none, or says nothing that can be right."""
    head = bytes(data[:4096])
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return 0
    at, rate = 12, 0  # rate: bytes a second
    while at + 8 <= len(head):
        kind, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if kind == b"fmt " and at + 24 <= len(head):
            form, channels, samples, said, frame, bits = struct.unpack_from("<HHIIHH", head, at + 8)
            plain = form in (1, 3, 0xFFFE) and frame == channels * bits // 8 and said == samples * frame
            rate = said if plain else 0  # a header that contradicts itself says nothing
        elif kind == b"data":
            there = len(data) - at - 8
            size = min(size, there)  # a stream's header says 0 or 2**32 - 1
            return -(-(size or there) * 1000 // rate) if rate else 0
        at += 8 + size + (size & 1)
    return 0


def _bound_ms(form: Form, file: Field) -> int:
    size = file.end - file.start
    exact = wav_ms(memoryview(form.body)[file.start : file.end])
    return min(max(exact or size * 1000 // BYTES_A_SECOND, 1000), AUDIO_MS_MAX)


def _subtitles_end_ms(body: bytes) -> int:
    """The end of the last line of SRT or WebVTT, in milliseconds; 0 where there is none."""
    if b"-->" not in body or len(body) > SUBTITLES_MAX:
        return 0
    return max((_ms(*match.groups()) for match in _TIME.finditer(body)), default=0)


def _ms(hours: bytes | None, minutes: bytes, seconds: bytes, thousandths: bytes) -> int:
    return ((int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(thousandths)
