"""Images, speech, transcriptions, rerank through a real gateway: the official client, a simulated vendor, the bill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from baseload.gateway.journal.entries import Hold, Reading
from baseload.ledger.rating import Basis, Rating, rate_reading
from baseload.money.price import PriceRow
from baseload.wire.usage import price_meters
from tests.gateway.harness import KEY, Home, Running, exchange, gateway, post
from tests.vendors import Simulator, start

RATES: dict[str, dict[str, str]] = {
    "picture": {"images": "40"},
    "gpt-picture": {"input": "5", "output_image": "40"},
    "voice": {"characters": "15"},
    "ears": {"audio_ms": "0.36", "input": "1", "input_audio": "6", "output": "10"},
    "sorter": {"input": "0.02"},
    "ears-talk": {"input": "1", "output_audio": "12"},
    "whisper": {"audio_ms": "0.36"},
    "unpriced": {"characters": "1"},
}
DOORS = {
    "voice": "speech",
    "ears": "transcriptions",
    "ears-talk": "speech",
    "whisper": "transcriptions",
    "sorter": "rerank",
}


class Grid:
    def __init__(self, home: Home, vendors: dict[str, Simulator], running: Running) -> None:
        self.home = home
        self.vendors = vendors
        self.running = running
        self.client = openai.OpenAI(api_key=KEY, base_url=f"{running.url}/v1", max_retries=0)
        self.seen = 0

    def bill(self) -> tuple[Reading, Hold, Rating]:
        """The next call's reading, its hold, and what settlement makes of it."""
        self.seen += 1
        reading = self.home.wait_readings(self.seen)[-1]
        (hold,) = (entry for entry in self.home.journal() if isinstance(entry, Hold) and entry.call == reading.call)
        row = next(row for row in self.home.prices if row.id == reading.cost_price)
        return reading, hold, rate_reading(reading, Basis(row, None, 0), price_meters(reading.meters))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    home = Home(Path(tmp_path_factory.mktemp("media")))
    home.prices = [
        PriceRow(id=number, book="cost:test", vendor="test", model=model, currency="USD", rate=rate)
        for number, (model, rate) in enumerate(RATES.items(), 1)
    ]
    with start("openai") as gpt, start("siliconflow") as flow:
        vendors = {"openai": gpt, "siliconflow": flow}
        for number, model in enumerate(RATES, 1):
            dialect = "siliconflow" if model in ("picture", "sorter") else "openai"
            vendor = vendors[dialect]
            home.offer(
                vendor.provider_url,
                model,
                dialect=dialect,
                endpoints=(DOORS.get(model, "images"),),
                prices=(number,),
                upstream_model="whisper-1" if model == "whisper" else "",
            )
        with gateway(home) as running:
            yield Grid(home, vendors, running)


def nano(text: str) -> int:
    whole, _, places = text.partition(".")
    return int(whole + places.ljust(9, "0"))


def test_images_are_counted_and_billed_by_the_piece(grid):
    reply = grid.client.images.generate(model="picture", prompt="a cat", n=2)
    assert len(reply.data) == 2
    reading, hold, rating = grid.bill()
    assert (reading.meters, reading.input_provenance, reading.endpoint) == ({"images": 2}, "counted", "images")
    assert (rating.state, rating.cost_nano) == ("settled", nano("0.08"))
    assert hold.hold_nano == nano("0.096")  # two pictures and the margin of a fifth
    assert grid.vendors["siliconflow"].requests[-1].json["model"] == "up-picture"


def test_images_are_billed_by_tokens_where_the_vendor_reports_them(grid):
    grid.client.images.generate(model="gpt-picture", prompt="a cat")
    reading, hold, rating = grid.bill()
    assert reading.input_provenance == "reported"
    assert reading.meters["output_image"] > 0
    assert "images" not in reading.meters
    assert rating.state == "settled"
    assert rating.cost_nano > 0
    assert hold.hold_nano >= rating.cost_nano


def test_speech_is_relayed_as_it_comes_and_billed_by_characters(grid):
    reply = grid.client.audio.speech.create(model="voice", voice="alloy", input="Grüße 💡")
    direct = openai.OpenAI(api_key="k", base_url=grid.vendors["openai"].provider_url, max_retries=0)
    assert reply.read() == direct.audio.speech.create(model="up-voice", voice="alloy", input="Grüße 💡").read()
    reading, hold, rating = grid.bill()
    assert (reading.meters, reading.input_provenance) == ({"characters": 7}, "counted")
    assert (rating.state, rating.cost_nano) == ("settled", nano("0.000105"))
    assert hold.hold_nano == nano("0.000126")


