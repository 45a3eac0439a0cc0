"""A canonical reply -> the client's whole Responses reply.

In:     `Reply`, `View`. Out: the body.
It is the object that the stream of the same reply ends with, so that both say the same.
"""

from __future__ import annotations

import msgspec

from baseload.wire.canon.carry import View
from baseload.wire.canon.events import Reply
from baseload.wire.canon.fold import unfold
from baseload.wire.responses.stream_out import StreamOut

_encode = msgspec.json.Encoder().encode


def write(reply: Reply, view: View) -> bytes:
    """The body. Raises `ProviderFault("garbage")` for a reply that is larger than any may be."""
    out = StreamOut(view)
    out.write(unfold(reply))
    return _encode(out.response)
