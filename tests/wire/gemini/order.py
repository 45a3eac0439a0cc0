"""A checker of generateContent replies and streams: shape, order, and what Google's own types accept.

In: bytes that we wrote. Out: the objects, or an AssertionError that says what is wrong.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from google.genai import types

CONTENTS = ("text", "functionCall", "inlineData", "fileData")
TOP = ["candidates", "usageMetadata", "modelVersion", "responseId"]
FINISHES = {each.value for each in types.FinishReason}


def check_sse(stream: bytes) -> list[dict[str, Any]]:
    """A whole SSE stream, keep-alives taken out."""
    objects = []
    frames = [frame.lstrip(b"\n") for frame in stream.split(b"\n\n")]
    for frame in frames:
        if not frame:
            continue
        assert frame.startswith(b"data: "), "Google's library takes every other line for JSON"
        assert b"\n" not in frame
        objects.append(json.loads(frame[6:]))
    assert stream.endswith(b"\n")
    return check(objects)


def check_array(body: bytes) -> list[dict[str, Any]]:
    return check(json.loads(body))


def check(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects of one stream, or of a whole reply as the only one."""
    assert objects
    finished: set[int] = set()
    seen: set[int] = set()
    for number, one in enumerate(objects):
        last = number == len(objects) - 1
        if "error" in one:
            assert last, "nothing follows an error"
            assert list(one) == ["error"], "Google's library knows an error by its first member"
            assert {"code", "message", "status"} <= one["error"].keys()
            return objects
        assert [name for name in TOP if name in one] == list(one), f"members out of order: {list(one)}"
        assert one["modelVersion"]
        assert one["responseId"] == objects[0]["responseId"]
        assert last or "usageMetadata" not in one, "usage stands on the last object"
        for candidate in one.get("candidates", ()):
            index = candidate["index"]
            assert index not in finished, "nothing follows a finishReason"
            seen.add(index)
            _check_parts(candidate)
            if "finishReason" in candidate:
                assert candidate["finishReason"] in FINISHES
                finished.add(index)
            else:
                assert candidate["content"]["parts"], "an object without parts says nothing"
        types.GenerateContentResponse.model_validate(one)
    assert seen == finished, "every candidate has its finishReason"
    return objects


def _check_parts(candidate: dict[str, Any]) -> None:
    content = candidate.get("content")
    if content is None:
        assert candidate.get("finishReason") == "SAFETY"
        return
    assert content["role"] == "model"
    assert content["parts"], "Google's chat classes drop a turn that has an object without parts"
    for part in content["parts"]:
        found = [name for name in CONTENTS if name in part]
        assert len(found) == 1, f"one content a part: {part}"
        assert part.keys() <= {*CONTENTS, "thought", "thoughtSignature"}
        if "functionCall" in part:
            call = part["functionCall"]
            assert call["name"]
            assert isinstance(call["args"], dict)
            assert call.get("id", "x")
        if part.get("text") == "":
            assert "thoughtSignature" in part or "finishReason" in candidate
        if "thoughtSignature" in part:
            base64.b64decode(part["thoughtSignature"], validate=True)


def texts(objects: list[dict[str, Any]], index: int = 0, *, thought: bool = False) -> str:
    """The text, or the thoughts, of one candidate."""
    return "".join(
        part.get("text", "")
        for part in parts(objects, index)
        if bool(part.get("thought")) == thought and "text" in part
    )


def parts(objects: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    return [
        part
        for one in objects
        for candidate in one.get("candidates", ())
        if candidate["index"] == index
        for part in candidate.get("content", {}).get("parts", ())
    ]
