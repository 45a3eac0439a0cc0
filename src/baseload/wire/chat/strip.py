"""Cuts a top-level `"usage":null` out of a frame and leaves every other byte."""

from __future__ import annotations

import msgspec

from baseload.wire.raw import FAILED

_CANDIDATES_MAX = 8  # each costs a pass over what stands before it
_SPACE = b" \t\r\n"
_LF, _CR, _CLOSING = b"\n\r]"


class _Nothing(msgspec.Struct, gc=False):
    pass


_is_object = msgspec.json.Decoder(_Nothing).decode  # checks a whole object, builds nothing of it


def without_null_usage(frame: bytes) -> bytes:
    """The frame without its top-level `"usage":null` member; unchanged where it cannot be found with certainty.

    The frame's JSON must be valid. A member's name is found as `"usage"`: inside a string its quotes would be escaped.
    It is at the top level exactly if what stands before it, closed with one brace, is an object.
    """
    head, found, tail = frame.rpartition(b',"usage":null')
    # Only one bracket closes after it, the outermost: nothing was open around it but that (brackets inside strings can
    # only make the count larger).
    if (
        found
        and tail.count(b"}") == 1
        and _CLOSING not in tail
        and head[:5] == b"data:"
        and _LF not in head
        and _CR not in head
    ):
        return head + tail
    if frame[:5] == b"data:":
        begin = 5
    else:
        begin = max(frame.find(b"\ndata:"), frame.find(b"\rdata:")) + 6
        if begin == 5:
            return frame
    at = len(frame)
    for _ in range(_CANDIDATES_MAX):
        at = frame.rfind(b'"usage"', begin, at)
        if at < 0:
            break
        tail = frame[at + 7 : at + 39].lstrip(_SPACE)
        if tail[:1] != b":" or not tail[1:].lstrip(_SPACE).startswith(b"null"):
            continue
        head = frame[begin:at].rstrip(_SPACE)
        end = frame.index(b"null", at + 7) + 4
        if head[-1:] == b",":
            try:
                _is_object(head[:-1] + b"}")
            except FAILED:
                continue
            return frame[: begin + len(head) - 1] + frame[end:]
        if head.strip(_SPACE) == b"{":
            rest = frame[end:]
            after = rest.lstrip(_SPACE)
            if after[:1] == b",":
                rest = after[1:].lstrip(_SPACE)
            return frame[:at] + rest
    return frame
