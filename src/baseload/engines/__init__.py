"""Owned engines: what turns tokens out on this machine.

In:     a model file. Out: an OpenAI-compatible server on loopback, as a process of its own.
May import: errors. Each engine is started by the supervisor (`baseload up`), never by the gateway.
"""
