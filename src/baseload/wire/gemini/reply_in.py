"""A provider's whole generateContent reply -> the canonical form: the same as a stream of one object."""

from __future__ import annotations

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import Reply
from baseload.wire.canon.fold import Folder
from baseload.wire.gemini.shapes import decode_chunk, is_error, objects_in
from baseload.wire.gemini.stream_in import StreamIn
from baseload.wire.raw import ABSENT, FAILED

_SPACE = b" \t\r\n"


def read(body: bytes, target: Target) -> Reply:
    """The reply. A blocked prompt is an answer without parts. Raises `ProviderFault("garbage")` for what is none."""
    try:
        chunks = [decode_chunk(each) for each in objects_in(body.strip(_SPACE))]
    except FAILED:
        raise ProviderFault("garbage", "the reply is no JSON object", sent=True) from None
    if any(chunk.error is not ABSENT and is_error(chunk.error) for chunk in chunks):
        raise ProviderFault("garbage", "the reply is an error", sent=True)
    stream = StreamIn(target)
    folder = Folder()
    for chunk in chunks:
        folder.put(stream.take(chunk))
    folder.put(stream.close(whole=True))
    reply = folder.reply()
    if not reply.answers:
        raise ProviderFault("garbage", "the reply has no candidates", sent=True)
    return reply
