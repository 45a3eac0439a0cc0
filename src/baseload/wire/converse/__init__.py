"""Bedrock's Converse and ConverseStream, as a provider speaks them; no client of ours does.

In:     canonical requests; replies whole, and streams in AWS's binary framing. Out: bodies for the provider; canonical
        replies and events; facts and usage.
May import: errors, msgspec, `wire.canon`, `wire.eventstream`, the shared readers of `wire`.

In reading order: `request_out.py` (with `blocks.py`: parts of a turn, and `thought.py`: how much to think), `shapes.py`
(replies as structs), `reply_in.py`, `stream_in.py`, `meter.py` (streams, read along), `facts.py` (whole replies),
`usage.py` (usage -> meters).
The model stands in the URL (vendors.md 3.13), so no body carries it.
"""

from baseload.wire.converse.facts import read_reply
from baseload.wire.converse.meter import StreamMeter

__all__ = ["StreamMeter", "read_reply"]
