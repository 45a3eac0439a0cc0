"""OpenAI's Responses: read along, patched, pinned, and to and from the canonical form.

In:     request bodies, reply bodies and streams of `/v1/responses`.
Out:    what a request asks, patched bodies, facts and meters; canonical requests, replies and events, and back.
May import: errors, msgspec, the rest of `wire`.

In reading order: `ask.py` (what a request asks; the patched body), `pin.py` (ids of stored responses carry their
place), `shapes.py` (replies and events as structs), `meter.py` (streams, read along), `facts.py` (whole replies),
`usage.py` (usage -> meters) and `usage_out.py` (back); `request_in.py` with `items_in.py`, `request_out.py` with
`items_out.py` (conversations); `reply_in.py`, `stream_in.py` (a provider's answer -> canonical); `reply_out.py`,
`stream_out.py` with `answer.py` (canonical -> a client's answer).
"""

from baseload.wire.responses.ask import GUARDED, patch, read_ask
from baseload.wire.responses.facts import read_reply
from baseload.wire.responses.meter import StreamMeter

__all__ = ["GUARDED", "StreamMeter", "patch", "read_ask", "read_reply"]
