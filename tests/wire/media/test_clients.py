"""The official client's own requests are read and patched, and the replies it parses are metered: no server between."""

from __future__ import annotations

import httpx
import openai
import pytest

from baseload.wire.media import ENDPOINTS, USAGE, meter_of
from baseload.wire.usage import normalise, price_meters


class Recorder:
    """A provider that keeps the request and answers what it is told."""

    def __init__(self, body: bytes, content_type: str) -> None:
        self.reply = (body, content_type)
        self.request: httpx.Request | None = None
        transport = httpx.MockTransport(self._answer)
        self.client = openai.OpenAI(api_key="k", base_url="http://h/v1", http_client=httpx.Client(transport=transport))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.request = request
        return httpx.Response(200, content=self.reply[0], headers={"content-type": self.reply[1]})

    def check(self, endpoint: str, model: str = "asked") -> tuple[bool, dict[str, int]]:
        """(streamed, the units it may cost) after the body was read and patched for another model."""
        assert self.request is not None
        module = ENDPOINTS[endpoint]
        body, kind = self.request.content, self.request.headers["content-type"]
        opened = module.open(body, kind)
        ask = module.read_ask(opened)
        assert ask.model == model
        patched = module.patch(opened, ask, "upstream")
        assert module.read_ask(module.open(patched, kind)) == ask.__class__(
            "upstream", ask.stream, n=ask.n, units=ask.units
        )
        return ask.stream, dict(ask.units)

    def metered(self, endpoint: str) -> dict[str, int]:
        body, kind = self.reply
        meter = meter_of(endpoint, kind)
        if meter is None:
            facts = ENDPOINTS[endpoint].read_reply(body, kind)
            return price_meters(normalise(USAGE[endpoint], "", facts.usages, counted_units=facts.units).meters)
        assert meter.feed(body) + meter.close() == body
        assert meter.finished
        return price_meters(normalise(USAGE[endpoint], "", meter.usages, counted_units=meter.units).meters)


def test_images():
    provider = Recorder(b'{"created":1,"data":[{"url":"https://a.example/1"},{"b64_json":"aGk="}]}', "application/json")
    reply = provider.client.images.generate(model="asked", prompt="a cat", n=2, size="1024x1024")
    assert reply.data is not None
    assert len(reply.data) == 2
    assert provider.check("images") == (False, {"images": 2})
    assert provider.metered("images") == {"images": 2}


def test_images_in_a_stream():
    provider = Recorder(
        b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"aGk=",'
        b'"partial_image_index":0}\n\nevent: image_generation.completed\ndata: {"type":"image_generation.completed",'
        b'"b64_json":"aGk=","usage":{"input_tokens":5,"output_tokens":100,"total_tokens":105,"input_tokens_details":'
        b'{"text_tokens":5,"image_tokens":0}}}\n\n',
        "text/event-stream",
    )
    events = list(provider.client.images.generate(model="asked", prompt="a cat", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert provider.check("images") == (True, {"images": 1})
    assert provider.metered("images") == {"input": 5, "output": 0, "output_image": 100}


def test_speech():
    provider = Recorder(b"\xff\xfb\x90\0" * 10, "audio/mpeg")
    reply = provider.client.audio.speech.create(model="asked", voice="alloy", input="Grüße 💡")
    assert reply.read() == provider.reply[0]
    assert provider.check("speech") == (False, {"characters": 7})


@pytest.mark.parametrize("file", [b"RIFF", b"\r\n--x\r\n" * 1000, b""])
def test_transcriptions(file):
    provider = Recorder(b'{"text":"hi","usage":{"type":"duration","seconds":9}}', "application/json")
    reply = provider.client.audio.transcriptions.create(
        model="asked",
        file=("grüße.mp3", file),
        timestamp_granularities=["word", "segment"],
        prompt='name="model"\r\nasked',
        temperature=0.5,
    )
    assert reply.text == "hi"
    streamed, units = provider.check("transcriptions")
    assert not streamed
    assert units["audio_ms"] >= 1000
    assert provider.metered("transcriptions") == {"audio_ms": 9_000}
    assert provider.request is not None
    content = provider.request.content
    opened = ENDPOINTS["transcriptions"].open(content, provider.request.headers["content-type"])
    patched = ENDPOINTS["transcriptions"].patch(opened, None, "other")
    field = opened.one("model")
    assert patched == content[: field.start] + b"other" + content[field.end :]


def test_transcriptions_in_a_stream():
    provider = Recorder(
        b'data: {"type":"transcript.text.delta","delta":"hi"}\n\ndata: {"type":"transcript.text.done","text":"hi",'
        b'"usage":{"type":"tokens","input_tokens":14,"output_tokens":3,"total_tokens":17,"input_token_details":{"audio_tokens":14,'
        b'"text_tokens":0}}}\n\ndata: [DONE]\n\n',
        "text/event-stream",
    )
    events = list(provider.client.audio.transcriptions.create(model="asked", file=("a.mp3", b"x"), stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert provider.check("transcriptions")[0]
    assert provider.metered("transcriptions") == {"input": 0, "input_audio": 14, "output": 3}


def test_subtitles_are_text():
    provider = Recorder(b"1\n00:00:00,000 --> 00:00:02,500\nhi\n", "text/plain")
    reply = provider.client.audio.transcriptions.create(model="asked", file=("a.mp3", b"x"), response_format="srt")
    assert "hi" in str(reply)
    assert provider.metered("transcriptions") == {"audio_ms": 2_500}
