"""Anthropic Messages: read along, patched, and to and from the canonical form.

In reading order: `ask.py` (what a request asks; the patched body), `seals.py` (thinking that came back sealed, in a
forwarded body), `shapes.py` (stream events and replies as structs), `frames.py` and `reports.py` (frames and usage
reports of a stream), `meter.py` (streams, read along), `facts.py` (whole replies), `usage.py` (usage objects -> meters)
and `usage_out.py` (back), `finish.py` (stop reasons).
Then the canonical form: `blocks_in.py` and `request_in.py`, `blocks_out.py`, `thought_out.py` and `request_out.py`,
`reply_in.py` and `stream_in.py`, `ending.py`, `reply_out.py` and `stream_out.py`.
"""

from baseload.wire.messages.ask import GUARDED, patch, read_ask
from baseload.wire.messages.facts import read_reply
from baseload.wire.messages.meter import StreamMeter

__all__ = ["GUARDED", "StreamMeter", "patch", "read_ask", "read_reply"]
