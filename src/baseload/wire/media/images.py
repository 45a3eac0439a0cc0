"""`POST /v1/images/generations`: pictures from a text, whole or streamed with partial pictures.

In:     `{model, prompt, n, size, quality, stream, partial_images, ...}`. Out: see the room.
Reports: OpenAI's `usage` in tokens; Ark's and DashScope's with the number of pictures. Others report nothing: then the
pictures in `data` are counted. Size and quality are no price selectors: an offer has one price for a picture.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import Ask, InvalidMember, count, flag
from baseload.wire.body import open_body, open_object
from baseload.wire.media.shapes import begin, model_of, required, string, with_model
from baseload.wire.metering import Facts
from baseload.wire.raw import ABSENT, FAILED, NULL

GUARDED = ("model", "n", "stream", "sequential_image_generation", "sequential_image_generation_options", "svg")
SERIES_MAX = 15
"""Pictures that Ark makes of one request for a series where no limit is given."""


class _Picture(msgspec.Struct, gc=False):
    url: Raw = ABSENT
    b64_json: Raw = ABSENT


_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_picture = msgspec.json.Decoder(_Picture).decode


def open(body: bytes | bytearray, content_type: str = "") -> dict[str, Raw]:
    return open_body(body, GUARDED)


def read_ask(members: Mapping[str, Raw]) -> Ask:
    """A `Refusal` names in `param` what is missing or wrong."""
    get = members.get
    model = model_of(members)
    required(members, "prompt", b'"', "a string")
    raw = get("n")
    n = 1 if raw is None else count("n", raw) or 1
    stream = flag("stream", get("stream"))
    if stream and n > 1:  # each picture would report its own usage, and reports replace each other
        raise InvalidMember("A stream carries one image.", "Leave out n, or do not stream.", param="n")
    if string(get("sequential_image_generation", ABSENT)) == "auto":
        n *= _series(get("sequential_image_generation_options"))
    raw = get("svg")
    if raw is not None and raw != NULL:  # drawn by a second model, with a bill beside `usage` that no meter covers
        raise InvalidMember("svg cannot be metered here.", "Leave out svg.", param="svg")
    return Ask(model, stream, n=n, units=(("images", n),))


def patch(members: Mapping[str, Raw], ask: Ask, upstream_model: str) -> bytes:
    return with_model(members, upstream_model)


def read_reply(body: bytes, content_type: str = "") -> Facts:
    """Never raises: garbage is a fact too."""
    begun = begin(body)
    if begun is None:
        return Facts(malformed=True)
    facts, found = begun
    pictures = _pictures(found.data) or _pictures(found.images)
    if pictures:
        facts.units = {"images": pictures}
    return facts


def _series(raw: Raw | None) -> int:
    if raw is None or raw == NULL:
        return SERIES_MAX
    limit = open_object(raw, "sequential_image_generation_options", ("max_images",)).get("max_images")
    return SERIES_MAX if limit is None else count("max_images", limit) or SERIES_MAX


def _pictures(raw: Raw) -> int:
    """Items that are a picture; Ark puts an error in the place of one that failed."""
    try:
        return sum(map(_is_picture, _decode_list(raw)))
    except FAILED:
        return 0


def _is_picture(raw: Raw) -> bool:
    try:
        picture = _decode_picture(raw)
    except FAILED:
        return False
    return len(picture.url) > 4 or len(picture.b64_json) > 4  # neither a null nor an empty string
