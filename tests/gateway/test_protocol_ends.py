"""Whatever becomes of a provider's stream, through any door and for a client of any protocol: one reading, and an end
that the client's own library understands.

A failure before the first text is an HTTP error with the status it has in the client's protocol; after it the stream
ends with that protocol's error and without its normal end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as google_errors
from google.genai import types as google_types

from baseload.gateway.journal.entries import Hold, Progress, Reading
from tests.gateway.harness import KEY, Reply
from tests.gateway.through import CLIENTS, DOORS, Client, Everything, Stream, everything
from tests.vendors import Fault

PAIRS = [pytest.param(client, door, id=f"{client}-{door}") for client in CLIENTS for door in DOORS]
ASK = "words=8"
WHOLE = " ".join(f"w{number}" for number in range(8))
BAD = {"chat": 502, "responses": 502, "messages": 502, "gemini": 502, "array": 502}
LATE = {"chat": 504, "responses": 504, "messages": 504, "gemini": 504, "array": 504}
BUSY = {"chat": 503, "responses": 503, "messages": 529, "gemini": 503, "array": 503}
LIMITED = {"chat": 429, "responses": 429, "messages": 429, "gemini": 429, "array": 429}
CUTS = (0, 1, 90, 300, 500, 800, 1100, 1500, 2000, 2600, 3300, 4000)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with everything(tmp_path_factory.mktemp("ends")) as found:
        yield found


def refused(client: Client, reply: Reply) -> None:
    """An HTTP error in the client's own form."""
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json()["error"]) >= {"message"}
    if client.name == "messages":
        assert (reply.json()["type"], reply.headers["request-id"]) == ("error", reply.headers["x-baseload-call-id"])
    if client.name in ("gemini", "array"):
        assert reply.json()["error"]["code"] == reply.status
    assert "retry-after" in reply.headers or reply.headers.get("x-should-retry") == "false" or reply.status == 502


def broken(client: Client, reply: Reply, whole: str = WHOLE) -> Stream:
    """A stream that ended in an error: what came before is a beginning of the text."""
    assert (reply.status, reply.complete) == (200, True), reply.body
    read = client.read(reply.body)
    assert (bool(read.error), read.ended) == (True, False), reply.body[-600:]
    assert read.text
    assert whole.startswith(read.text)
    numbers = [frame["sequence_number"] for frame in read.frames if "sequence_number" in frame]
    assert numbers == list(range(len(numbers)))
    return read


@pytest.mark.parametrize(("client", "door"), PAIRS)
def test_wherever_the_providers_stream_is_cut(client: str, door: str, grid: Everything) -> None:
    speaks = CLIENTS[client]
    statuses, ends = set(), set()
    for cut in CUTS:
        grid.vendors[door].script(Fault(cut_at=cut))
        reply = grid.send(speaks.ask(door, ASK))
        reading = grid.reading(reply)
        statuses.add(reply.status)
        if reply.status != 200:
            assert (reply.status, reading.status) == (BAD[client], BAD[client])
            assert (reading.outcome, reading.meters.get("output_total", 0)) == ("upstream_cut", 0)
            refused(speaks, reply)
            continue
        read = speaks.read(reply.body)
        ends.add(read.ended)
        if read.ended:  # the text was whole: only the provider's closing was missing
            assert (read.text, reading.outcome) == (WHOLE, "ok")
            continue
        broken(speaks, reply)
        assert (reading.outcome, reading.status) == ("upstream_cut", 200)
        assert reading.meters["output_total"] > 0
        assert reading.meters["input_uncached"] > 0
        assert reading.output_provenance in ("counted", "estimated") or door in ("gemini", "qwen")  # they report often
    assert statuses == {200, BAD[client]}
    assert False in ends


