"""What is forwarded and never translated: rerank, images, speech, transcriptions. Each is metered by its own units.

In:     the request body (JSON members, or a form) and the reply's bytes. Out: `Ask` with the units it may cost at most,
        the patched body, and the facts of the reply. Only the model's name changes; every other byte stays.
May import: errors, msgspec, `wire`.

Read in this order: `rerank.py`, `images.py`, `speech.py`, `transcriptions.py` (an endpoint each, the same four
functions), `multipart.py` (forms), `shapes.py` (what their replies have in common), `meter.py` (streams), `usage.py`
(reports -> meters).

Units: `images`, `search_units` and `characters` are counts, `audio_ms` milliseconds. A provider that reports usage is
billed by its report: tokens, or units. Where it reports none, what was counted is used (`counted`).
"""

from __future__ import annotations

from types import ModuleType

from baseload.wire.ask import Ask
from baseload.wire.media import images, rerank, speech, transcriptions
from baseload.wire.media.meter import BinaryMeter, StreamMeter

ENDPOINTS: dict[str, ModuleType] = {
    "rerank": rerank,
    "images": images,
    "speech": speech,
    "transcriptions": transcriptions,
}
"""Endpoint -> module with `open(body, content_type)`, `read_ask(opened)`, `patch(opened, ask, upstream_model)` and
`read_reply(body, content_type)`."""

USAGE = {"rerank": "rerank", "images": "openai-images", "speech": "openai-speech", "transcriptions": "openai-audio"}
"""Endpoint -> protocol for `usage.normalise`."""


def meter_of(endpoint: str, content_type: str, ask: Ask | None = None) -> StreamMeter | BinaryMeter | None:
    """Who reads the reply along: a stream's meter, or one for sound as it comes; None = it is read whole.

    With `ask`, speech that has begun is counted by the characters of its request, also where it is broken off.
    """
    kind = content_type.partition(";")[0].strip().lower()
    spoken = dict(ask.units) if ask is not None and endpoint == "speech" else {}
    if kind == "text/event-stream":
        return StreamMeter(endpoint, spoken=spoken)
    return BinaryMeter(spoken) if endpoint == "speech" and kind != "application/json" else None


def counted(endpoint: str, ask: Ask, units: dict[str, int]) -> dict[str, int]:
    """Units to bill where the provider reported no usage; `units` are those counted in its reply. {} = nobody knows.

    What a request says counts: characters that are spoken, a search. How long a recording is, only a reply can say,
    and images are those that came.
    """
    return units or (dict(ask.units) if endpoint in ("speech", "rerank") else {})


__all__ = ["ENDPOINTS", "USAGE", "BinaryMeter", "StreamMeter", "counted", "meter_of"]
