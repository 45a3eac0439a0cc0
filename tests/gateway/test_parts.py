"""The small parts: tick, wheel, metrics, vault, snapshot."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from baseload.errors import Refusal
from baseload.gateway import snapshot as snapshots
from baseload.gateway.metrics import BUCKETS_S, Metrics
from baseload.gateway.tick import Tick
from baseload.gateway.vault import Vault, new_key
from baseload.gateway.wheel import FOREVER, GONE, STEP_S, Wheel
from tests.gateway.harness import Home


class Journal:
    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.fails = 0

    def flush(self) -> bool:
        self.log.append("flush" if not self.fails else "refused")
        if self.fails:
            self.fails -= 1
            return False
        return True


def run_tick(fails: int) -> list[str]:
    log: list[str] = []
    journal = Journal(log)
    journal.fails = fails

    async def main() -> None:
        tick = Tick(asyncio.get_running_loop(), journal)  # type: ignore[arg-type]

        def second() -> None:
            log.append("b")
            tick.after_flush(lambda: log.append("c"))

        tick.after_flush(lambda: log.append("a"))
        tick.after_flush(second)
        await asyncio.sleep(0.01 + 0.1 * fails)

    asyncio.run(main())
    return log


def test_sends_follow_one_flush_and_what_they_cause_waits_for_the_next() -> None:
    assert run_tick(0) == ["flush", "a", "b", "flush", "c"]


def test_nothing_is_released_while_the_journal_cannot_be_written() -> None:
    assert run_tick(2) == ["refused", "refused", "flush", "a", "b", "flush", "c"]


def test_one_broken_send_does_not_keep_the_others() -> None:
    log: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: log.append(str(context["exception"])))
        tick = Tick(loop, Journal([]))  # type: ignore[arg-type]
        tick.after_flush(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
        tick.after_flush(lambda: log.append("sent"))
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert log == ["integer division or modulo by zero", "sent"]


class Thing:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.met: list[float] = []

    def on_deadline(self, now: float) -> None:
        self.met.append(now)
        self.deadline = GONE


def test_deadlines_are_met_late_by_a_step_and_never_early() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        start = loop.time()
        soon, moved, never, gone = Thing(start + 0.3), Thing(start + 60), Thing(FOREVER), Thing(start + 0.2)
        for thing in (soon, moved, never, gone):
            wheel.add(thing)
        moved.deadline = start + 0.4  # moved to an earlier instant after it was added
        gone.deadline = GONE
        await asyncio.sleep(2.8)
        wheel.stop()
        assert len(soon.met) == len(moved.met) == 1
        assert soon.met[0] >= start + 0.3
        assert soon.met[0] <= start + 0.3 + 3 * STEP_S
        assert moved.met[0] >= start + 0.4
        assert not never.met
        assert not gone.met

    asyncio.run(main())


def test_metrics_text_is_cumulative_and_escaped() -> None:
    metrics = Metrics()
    series = metrics.series('a"b\\c', "o", "chat")
    assert metrics.series('a"b\\c', "o", "chat") is series
    metrics.count_call(series, "ok", {"output_total": 5}, 3_000_000, 1_000_000)
    metrics.count_call(series, "ok", {"output_total": 7}, 400_000_000_000, -1)
    metrics.count_refusal("model_not_found", 404)
    text = metrics.render([("up", "gauge", "Up.", 1.0)]).decode()
    assert 'baseload_calls_total{model="a\\"b\\\\c",offer="o",endpoint="chat",outcome="ok"} 2\n' in text
    assert 'kind="output_total"} 12\n' in text
    assert 'baseload_call_duration_seconds_bucket{model="a\\"b\\\\c",offer="o",endpoint="chat",le="0.01"} 1\n' in text
    assert 'le="+Inf"} 2\n' in text
    assert "baseload_first_byte_seconds_count" in text
    assert 'baseload_refusals_total{code="model_not_found",status="404"} 1\n' in text
    buckets = [line for line in text.splitlines() if line.startswith("baseload_call_duration_seconds_bucket")]
    assert len(buckets) == len(BUCKETS_S) + 1


def test_the_same_by_the_names_of_opentelemetry() -> None:
    metrics = Metrics()
    series = metrics.series("m", "m@p", "messages", "gemini")
    metrics.count_call(
        series, "ok", {"input_uncached": 20, "cache_read": 3000, "output_total": 5}, 10_000_000, 2_000_000
    )
    text = metrics.render([]).decode()
    labels = 'gen_ai_operation_name="chat",gen_ai_request_model="m",gen_ai_provider_name="gcp.gemini",offer="m@p"'
    assert f'gen_ai_client_operation_duration_seconds_bucket{{{labels},le="0.01"}} 1\n' in text
    assert f'gen_ai_client_operation_time_to_first_chunk_seconds_bucket{{{labels},le="0.001"}} 0\n' in text
    assert f'gen_ai_client_token_usage_bucket{{{labels},gen_ai_token_type="input",le="1024"}} 0\n' in text
    assert f'gen_ai_client_token_usage_bucket{{{labels},gen_ai_token_type="input",le="4096"}} 1\n' in text
    assert f'gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type="input"}} 3020\n' in text
    assert f'gen_ai_client_token_usage_count{{{labels},gen_ai_token_type="output"}} 1\n' in text


def test_vault_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    vault = Vault.open(tmp_path, create=True)
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    again = Vault.open(tmp_path, create=True)
    key = new_key().encode()
    assert again.key_hash(key) == vault.key_hash(key)
    sealed = vault.seal("s3cret")
    assert "s3cret" not in sealed
    assert sealed != vault.seal("s3cret")
    assert again.resolve(sealed) == "s3cret"


def test_vault_says_which_credential_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault.open(tmp_path, create=True)
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(Refusal, match="NOT_THERE"):
        vault.resolve("env:NOT_THERE")
    with pytest.raises(Refusal, match="nofile"):
        vault.resolve(f"file:{tmp_path}/nofile")
    with pytest.raises(Refusal, match="env:NAME"):
        vault.resolve("sk-literal")
    other = Vault(os.urandom(32))
    with pytest.raises(Refusal, match="does not open"):
        other.resolve(vault.seal("x"))
    with pytest.raises(Refusal, match=r"secret\.key"):
        Vault.open(tmp_path / "elsewhere")


def test_a_snapshot_comes_back_as_it_was_and_garbage_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.offer("http://127.0.0.1:1/v1")
    home.publish()
    path = tmp_path / "snapshot.msgpack"
    assert path.stat().st_mode & 0o777 == 0o600
    found = snapshots.read(path)
    assert found.version == 1
    assert found.offers == home.offers
    assert found.prices == home.prices
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(msgspec.DecodeError):
        snapshots.read(path)


def test_a_step_that_fails_does_not_stop_the_clock() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: None)
        wheel = Wheel(loop)
        steps: list[float] = []

        def step(now: float) -> None:
            steps.append(now)
            raise OSError("no")

        wheel.every_step.append(step)
        thing = Thing(loop.time() + 0.6)
        wheel.add(thing)
        await asyncio.sleep(1.3)
        wheel.stop()
        assert len(steps) >= 3
        assert len(thing.met) == 1

    asyncio.run(main())
