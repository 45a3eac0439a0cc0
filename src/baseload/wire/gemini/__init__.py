"""Google's generateContent: read along, patched, and to and from the canonical form.

In reading order: `names.py` (members under two spellings), `ask.py` (what a request asks; the patched body),
`shapes.py` (replies as structs), `array.py` (streams as one JSON array), `frames.py` (streams in any form), `meter.py`
(streams, read along), `facts.py` (whole replies), `usage.py` and `usage_out.py` (usageMetadata <-> meters),
`finish.py` (finish reasons), `errors.py` (the envelope).

Then the six of `canon`: `request_in.py` with `parts_in.py`, `media.py` and `schema.py`; `request_out.py` with
`parts_out.py` and `thought_out.py`; `stream_in.py` with `partial.py` and `logprobs.py`; `reply_in.py`; `stream_out.py`
and `reply_out.py` with `scribe.py` and `cite.py`. Last `count.py` (countTokens) and `embed.py` (embeddings, from and to
OpenAI's).
"""

from baseload.wire.gemini.array import ArrayIn, ArrayOut
from baseload.wire.gemini.ask import GUARDED, patch, read_ask
from baseload.wire.gemini.errors import error_body, error_frame
from baseload.wire.gemini.facts import read_reply
from baseload.wire.gemini.meter import StreamMeter

__all__ = [
    "GUARDED",
    "ArrayIn",
    "ArrayOut",
    "StreamMeter",
    "error_body",
    "error_frame",
    "patch",
    "read_ask",
    "read_reply",
]
