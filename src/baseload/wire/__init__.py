"""Protocols: bytes in, facts out. Sans-IO: no socket, clock, price or configuration.

In:     request bodies, reply bodies, stream pieces cut anywhere.
Out:    patched bodies, frames to forward, normalised usage, error envelopes.
May import: errors, msgspec.

Read in this order: `body.py` (request bodies as raw members), `sse.py` (frames), `chat.py` (chat, completions,
embeddings: what a request asks, what a reply says), `usage.py` (a provider's usage object -> disjoint meters),
`envelope.py` (refusals in the caller's own protocol).
"""
