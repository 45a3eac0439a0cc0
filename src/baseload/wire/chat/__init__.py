"""OpenAI's chat, completions and embeddings: read along, patched, and to and from the canonical form.

Forwarding, in reading order: `ask.py` (what a request asks; the patched body), `shapes.py` (replies as structs),
`meter.py` (streams, read along), `strip.py` (a null usage cut out of a frame), `facts.py` (whole replies), `usage.py`
and `usage_plain.py` (usage objects -> meters).

Translating, by the names that every protocol has (see `canon`), each with its helpers:
- `request_in.py`: `messages_in.py`, `parts_in.py`, `tools_in.py`, `values.py` (members of the right kind, or a refusal)
- `request_out.py`: `messages_out.py`, `parts_out.py`, `tools_out.py`, `thought_out.py`
- `reply_in.py`, `stream_in.py`: `pieces.py` (what a chunk or a reply consists of), `loose.py` (values of any kind)
- `reply_out.py`, `stream_out.py`: `usage_out.py` (meters -> usage), `annotations.py` (citations)
- both ways: `reasoning.py` (thinking, for which chat has no place), `words.py` (finish reasons, tiers)
They are imported by their own names: `wire.usage` needs this package before they can be.
"""

from baseload.wire.ask import Ask, InvalidMember
from baseload.wire.chat.ask import ENDPOINTS, patch_request, read_request
from baseload.wire.chat.facts import read_reply
from baseload.wire.chat.meter import StreamMeter
from baseload.wire.metering import Facts

__all__ = ["ENDPOINTS", "Ask", "Facts", "InvalidMember", "StreamMeter", "patch_request", "read_reply", "read_request"]
