"""Whatever a provider does wrong: a clear answer in the client's protocol, one reading, no secret let out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.harness import KEY, Home, chat, exchange, gateway, get, post
from tests.vendors import Fault, failure, refusing_url, start

FAST = {"first_byte_timeout_s": 0.6, "idle_timeout_s": 0.6, "connect_timeout_s": 1.0}
WHOLE = [
    (Fault(close="before_head"), 502, "upstream_cut", "cut"),
    (Fault(close="before_head", reset=True), 502, "upstream_cut", "cut"),
    (Fault(close="after_head"), 502, "upstream_cut", "cut"),
    (Fault(cut_at=100), 502, "upstream_cut", "cut"),
    (Fault(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), 502, "upstream_error", "garbage"),
    (Fault(garbage_json=True), 502, "upstream_error", "garbage"),
    (Fault(body=b"<html>no</html>", headers=(("content-type", "text/html"),)), 502, "upstream_error", "garbage"),
    (Fault(sized=True, length_off=50), 502, "upstream_cut", "cut"),
    (Fault(stall="before_head"), 504, "timeout", "timeout"),
    (Fault(stall="body", stall_at=50), 504, "timeout", "timeout"),
]


@pytest.mark.parametrize(("fault", "status", "outcome", "kind"), WHOLE)
def test_a_broken_plain_reply(fault: Fault, status: int, outcome: str, kind: str, tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, **FAST)
        with gateway(home) as running:
            upstream.script(fault)
            reply = exchange(running, post("/v1/chat/completions", chat()))
            (reading,) = home.wait_readings(1)
            assert exchange(running, post("/v1/chat/completions", chat())).status == 200, "the next call is served"
    assert reply.status == status, reply.body
    error = reply.json()["error"]
    assert error["code"]
    assert error["message"]
    assert (reading.outcome, reading.fault, reading.status) == (outcome, kind, status)
    assert reading.call == reply.headers["x-baseload-call-id"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(cut_at=700), "upstream_cut"),
        (Fault(stall="body", stall_at=700), "timeout"),
        (Fault(error_after=3), "upstream_error"),
        (Fault(words=200, interval_s=0.005, cut_at=3000, reset=True), "upstream_cut"),
    ],
)
def test_lesson_59_a_stream_that_breaks_ends_in_an_error_and_bills_what_was_delivered(
    fault: Fault, outcome: str, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, **FAST)
        with gateway(home) as running:
            upstream.script(fault)
            client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=KEY, max_retries=0)
            asked: Any = [{"role": "user", "content": "word " * 30}]
            stream = client.chat.completions.create(model="m", messages=asked, stream=True)
            seen: list[str] = []
            with pytest.raises(openai.APIError) as raised:
                seen.extend(chunk.choices[0].delta.content or "" for chunk in stream)
            (reading,) = home.wait_readings(1)
        assert len(upstream.requests) == 1, "nothing is started again after the first byte"
    assert raised.value.code
    assert reading.outcome == outcome
    text = [piece for piece in seen if piece]
    assert text
    if reading.output_provenance != "reported":
        assert reading.output_provenance == "estimated"
        assert reading.meters["output_total"] >= len(text)
        assert reading.meters["input_uncached"] > 0


def test_a_failure_instead_of_a_stream_is_an_http_error(tmp_path: Path) -> None:
    error = b'data: {"error":{"code":429,"message":"Rate limited","metadata":{}}}\n\ndata: [DONE]\n\n'
    home = Home(tmp_path)
    with start("openrouter") as upstream:
        home.offer(upstream.base_url, dialect="openrouter")
        with gateway(home) as running:
            upstream.script(Fault(body=error, headers=(("content-type", "text/event-stream"),)))
            reply = exchange(running, post("/v1/chat/completions", chat(stream=True)))
            (reading,) = home.wait_readings(1)
    assert reply.status == 429, "no status was committed before the first body bytes were looked at"
    assert reply.json()["error"]["code"]
    assert (reading.outcome, reading.fault) == ("upstream_error", "rate_limited")


SEEN = """
openai bad_key 503, openai no_money 503, openai rate_limited 429, openai overloaded 503, openai filtered 400
openai too_long 400, dashscope no_money 503, dashscope rate_limited 429, moonshot no_money 503, moonshot overloaded 503
zhipu no_money 503, minimax no_money 503, minimax rate_limited 429, deepseek no_money 503, volcengine no_money 503
openrouter no_money 503, siliconflow rate_limited 429
"""


@pytest.mark.parametrize("row", SEEN.replace("\n", ",").strip(",").split(","))
def test_failures_by_the_vendors_own_codes(row: str, tmp_path: Path) -> None:
    dialect, kind, number = row.split()
    status = int(number)
    home = Home(tmp_path)
    with start(dialect) as upstream:
        home.offer(upstream.base_url, dialect=dialect)
        with gateway(home) as running:
            upstream.script(kind)
            reply = exchange(running, post("/v1/chat/completions", chat()))
            (reading,) = home.wait_readings(1)
    assert (reply.status, reading.fault) == (status, kind), reply.body
    assert reading.meters == {}
    assert reading.input_provenance == "counted", "a refused request is known to have used nothing"
    if status == 503:
        said = next(part for part in failure(dialect, kind) if isinstance(part, bytes)).decode()
        theirs = max((word for word in said.split('"') if " " in word), key=len, default="")
        assert not theirs or theirs not in reply.json()["error"]["message"]


def test_lesson_69_the_operators_key_and_balance_never_reach_a_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", "sk-operator-secret-1234567890")
    message = "Incorrect API key sk-operator-secret-1234567890, org-Abc123456789, balance -12.34 USD"
    body = {"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}}
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, credential="env:THEIR_KEY")
        with gateway(home) as running:
            for status in (401, 400, 403, 500):
                upstream.script(Fault(status=status, body=json.dumps(body).encode()))
                reply = exchange(running, post("/v1/chat/completions", chat()))
                whole = reply.body.decode() + json.dumps(reply.headers)
                assert reply.status >= 400
                for secret in ("operator-secret", "12.34", "Abc123456789"):
                    assert secret not in whole
    assert "operator-secret" not in (tmp_path / "gateway.log").read_text()


def test_a_provider_that_is_down(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with refusing_url() as url:
        home.offer(url)
        with gateway(home) as running:
            reply = exchange(running, post("/v1/chat/completions", chat()))
            (reading,) = home.wait_readings(1)
    assert (reply.status, reading.outcome, reading.fault) == (503, "upstream_error", "refused_connection")
    assert reply.headers.get("retry-after") or reply.headers.get("x-should-retry")
    assert reading.sent_ns == 0


def test_a_credential_that_is_missing_takes_only_its_offer_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, "a", credential="env:NOT_SET")
        home.offer(upstream.base_url, "b")
        with gateway(home) as running:
            home.publish()  # a new snapshot with the same trouble says nothing new
            running.wait(lambda: b"snapshot 2 in force" in (tmp_path / "gateway.log").read_bytes())
            refused = exchange(running, post("/v1/chat/completions", chat("a")))
            assert exchange(running, post("/v1/chat/completions", chat("b"))).status == 200
            assert exchange(running, get("/readyz")).status == 200
    assert (refused.status, refused.json()["error"]["code"]) == (503, "no_provider")
    assert "NOT_SET" not in refused.body.decode(), "what is missing is the operator's business"
    lines = (tmp_path / "gateway.log").read_text().splitlines()
    told = [line for line in lines if "ERROR" in line and "NOT_SET" in line]
    assert len(told) == 1
    assert (
        "ERROR baseload.gateway: provider p1 cannot serve a@p1: The environment variable NOT_SET is not set." in told[0]
    )


def test_a_kept_connection_that_the_server_closed_is_replaced(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            for _ in range(5):
                assert exchange(running, post("/v1/chat/completions", chat())).status == 200
                upstream.drop_idle()
            readings = home.wait_readings(5)
    assert {reading.outcome for reading in readings} == {"ok"}


def test_a_stale_connection_is_tried_once_more_and_the_reading_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            assert exchange(running, post("/v1/chat/completions", chat())).status == 200
            upstream.script(Fault(close="before_head"))  # takes the request on the kept connection and says nothing
            assert exchange(running, post("/v1/chat/completions", chat())).status == 200
            upstream.script(Fault(close="before_head"), Fault(close="before_head"))
            assert exchange(running, post("/v1/chat/completions", chat())).status == 502, "once, not for ever"
            readings = home.wait_readings(3)
    assert [("resent" in reading.flags, reading.outcome) for reading in readings] == [
        (False, "ok"), (True, "ok"), (True, "upstream_cut"),
    ]  # fmt: skip


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            upstream.script(Fault(status=302, body=b"", headers=(("location", "http://127.0.0.1:1/"),)))
            reply = exchange(running, post("/v1/chat/completions", chat()))
    assert reply.status >= 500
    assert "location" not in reply.headers


def test_an_engine_overload_that_says_200(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start("deepseek") as upstream:
        home.offer(upstream.base_url, dialect="deepseek")
        with gateway(home) as running:
            upstream.script(Fault(finish="insufficient_system_resource"))
            exchange(running, post("/v1/chat/completions", chat(stream=True)))
            (reading,) = home.wait_readings(1)
    assert (reading.outcome, reading.fault) == ("upstream_error", "overloaded")
    assert reading.output_provenance == "reported"


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_overload_that_says_200_and_nothing_else_is_no_answer(stream: bool, tmp_path: Path) -> None:
    """A whole reply, also where a stream was asked for: without text it is the failure that it names."""
    home = Home(tmp_path)
    with start("deepseek") as upstream:
        home.offer(upstream.base_url, dialect="deepseek")
        with gateway(home) as running:
            upstream.script("overloaded/2")
            reply = exchange(running, post("/v1/chat/completions", chat(stream=stream)))
            (reading,) = home.wait_readings(1)
    assert (reply.status, reply.json()["error"]["code"]) == (503, "overloaded")
    assert (reading.outcome, reading.fault) == ("upstream_error", "overloaded")


@pytest.mark.parametrize("stream", [False, True])
def test_lesson_01_every_started_attempt_ends_in_one_reading(stream: bool, tmp_path: Path) -> None:
    faults: list[Any] = [None, "rate_limited", Fault(cut_at=300), Fault(raw=b"x"), Fault(close="after_head"), None]
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url, **FAST)
        upstream.script(*faults)
        with gateway(home) as running:
            calls = [
                exchange(running, post("/v1/chat/completions", chat("m", "word " * 20, stream=stream))).headers[
                    "x-baseload-call-id"
                ]
                for _ in faults
            ]
            readings = home.wait_readings(len(faults))
    assert [reading.call for reading in readings] == calls


def test_an_error_frame_is_replaced_wherever_the_network_cuts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start() as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            for size in (0, 1, 50, 190, 333, 700):
                for crlf in (False, True):
                    upstream.script(Fault(error_after=3, piece_bytes=size, crlf=crlf))
                    reply = exchange(running, post("/v1/chat/completions", chat("m", "word " * 30, stream=True)))
                    frames = [frame for frame in reply.body.replace(b"\r\n", b"\n").split(b"\n\n") if frame]
                    assert all(frame.startswith(b"data: {") for frame in frames), reply.body
                    last = json.loads(frames[-1][6:])
                    assert last["error"]["type"] == "server_error"
                    assert sum(b'"content"' in frame for frame in frames) >= 3
                    assert reply.complete


def test_what_only_the_operator_can_mend_is_in_the_log_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with start(failure="bad_key") as upstream:
        home.offer(upstream.base_url)
        with gateway(home) as running:
            for _ in range(3):
                reply = exchange(running, post("/v1/chat/completions", chat()))
                assert reply.json()["error"]["code"] == "no_provider_available"
    told = [line for line in (tmp_path / "gateway.log").read_text().splitlines() if "offer m@p1 fails" in line]
    assert len(told) == 1
    assert "bad_key (status 401)" in told[0]
    assert told[0].endswith("see: baseload providers test p1")
