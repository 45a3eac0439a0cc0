"""Owned engines: what turns tokens out on this machine.

In:     a model file. Out: an OpenAI-compatible server on loopback, as a process of its own.
May import: errors. Each engine is started by the supervisor (`baseload up`), never by the gateway.

Read in this order: `cards.py` (what the embedded engine serves, where its model is, how to start it), `embedded.py`
(the process itself: llama.cpp's own HTTP server), `lifeline.py` (an engine never outlives who started it).
"""