@pytest.mark.parametrize(("client", "door"), PAIRS)
def test_however_the_providers_stream_is_framed(client: str, door: str, grid: Everything) -> None:
    """All frames in one piece, in pieces of a byte, with other line ends, without the last event: the same text."""
    speaks = CLIENTS[client]
    faults = [Fault(sized=True), Fault(piece_bytes=1), Fault(piece_bytes=61), Fault(until_close=True)]
    faults += [] if door == "converse" else [Fault(crlf=True)]
    if door in ("chat", "messages", "converse"):  # elsewhere the last event holds the finish reason
        faults.append(Fault(no_done=True))
    for fault in faults:
        grid.vendors[door].script(fault)
        reply = grid.send(speaks.ask(door, ASK))
        read = speaks.read(reply.body)
        assert (reply.status, read.text, read.ended, read.error) == (200, WHOLE, True, None), (fault, reply.body)
        reading = grid.reading(reply)
        assert reading.outcome == "ok"
        assert reading.output_provenance == "reported" or fault.no_done


@pytest.mark.parametrize(("client", "door"), PAIRS)
def test_an_error_of_the_provider_inside_its_stream(client: str, door: str, grid: Everything) -> None:
    speaks = CLIENTS[client]
    grid.vendors[door].script(Fault(error_after=0), Fault(error_after=3))
    early = grid.send(speaks.ask(door, ASK))
    assert early.status >= 500, early.body
    refused(speaks, early)
    reading = grid.reading(early)
    assert (reading.outcome, reading.status) == ("upstream_error", early.status)
    late = grid.send(speaks.ask(door, ASK))
    read = broken(speaks, late)
    assert read.text == "w0 w1 w2"
    for words in (b"Overloaded", b"The server had an error", b'model is overloaded."', b"It failed", b"modelStream"):
        assert words not in late.body, "a provider's words about its own failure are not the client's"
    reading = grid.reading(late)
    assert (reading.outcome, reading.status) == ("upstream_error", 200)
    assert reading.meters["output_total"] > 0


@pytest.mark.parametrize("door", DOORS)
def test_a_failure_keeps_its_class_through_every_door(door: str, grid: Everything) -> None:
    for failure, wanted in (("rate_limited", LIMITED), ("overloaded", BUSY), ("bad_key", BUSY)):
        for client, speaks in CLIENTS.items():
            for stream in (True, False):
                grid.vendors[door].script(Fault(failure=failure))
                reply = grid.send(speaks.ask(door, ASK, stream=stream))
                assert reply.status == wanted[client], (failure, client, reply.body)
                refused(speaks, reply)
                reading = grid.reading(reply)
                assert (reading.outcome, reading.fault) == ("upstream_error", failure)
                assert reading.meters.get("output_total", 0) == reading.meters.get("input_uncached", 0) == 0


@pytest.mark.parametrize(("client", "door"), PAIRS)
def test_what_is_no_reply_at_all(client: str, door: str, grid: Everything) -> None:
    """200 with an error, with HTML, with half a JSON object, with a stream of garbage."""
    speaks = CLIENTS[client]
    stream = (("content-type", "application/vnd.amazon.eventstream" if door == "converse" else "text/event-stream"),)
    bodies = (
        Fault(body=b"<html>Bad gateway</body>", headers=(("content-type", "text/html"),)),
        Fault(body=b'{"id":"x","cho', headers=(("content-type", "application/json"),)),
        Fault(body=b"", headers=stream),
        Fault(body=b"data: {]\n\ndata: nothing\n\n\xff\xfe\n\n", headers=stream),
        Fault(body=b"\x00" * 3000, headers=stream),
    )
    for fault in bodies:
        grid.vendors[door].script(fault)
        reply = grid.send(speaks.ask(door, ASK))
        assert reply.status == BAD[client], (fault, reply.body)
        refused(speaks, reply)
        assert grid.reading(reply).outcome in ("upstream_error", "upstream_cut")
    for fault in bodies[:3]:
        grid.vendors[door].script(fault)
        reply = grid.send(speaks.ask(door, ASK, stream=False))
        assert reply.status == BAD[client], (fault, reply.body)
        refused(speaks, reply)
        assert grid.reading(reply).outcome in ("upstream_error", "upstream_cut")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stream", [True, False])
