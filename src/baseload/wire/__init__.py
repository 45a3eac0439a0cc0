"""Protocols: bytes in, facts out. Sans-IO: no socket, clock, price or configuration.

In:     request bodies, reply bodies, stream pieces cut anywhere.
Out:    patched bodies, frames to forward, normalised usage, error envelopes.
May import: errors, msgspec.

Read in this order: `body.py` (request bodies as raw members), `sse.py` (frames), `chat.py` (chat, completions,
embeddings: what a request asks, what goes upstream), `shapes.py` (replies as structs), `meter.py` (streams, read
along), `strip.py` (a null usage cut out of a frame), `reply.py` (whole replies), `usage.py` and `usage_openai.py` (a
provider's usage object -> disjoint meters), `refusals.py` (the gateway's own), `envelope.py` (refusals in the caller's
own protocol).
"""
