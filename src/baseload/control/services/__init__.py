"""What the API, the console and the command can do, a file a subject.

Functions take the `Context` and plain values, return plain dicts, and raise `Refusal` with what to change. Every change
leaves an audit row and publishes a snapshot.
"""