def test_pitfall_21_an_error_in_a_200_body(client: str, stream: bool, grid: Everything) -> None:
    speaks = CLIENTS[client]
    told = (
        ("chat", b'{"error":{"message":"secret of the provider","code":"server_error"}}'),
        ("chat", b'{"code":500,"message":"secret of the provider"}'),
        ("messages", b'{"type":"error","error":{"type":"api_error","message":"secret of the provider"}}'),
        ("gemini", b'{"error":{"code":500,"message":"secret of the provider","status":"INTERNAL"}}'),
        ("qwen", b'{"code":"InternalError","message":"secret of the provider","request_id":"r"}'),
        ("responses", b'{"error":{"message":"secret of the provider","code":"server_error"}}'),
    )
    for door, body in told:
        grid.vendors[door].script(Fault(body=body, headers=(("content-type", "application/json"),)))
        reply = grid.send(speaks.ask(door, ASK, stream=stream))
        assert reply.status >= 500, (door, reply.body)
        refused(speaks, reply)
        assert b"secret" not in reply.body
        assert grid.reading(reply).outcome == "upstream_error"


def test_usage_of_a_cut_messages_stream_is_input_as_reported_and_output_as_counted(grid: Everything) -> None:
    for client, speaks in CLIENTS.items():
        grid.vendors["messages"].script(Fault(error_after=4))
        reading = grid.reading(grid.send(speaks.ask("messages", ASK)))
        assert (reading.input_provenance, reading.meters["input_uncached"]) == ("reported", 4), client
        assert reading.output_provenance == "estimated"
        assert 3 <= reading.meters["output_total"] <= 8, "not the placeholder that message_start reports"
        grid.vendors["messages"].script(Fault(error_after=0))
        reading = grid.reading(grid.send(speaks.ask("messages", ASK)))
        assert (reading.input_provenance, reading.meters["input_uncached"]) == ("reported", 4), client
        assert reading.meters.get("output_total", 0) == 0


