"""The canonical form -> a client's whole generateContent reply.

Signatures are sealed and stand on the part after their thinking (`scribe.py`). A choice that a filter ended with
nothing to show has no content, as Google's own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.wire.canon.carry import View
from baseload.wire.canon.events import Counted, Ended, Finished, Reply, Started
from baseload.wire.canon.fold import unfold
from baseload.wire.gemini import logprobs, usage_out
from baseload.wire.gemini.finish import word_of
from baseload.wire.gemini.scribe import Scribe

_encode = msgspec.json.Encoder().encode


def write(reply: Reply, view: View) -> bytes:
    """The body."""
    scribe = Scribe(view)
    parts: dict[int, list[dict[str, Any]]] = {}
    candidates = []
    for event in unfold(reply):
        if isinstance(event, Finished):
            candidates.append(_candidate(event, parts.pop(event.choice, []), scribe))
        elif not isinstance(event, Started | Counted | Ended):
            made = scribe.put(event)
            if made:
                parts.setdefault(event.choice, []).extend(made)  # type: ignore[union-attr]
    body: dict[str, Any] = {"candidates": candidates}
    if reply.meters is not None:
        body["usageMetadata"] = usage_out.write(reply.meters)
    body["modelVersion"] = view.model
    body["responseId"] = reply.id or view.id
    return _encode(body)


def _candidate(event: Finished, parts: list[dict[str, Any]], scribe: Scribe) -> dict[str, Any]:
    parts = parts + scribe.finish(event.choice)
    if not parts and event.reason != "filter":
        parts = [{"text": ""}]
    candidate: dict[str, Any] = {}
    if parts:
        candidate["content"] = {"role": "model", "parts": parts}
    candidate["finishReason"] = word_of(event.reason)
    if event.choice in scribe.citations:
        candidate["citationMetadata"] = {"citations": scribe.citations[event.choice]}
    result = logprobs.to_result(scribe.logprobs.get(event.choice, []))
    if result is not None:
        candidate["logprobsResult"] = result
    candidate["index"] = event.choice
    return candidate
