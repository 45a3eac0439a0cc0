"""Sealed thinking in a chat request that is forwarded as it came: it is never this provider's, so it goes no further.

In:     the raw `messages`. Out: the same without sealed entries of `reasoning_details`; their names.
A seal says that a provider of another protocol made the thinking (`canon/signature.py`): in chat nobody can use it, and
one who checks signatures would refuse it (protocols.md, pitfall 2). Messages without a seal keep their bytes.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import close_body, raw_value
from baseload.wire.canon.signature import MARK
from baseload.wire.raw import FAILED

_DETAILS = "reasoning_details"
_list = msgspec.json.Decoder(list[Raw]).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode


def without_seals(messages: Raw, lost: list[str]) -> Raw:
    """`lost` gets the name of each member that something was taken out of."""
    try:
        items = _list(messages)
    except FAILED:
        return messages
    return raw_value([_message(item, f"messages.{at}.{_DETAILS}", lost) for at, item in enumerate(items)])


def _message(raw: Raw, name: str, lost: list[str]) -> Raw:
    if MARK not in bytes(raw):
        return raw
    try:
        members = _members(raw)
        details = _list(members[_DETAILS])
    except (KeyError, *FAILED):
        return raw
    kept = [detail for detail in details if MARK not in bytes(detail)]
    if len(kept) == len(details):
        return raw
    lost.append(name)
    if kept:
        members[_DETAILS] = raw_value(kept)
    else:
        del members[_DETAILS]
    return Raw(close_body(members))