def together(tasks: list[Callable[[], None]]) -> None:
    """Runs all at once; raises the first failure."""
    failures: list[BaseException] = []

    def run(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("stall", ["body", "after_head", "before_head"])
def test_silence_of_the_provider(stall: str, tmp_path: Path) -> None:
    row = {"idle_timeout_s": 1.5, "first_byte_timeout_s": 1.5}
    seen: list[tuple[str, str, Reply, Reading]] = []
    with everything(tmp_path, row=row, stall=stall, stall_at=4000, words=60) as grid:

        def one(client: str, door: str) -> Callable[[], None]:
            def run() -> None:
                reply = grid.send(CLIENTS[client].ask(door, ASK))
                seen.append((client, door, reply, grid.reading(reply)))

            return run

        together([one(client, door) for client in CLIENTS for door in DOORS])
    assert len(seen) == len(PAIRS)
    for client, door, reply, reading in seen:
        assert (reading.outcome, reading.fault) == ("timeout", "timeout"), (client, door)
        if stall == "body":
            broken(CLIENTS[client], reply, " ".join(f"w{number}" for number in range(60)))
            assert reading.meters["output_total"] > 0
        else:
            assert (reply.status, reading.status) == (LATE[client], LATE[client])
            refused(CLIENTS[client], reply)


@pytest.mark.parametrize(("client", "door"), PAIRS)
def test_lesson_47_hold_before_send_and_reading_before_the_end(client: str, door: str, grid: Everything) -> None:
    """The journal says so at the moment each thing is seen by the other side."""
    speaks, home, vendor = CLIENTS[client], grid.home, grid.vendors[door]
    vendor.script(Fault(delay_s=0.15))
    sent = len(vendor.requests)
    with grid.running.connect() as sock:
        sock.sendall(speaks.ask(door, ASK))
        vendor.wait(sent + 1)
        hold = [entry for entry in home.journal() if isinstance(entry, Hold)][-1]
        assert (hold.model, hold.stream) == (door, True), "the hold is on disk when the provider is asked"
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            piece = sock.recv(65536)
            assert piece
            data += piece
            if b"[DONE]" in data or b"message_stop" in data or b"response.completed" in data:
                break
        assert [entry.call for entry in home.journal() if isinstance(entry, Reading)][-1] == hold.call
    noted = [entry for entry in home.journal() if isinstance(entry, Progress) and entry.call == hold.call]
    reading = [entry for entry in home.readings() if entry.call == hold.call]
    assert len(reading) == 1
    assert reading[0].outcome == "ok"
    assert len(noted) <= 1, "one note when text begins to reach the client, if it had not all come at once"


@pytest.mark.parametrize("door", DOORS)
def test_text_that_reaches_the_client_is_noted_at_once_at_every_door(door: str, grid: Everything) -> None:
    speaks = CLIENTS["messages"]
    grid.vendors[door].script(Fault(interval_s=0.05))
    reply = grid.send(speaks.ask(door, ASK))
    call = reply.headers["x-baseload-call-id"]
    noted = [entry for entry in grid.home.journal() if isinstance(entry, Progress) and entry.call == call]
    assert noted, "a killed gateway would have billed the input and the text"
    assert 1 <= noted[0].frames <= 4


# The official libraries read the same bytes.


def test_openais_library_raises_in_chat_and_responses(grid: Everything) -> None:
    client = openai.OpenAI(base_url=f"{grid.running.url}/v1", api_key=KEY, max_retries=0)
    for door in DOORS:
        grid.vendors[door].script(Fault(error_after=3))
        texts: list[str] = []
        ask: Any = {"model": door, "messages": [{"role": "user", "content": ASK}], "stream": True}
        with pytest.raises(openai.APIError):
            texts.extend(
                choice.delta.content or ""
                for chunk in client.chat.completions.create(**ask)
                for choice in chunk.choices
            )
        assert "".join(texts) == "w0 w1 w2", door
        grid.vendors[door].script(Fault(error_after=3))
        texts, kinds = [], []
        try:
            for event in client.responses.create(model=door, input=ASK, stream=True):
                kinds.append(event.type)
                texts += [event.delta] if event.type == "response.output_text.delta" else []
        except openai.APIError:
            kinds.append("error")
        assert kinds[-1] in ("error", "response.failed"), "a forwarded stream raises; a translated one says failed"
        assert "".join(texts) == "w0 w1 w2", door
        grid.vendors[door].script(Fault(error_after=3))
        with pytest.raises((openai.APIError, RuntimeError)), client.responses.stream(model=door, input=ASK) as stream:
            stream.get_final_response()
        grid.vendors[door].script(Fault(error_after=0), Fault(failure="overloaded"))
        for _ in range(2):
            with pytest.raises(openai.InternalServerError):
                client.responses.create(model=door, input=ASK, stream=True)


def test_anthropics_library_raises(grid: Everything) -> None:
    client = anthropic.Anthropic(base_url=grid.running.url, api_key=KEY, max_retries=0)
    ask: Any = {"messages": [{"role": "user", "content": ASK}], "max_tokens": 1000}
    for door in DOORS:
        grid.vendors[door].script(Fault(error_after=3))
        texts: list[str] = []
        with pytest.raises(anthropic.APIStatusError), client.messages.stream(model=door, **ask) as stream:
            texts += stream.text_stream
        assert texts[:3] == ["w0", " w1", " w2"] or not texts, door
        grid.vendors[door].script(Fault(failure="overloaded"))
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(model=door, **ask)
        assert caught.value.status_code == 529


def test_googles_library_raises(grid: Everything) -> None:
    options = google_types.HttpOptions(base_url=grid.running.url)
    client = genai.Client(api_key=KEY, http_options=options)
    for door in DOORS:
        grid.vendors[door].script(Fault(error_after=3))
        texts: list[str] = []
        with pytest.raises(google_errors.APIError):
            texts.extend(chunk.text or "" for chunk in client.models.generate_content_stream(model=door, contents=ASK))
        assert "".join(texts) == "w0 w1 w2", door
        grid.vendors[door].script(Fault(failure="overloaded"))
        with pytest.raises(google_errors.ServerError):
            client.models.generate_content(model=door, contents=ASK)
