"""What a medium is called at a provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target
from baseload.wire.canon.mime import mime_of
from baseload.wire.canon.request import Media
from baseload.wire.protocols import CLIENTS, PROVIDERS

JPEG = "/9j/4AAQ"


@pytest.mark.parametrize(
    ("part", "mime"),
    [
        (Media(kind="image", mime="image/webp", data=JPEG), "image/webp"),  # what was said counts
        (Media(kind="image", mime="image/JPG", data=JPEG), "image/jpeg"),
        (Media(kind="image", data=JPEG), "image/jpeg"),
        (Media(kind="image", url="https://x.org/a.gif?b=c.png"), "image/gif"),
        (Media(kind="document", data="aGk=", name="notes.md"), "text/markdown"),
        (Media(kind="document", data="aGk="), "application/pdf"),
        (Media(kind="audio", data="aGk="), "audio/wav"),
    ],
)
def test_a_type_is_said_or_seen_or_the_usual_one(part: Media, mime: str):
    assert mime_of(part) == mime


@pytest.mark.parametrize(
    ("protocol", "where"),
    [
        ("messages", lambda body: body["messages"][0]["content"][0]["source"]["media_type"]),
        ("gemini", lambda body: body["contents"][0]["parts"][0]["inlineData"]["mimeType"]),
        ("responses", lambda body: body["input"][0]["content"][0]["image_url"].partition(";")[0].removeprefix("data:")),
    ],
)
def test_pitfall_09_an_image_of_the_type_jpg_is_a_jpeg_for_every_provider(protocol: str, where: Any):
    image = {"type": "image_url", "image_url": {"url": f"data:image/jpg;base64,{JPEG}"}}
    body = {"model": "m", "messages": [{"role": "user", "content": [image]}]}
    request = CLIENTS["chat"].request_in(open_body(json.dumps(body).encode()))
    written = PROVIDERS[protocol].request_out(request, Target(protocol=protocol, model="m"))
    assert where(json.loads(written.body)) == "image/jpeg"
