"""One call over real sockets in every dialect: what the client gets, what the provider got, what the journal says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from baseload.gateway.journal.entries import Hold, Progress, Reading
from baseload.money.price import PriceRow
from baseload.providers.catalogue import names
from tests.gateway.harness import Home, chat, exchange, gateway, post, price, read_reply
from tests.vendors import DIALECTS, Fault, answer, start

TEXT = "count the cached stars"


def frames(body: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in body.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def text_of(body: bytes) -> str:
    return "".join(
        (choice["delta"].get("content") or "") for frame in frames(body) for choice in frame.get("choices") or []
    )


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_plain_and_streamed(dialect: str, tmp_path: Path) -> None:
    asked = chat("m", TEXT)
    said = answer(asked)
    home = Home(tmp_path)
    with start(dialect) as upstream:
        known = dialect if dialect in names() else "openai"  # Azure's own door comes with its protocol
        home.offer(upstream.base_url, dialect=known, upstream_model="their-name")
        with gateway(home) as running:
            plain = exchange(running, post("/v1/chat/completions", asked))
            streamed = exchange(running, post("/v1/chat/completions", chat("m", TEXT, stream=True)))
            wanted = exchange(
                running,
                post("/v1/chat/completions", chat("m", TEXT, stream=True, stream_options={"include_usage": True})),
            )
            readings = home.wait_readings(3)
        sent = upstream.requests
    assert plain.status == streamed.status == wanted.status == 200, plain.body
    assert plain.json()["choices"][0]["message"]["content"] == said.text
    assert text_of(streamed.body) == text_of(wanted.body) == said.text
    assert streamed.body.rstrip().endswith(b"data: [DONE]")
    assert all(frame["choices"] or frame.get("prompt_filter_results") for frame in frames(streamed.body))
    for request in sent:
        assert request.json["model"] == "their-name"
        assert request.json["messages"] == asked["messages"]
    assert all(request.json["stream_options"]["include_usage"] is True for request in sent[1:])
    assert "stream_options" not in sent[0].json
    for reading, reply in zip(readings, (plain, streamed, wanted), strict=True):
        assert reading.call == reply.headers["x-baseload-call-id"]
        assert reading.outcome == "ok"
        assert reading.output_provenance == "reported", reading
        assert reading.meters["output_total"] == said.completion_tokens
        prompt = sum(n for name, n in reading.meters.items() if name.startswith(("input", "cache")))
        assert prompt == said.prompt_tokens
        assert reply.headers["x-baseload-offer"] == "m@p1"
        assert reply.headers["x-request-id"] == reading.upstream_id != ""
        assert reading.accepted_ns <= reading.sent_ns <= reading.first_ns <= reading.end_ns
        assert (reading.account, reading.key, reading.offer, reading.cost_price) == (7, 5, 1, 1)  # lesson 50


def test_bytes_are_forwarded_as_they_came(tmp_path: Path) -> None:
    strange = (
        b'{ "messages" : [ {"role":"user","content":"\\u00e9 \\ud83d\\ude00 {\\"model\\":\\"x\\"}"} ],'
        b' "model":"m" ,"x_unknown":  1e400, "seed":9007199254740993, "nested":{"model":"no","stream":true} }'
    )
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", strange))
        (request,) = upstream.requests
    assert reply.status == 200
    for value in (
        b"1e400",
        b"9007199254740993",
        b'{"model":"no","stream":true}',
        b'\\u00e9 \\ud83d\\ude00 {\\"model\\":',
    ):
        assert value in request.body
    assert json.loads(request.body, parse_float=str)["model"] == "up-m"


def test_the_provider_sees_our_head_and_never_the_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "sk-theirs")
    home = Home(tmp_path)
    with start(key="sk-theirs") as upstream:
        home.offer(upstream.base_url, credential="env:THEIR_KEY")
        with gateway(home) as running:
            request = post("/v1/chat/completions", chat(), extra="x-forwarded-for: 1.2.3.4\r\ncookie: a=b\r\n")
            assert exchange(running, request).status == 200
        (seen,) = upstream.requests
    assert seen.headers["authorization"] == "Bearer sk-theirs"
    assert "cookie" not in seen.headers
    assert "x-forwarded-for" not in seen.headers
    assert seen.headers["accept-encoding"] == "identity"


def test_completions_and_embeddings(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            done = exchange(running, post("/v1/completions", {"model": "m", "prompt": "one two"}))
            streamed = exchange(running, post("/v1/completions", {"model": "m", "prompt": "one two", "stream": True}))
            vectors = exchange(running, post("/v1/embeddings", {"model": "m", "input": ["one two three"]}))
            readings = home.wait_readings(3)
        assert [request.path for request in upstream.requests] == ["/v1/completions"] * 2 + ["/v1/embeddings"]
    assert done.json()["choices"][0]["text"] == "echo one two"
    assert "".join(frame["choices"][0]["text"] for frame in frames(streamed.body)) == "echo one two"
    assert len(vectors.json()["data"]) == 1
    assert [(r.endpoint, r.meters.get("output_total")) for r in readings] == [
        ("completions", 3), ("completions", 3), ("embeddings", 0),
    ]  # fmt: skip
    assert readings[2].meters["input_uncached"] == vectors.json()["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(piece_bytes=1), Fault(piece_bytes=7), Fault(crlf=True), Fault(until_close=True), Fault(last_close=True),
        Fault(sized=True), Fault(sized=False), Fault(no_done=True),
    ],
)  # fmt: skip
def test_however_the_reply_is_framed(fault: Fault, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(*[fault] * 4)
        with gateway(home) as running:
            for _ in range(2):
                plain = exchange(running, post("/v1/chat/completions", chat("m", TEXT)))
                assert plain.json()["choices"][0]["message"]["content"] == f"echo {TEXT}"
                streamed = exchange(running, post("/v1/chat/completions", chat("m", TEXT, stream=True)))
                assert text_of(streamed.body) == f"echo {TEXT}"
                assert streamed.complete
            readings = home.wait_readings(4)
    assert {(reading.outcome, reading.meters["output_total"]) for reading in readings} == {("ok", 5)}


@pytest.mark.parametrize("size", [64 * 2**10, 2**20, 20 * 2**20])
def test_lesson_53_large_frames_pass(size: int, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(Fault(words=2, word_bytes=size))
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat(stream=True)))
            (reading,) = home.wait_readings(1)
    assert len(text_of(reply.body)) >= 2 * size
    assert reading.outcome == "ok"
    assert reading.output_provenance == "reported"


def test_lesson_56_a_20_mb_request_passes(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat("m", "x" * (20 * 2**20), max_tokens=1)))
            assert reply.status == 200
        assert len(upstream.requests[0].body) > 20 * 2**20


def test_lesson_06_explicit_zero_usage_is_a_report(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(Fault(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}))
        with gateway(home) as running:
            exchange(running, post("/v1/chat/completions", chat()))
            (reading,) = home.wait_readings(1)
    assert not any(reading.meters.values())
    assert reading.output_provenance == "reported"


@pytest.mark.parametrize("stream", [False, True])
def test_lesson_10_missing_usage_is_estimated_and_says_so(stream: bool, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(Fault(usage=None))
        with gateway(home) as running:
            exchange(running, post("/v1/chat/completions", chat("m", TEXT, stream=stream)))
            (reading,) = home.wait_readings(1)
    assert reading.outcome == "ok"
    assert (reading.input_provenance, reading.output_provenance) == ("estimated", "estimated")
    assert reading.meters["output_total"] > 0
    assert reading.meters["input_uncached"] > 0
    assert reading.raw_usage == b""


def test_pipelined_calls_and_a_kept_connection(tmp_path: Path) -> None:
    home = Home(tmp_path)
    rest = bytearray()
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running, running.connect() as sock:
            words = [f"call {number} {'x' * (number + 1)}" for number in range(30)]
            asked = [chat("m", word, stream=number % 2 == 1) for number, word in enumerate(words)]
            sock.sendall(b"".join(post("/v1/chat/completions", body) for body in asked))
            for number, word in enumerate(words):
                reply = read_reply(sock, rest)
                said = text_of(reply.body) if number % 2 else reply.json()["choices"][0]["message"]["content"]
                assert said == f"echo {word}"
        # A stream's reply ends with [DONE], so the next call may begin before its connection is free again.
        assert len({request.connection for request in upstream.requests}) <= 3, "kept connections serve them all"


def test_the_hold_is_in_the_journal_before_the_reading_and_never_without_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        upstream.script(Fault(words=50, interval_s=0.05))
        with gateway(home) as running:
            exchange(running, post("/v1/chat/completions", chat(stream=True)))
            home.wait_readings(1)
    entries = [entry for entry in home.journal() if isinstance(entry, (Hold, Progress, Reading))]
    kinds = [type(entry).__name__ for entry in entries]
    assert kinds[0] == "Hold"
    assert kinds[-1] == "Reading"
    assert 1 <= kinds.count("Progress") <= 4
    marks = [entry.frames for entry in entries if isinstance(entry, Progress)]
    assert marks == sorted(marks)
    assert marks[-1] <= 50


def test_tls_is_verified(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start(tls=True) as upstream:
        home.offer(upstream.base_url, "trusted", ca_file=str(upstream.ca_file))
        home.offer(upstream.base_url, "stranger")
        with gateway(home) as running:
            assert exchange(running, post("/v1/chat/completions", chat("trusted"))).status == 200
            refused = exchange(running, post("/v1/chat/completions", chat("stranger")))
            readings = home.wait_readings(2)
    assert refused.status == 503
    assert readings[1].fault == "refused_connection"
    assert readings[1].meters == {}
    assert readings[1].sent_ns == 0


def test_a_new_snapshot_is_taken_without_a_restart_and_a_broken_one_is_not(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            assert exchange(running, post("/v1/chat/completions", chat("n"))).status == 404
            (tmp_path / "snapshot.msgpack").write_bytes(b"broken")
            running.wait(lambda: b"stays in force" in (tmp_path / "gateway.log").read_bytes())
            assert exchange(running, post("/v1/chat/completions", chat("m"))).status == 200
            home.offer(upstream.base_url, "n")
            home.publish()
            running.wait(lambda: exchange(running, post("/v1/chat/completions", chat("n"))).status == 200)


def test_the_cheapest_offer_is_used(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.prices = [price(1, output="9"), price(2, output="3"), price(3, input_="5", output="3")]
    with start() as upstream:
        for row in (1, 2, 3):
            home.offer(upstream.base_url, prices=(row,))
        home.offer(upstream.base_url, prices=())
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat()))
    assert reply.headers["x-baseload-offer"] == "m@p2"


def test_lesson_22_an_unpriced_model_is_refused_before_the_call(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, prices=())
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat()))
        assert upstream.requests == []
    assert reply.json()["error"]["code"] == "unpriced_model"
    assert reply.status >= 400


def half(id_: int) -> PriceRow:
    return PriceRow(id=id_, book="cost:test", vendor="test", model="m", currency="USD", rate={"input": "0.01"})


def test_a_price_without_output_generates_nothing_however_cheap_it_looks(tmp_path: Path) -> None:
    """Lesson 22: its output would be billed to nobody. What has no output is served by it."""
    home = Home(tmp_path)
    home.prices = [half(1), price(2)]
    with start() as upstream:
        home.offer(upstream.base_url, prices=(1,))
        home.offer(upstream.base_url, "only", prices=(1,))
        home.offer(upstream.base_url, prices=(2,))
        with gateway(home) as running:
            chosen = exchange(running, post("/v1/chat/completions", chat()))
            refused = exchange(running, post("/v1/chat/completions", chat(model="only")))
            embedded = exchange(running, post("/v1/embeddings", {"model": "only", "input": "hi"}))
        assert len(upstream.requests) == 2
    assert chosen.headers["x-baseload-offer"] == "m@p3"
    assert (refused.status, refused.json()["error"]["code"]) == (400, "unpriced_model")
    assert "only@p2 has no rate for output" in refused.json()["error"]["message"]
    assert embedded.status == 200


def test_a_later_price_without_output_is_refused_in_its_time(tmp_path: Path) -> None:
    """Of two rows one is whole: the offer may generate, but not while the other is in force."""
    home = Home(tmp_path)
    home.prices = [price(1, to_ns=1), msgspec.structs.replace(half(2), from_ns=1)]
    with start() as upstream:
        home.offer(upstream.base_url, prices=(1, 2))
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat()))
        assert upstream.requests == []
    assert (reply.status, reply.json()["error"]["code"]) == (400, "unpriced_model")
