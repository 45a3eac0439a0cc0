"""The canonical form: what every protocol is read into and written from, so that no two protocols know each other.

In:     a request, a reply or a stream of one protocol, by its `*_in` modules.
Out:    the same in another, by its `*_out` modules; what cannot be carried is named or refused.
May import: errors, msgspec, `wire.raw`.

Read in this order: `request.py` (conversations), `events.py` (replies, piece by piece and whole), `carry.py` (what may
be lost, and the facts of the target), `signature.py` (thinking that must come back unchanged), `ids.py` (ids of tool
calls), `fold.py` (events -> whole reply and back), `sequence.py` (blocks strictly one after another).

A protocol's folder has, beside its own readers, six modules with these names:

    request_in.read(members) -> Request                    a client's request
    request_out.write(request, target) -> Written           the body for a provider
    reply_in.read(body, target) -> Reply                    a provider's whole reply
    reply_out.write(reply, view) -> bytes                   the client's whole reply
    stream_in.StreamIn(target): feed(bytes), close()        a provider's stream -> events
    stream_out.StreamOut(view): write(events), fail(...)    events -> the client's stream
"""