def test_a_recording_arrives_whole_and_is_billed_by_what_the_vendor_reports(grid):
    sound = bytes(range(256)) * 40
    reply = grid.client.audio.transcriptions.create(model="ears", file=("grüße.mp3", sound), prompt="name=model")
    assert reply.text
    request = grid.vendors["openai"].requests[-1]
    assert sound in request.body
    assert b"up-ears" in request.body
    reading, hold, rating = grid.bill()
    assert reading.input_provenance == "reported"
    assert rating.state == "settled"
    assert rating.cost_nano > 0
    assert hold.hold_nano > 0


def test_a_duration_is_billed_to_the_millisecond(grid):
    grid.client.audio.transcriptions.create(model="whisper", file=("a.mp3", bytes(90)))  # so many seconds, here
    reading, _, rating = grid.bill()
    assert reading.meters == {"audio_ms": 90_000}
    assert (rating.state, rating.cost_nano) == ("settled", nano("0.009"))


def test_a_text_reply_says_no_duration_and_is_not_billed_at_zero(grid):
    reply = grid.client.audio.transcriptions.create(model="whisper", file=("a.mp3", b"x"), response_format="text")
    assert "heard a.mp3" in str(reply)
    reading, hold, rating = grid.bill()
    assert (reading.meters, reading.input_provenance) == ({}, "missing")
    assert (rating.state, rating.cost_nano) == ("unmetered", None)
    assert hold.hold_nano == 120_000  # a second and the margin


def test_words_are_streamed_as_they_are_heard(grid):
    events = list(grid.client.audio.transcriptions.create(model="ears", file=("a.mp3", b"xyz"), stream=True))
    assert [event.type for event in events][-1] == "transcript.text.done"
    assert len(events) > 2
    reading, _, rating = grid.bill()
    assert (reading.meters["input_audio"], reading.stream, rating.state) == (3, True, "settled")


def test_speech_in_events_is_billed_by_its_report(grid):
    body = {"model": "ears-talk", "voice": "alloy", "input": "hello", "stream_format": "sse"}
    reply = exchange(grid.running, post("/v1/audio/speech", body))
    assert reply.status == 200
    assert b"speech.audio.done" in reply.body
    reading, _, rating = grid.bill()
    assert reading.meters == {"input_uncached": 1, "output_audio": 5, "output_total": 5}
    assert (rating.state, rating.cost_nano) == ("settled", 1 * 1000 + 5 * 12_000)


def test_rerank_is_billed_by_what_the_vendor_reports(grid):
    body = {"model": "sorter", "query": "cats", "documents": ["cats purr", "dogs bark"], "top_n": 1}
    reply = exchange(grid.running, post("/v1/rerank", body))
    assert reply.status == 200, reply.body
    assert len(reply.json()["results"]) == 1
    reading, _, rating = grid.bill()
    assert set(reading.meters) == {"input_uncached", "output_total"}
    assert reading.meters["input_uncached"] > 0
    assert (rating.state, reading.endpoint) == ("settled", "rerank")
    assert rating.cost_nano == reading.meters["input_uncached"] * 20


def test_what_is_wrong_in_a_request_is_refused_by_its_name(grid):
    with pytest.raises(openai.BadRequestError) as refused:
        grid.client.images.generate(model="picture", prompt="a cat", n=0)
    assert refused.value.param == "n"
    with pytest.raises(openai.NotFoundError):
        grid.client.audio.speech.create(model="nobody", voice="alloy", input="x")
    with pytest.raises(openai.BadRequestError):
        grid.client.audio.speech.create(model="picture", voice="alloy", input="x")


def test_what_has_no_price_is_refused_before_the_vendor_hears_of_it(grid):
    before = len(grid.vendors["openai"].requests)
    with pytest.raises(openai.BadRequestError) as refused:
        grid.client.images.generate(model="unpriced", prompt="a cat")
    assert refused.value.code == "unpriced_model"
    assert len(grid.vendors["openai"].requests) == before
