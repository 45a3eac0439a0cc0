"""OpenAI's chat, completions and embeddings: read along, patched, and to and from the canonical form.

In reading order: `ask.py` (what a request asks; the patched body), `shapes.py` (replies as structs), `meter.py`
(streams, read along), `strip.py` (a null usage cut out of a frame), `facts.py` (whole replies), `usage.py` and
`usage_plain.py` (usage objects -> meters).
"""

from baseload.wire.ask import Ask, InvalidMember
from baseload.wire.chat.ask import ENDPOINTS, patch_request, read_request
from baseload.wire.chat.facts import read_reply
from baseload.wire.chat.meter import StreamMeter
from baseload.wire.metering import Facts

__all__ = ["ENDPOINTS", "Ask", "Facts", "InvalidMember", "StreamMeter", "patch_request", "read_reply", "read_request"]
