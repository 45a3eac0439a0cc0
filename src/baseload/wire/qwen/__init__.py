"""DashScope's native door (Qwen), as a provider speaks it; no client of ours does.

In:     canonical requests; replies whole, and SSE streams of the same object with pieces. Out: bodies for the provider;
        canonical replies and events; facts and usage.
May import: errors, msgspec, `wire.canon`, the shared readers of `wire`.

In reading order: `request_out.py` (with `turns.py`: the messages), `shapes.py` (replies as structs), `reply_in.py`,
`stream_in.py`, `meter.py` (streams, read along), `facts.py` (whole replies), `usage.py` (usage -> meters).
"""

from baseload.wire.qwen.facts import read_reply
from baseload.wire.qwen.meter import StreamMeter

__all__ = ["StreamMeter", "read_reply"]
