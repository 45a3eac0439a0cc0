"""The official Node.js libraries, unmodified, through one gateway to a provider of each protocol.

One install, one Node process (`node/run.mjs`), one JSON line an exchange; judged here.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from baseload.gateway.journal.entries import Reading
from tests.gateway.harness import KEY, Home, gateway
from tests.vendors import AWS_ID, AWS_SECRET, start

DOORS = {  # the door a provider has -> simulated vendor, upstream model
    "chat": ("openai", "gpt-4.1"),
    "responses": ("openai", "gpt-5-mini"),
    "messages": ("anthropic", "claude-sonnet-4-5"),
    "gemini": ("gemini", "gemini-2.5-flash"),
    "converse": ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    "qwen": ("dashscope", "qwen-plus"),
}
PREFIXES = ("", "gpt-5-", "claude-sonnet-4-5-", "gemini-2.5-flash-")  # libraries read from a name what a model can
FAULTS = ("bad_request", "too_long", "rate_limited", "overloaded", "bad_key", "error_mid_stream")
CLIENT_NAMES = (
    "openai.chat", "openai.responses", "anthropic",
    "ai/openai", "ai/openai.chat", "ai/anthropic", "ai/anthropic, unknown model", "ai/google", "ai/openai-compatible",
)  # fmt: skip
AI = CLIENT_NAMES[3:]
SECRETS = {"BASELOAD_TEST_AWS": f"{AWS_ID}:{AWS_SECRET}", "BASELOAD_TEST_KEY": "sk-provider"}


@dataclass
class Seen:
    lines: dict[tuple[str, str, str], dict[str, Any]]
    readings: dict[str, Reading]
    repeats: dict[str, int]  # by door: requests that came where every client's first one fails


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("clients")
    here = Path(__file__).with_name("node")
    for path in (*here.glob("*.mjs"), here / "package.json"):
        shutil.copy(path, folder)
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error"],
        cwd=folder,
        check=True,
        timeout=300,
    )
    home = Home(folder / "home")
    os.environ.update(SECRETS)
    flaky = {}
    with contextlib.ExitStack() as stack:
        for door, (dialect, upstream) in DOORS.items():
            vendor = stack.enter_context(start(dialect))
            flaky[door] = stack.enter_context(start(dialect))
            flaky[door].script(*["overloaded"] * len(CLIENT_NAMES))
            for prefix in PREFIXES:
                offers = [(door, vendor, upstream), (f"flaky-{door}", flaky[door], upstream)]
                offers += [(f"{fault}-{door}", vendor, f"fault-{fault}") for fault in FAULTS]
                for name, at, model in offers:
                    credential = "env:BASELOAD_TEST_AWS" if dialect == "bedrock" else "env:BASELOAD_TEST_KEY"
                    home.offer(
                        at.provider_url, prefix + name, dialect=dialect, endpoints=(door,), upstream_model=model,
                        credential=credential,
                    )  # fmt: skip
        running = stack.enter_context(gateway(home))
        config = {
            "base": running.url,
            "key": KEY,
            "doors": list(DOORS),
            "faults": [{"name": fault, "model": f"{fault}-{door}"} for fault in FAULTS for door in DOORS],
        }
        done = subprocess.run(
            ["node", "run.mjs", json.dumps(config)], cwd=folder, capture_output=True, text=True, timeout=240,
            env={name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said = map(json.loads, done.stdout.splitlines())
        lines = {(told["client"], told["door"], told["case"]): told for told in said}
        repeats = {door: len(vendor.requests) for door, vendor in flaky.items()}
        yield Seen(lines, {reading.call: reading for reading in home.readings()}, repeats)


EVERY = pytest.mark.parametrize("door", DOORS)
CLIENT = pytest.mark.parametrize("client", CLIENT_NAMES)
STREAMED = pytest.mark.parametrize("streamed", ["", ", streamed"])
ENDS = {"stop", "completed", "end_turn"}
CALLS = {"tool_calls", "tool-calls", "tool_use", "completed"}  # Responses knows no finish of its own for calls
CUT = {"length", "max_output_tokens", "max_tokens"}


def line(seen: Seen, client: str, door: str, case: str) -> dict[str, Any]:
    found = seen.lines[client, door, case]
    assert "error" not in found, found["error"]
    return found


def metered(seen: Seen, found: dict[str, Any]) -> None:
    """What the client counts is what the account is charged for, cache reads included."""
    reading = seen.readings[found["call"]]
    meters = reading.meters
    prompt = sum(count for name, count in meters.items() if name == "input_uncached" or name.startswith("cache_"))
    assert found["usage"] == {
        "input": prompt,
        "output": meters["output_total"],
        "cached": meters.get("cache_read", 0),
    }
    assert reading.outcome == "ok"


@CLIENT
@EVERY
@STREAMED
def test_plain(seen: Seen, client: str, door: str, streamed: str) -> None:
    found = line(seen, client, door, f"plain{streamed}")
    assert found["text"] == "echo hello there cached"
    assert found["finish"] in ENDS
    assert found["usage"]["cached"] > 0
    assert found["usage"]["output"] >= 4
    metered(seen, found)


@CLIENT
@EVERY
@STREAMED
def test_the_limit_ends_the_answer(seen: Seen, client: str, door: str, streamed: str) -> None:
    found = line(seen, client, door, f"short{streamed}")
    assert found["text"] == "w0 w1 w2 w3 w4"
    assert found["finish"] in CUT
    metered(seen, found)


@CLIENT
@EVERY
@STREAMED
def test_images(seen: Seen, client: str, door: str, streamed: str) -> None:
    found = line(seen, client, door, f"image{streamed}")
    assert found["text"] == "echo what is here saw image image/png of 70 bytes"
    metered(seen, found)


@CLIENT
@EVERY
@STREAMED
def test_parallel_tools_over_two_turns(seen: Seen, client: str, door: str, streamed: str) -> None:
    found = line(seen, client, door, f"tools{streamed}")
    assert [(call["name"], call["args"]) for call in found["tools"]] == [
        ("weather", {"city": "echo use weather and clock"}),
        ("clock", {"zone": "echo use weather and clock"}),
    ]
    assert len({call["id"] for call in found["tools"]}) == 2
    assert found["finish"] in CALLS
    answered(client, found, "results sunny and noon")
    assert found["last"] in ENDS
    metered(seen, found)


def answered(client: str, found: dict[str, Any], text: str) -> None:
    """The results came to the model, in order. @ai-sdk/google wraps a result: {"name": ..., "content": ...}."""
    if client == "ai/google":
        for name, said in (("weather", "sunny"), ("clock", "noon")):
            wrapped = json.dumps({"name": name, "content": said})
            text = text.replace(said, wrapped)
        assert found["text"].replace('","', '", "').replace('":"', '": "') == text
    else:
        assert found["text"] == text


@CLIENT
@EVERY
@STREAMED
def test_thinking_and_its_signature_come_back(seen: Seen, client: str, door: str, streamed: str) -> None:
    """The simulated vendors refuse thinking that was altered, and a signed call that comes without it."""
    found = line(seen, client, door, f"think{streamed}")
    assert [call["name"] for call in found["tools"]] == ["weather"]
    answered(client, found, "results sunny")
    metered(seen, found)
    # Chat has no word for wanting a summary, without which OpenAI's responses show none; and ai's own chat client
    # knows no member for thinking.
    hidden = client == "ai/openai.chat" or (door == "responses" and client in ("openai.chat", "ai/openai-compatible"))
    assert found["thought"] == ("" if hidden else "let me see")
    assert not any("reasoning" in dropped.split(", ") for dropped in found["dropped"]), "the effort was taken"
    if door in ("responses", "messages", "gemini", "converse") and "signed" in found:
        assert found["signed"]


@CLIENT
@EVERY
@STREAMED
def test_json_by_schema(seen: Seen, client: str, door: str, streamed: str) -> None:
    found = line(seen, client, door, f"schema{streamed}")
    assert found["value"] == {"colour": "echo fill in", "count": 7}
    metered(seen, found)
    if client in AI:
        assert line(seen, client, door, f"output{streamed}")["value"] == found["value"]


@pytest.mark.parametrize("client", ["openai.responses", "anthropic"])
@EVERY
def test_tokens_are_counted(seen: Seen, client: str, door: str) -> None:
    found = line(seen, client, door, "count")
    own = door == {"openai.responses": "responses", "anthropic": "messages"}[client]
    assert found["how"] == ("asked" if own else "estimated")
    assert found["count"] == 11 if own else 5 <= found["count"] <= 30


def test_the_beta_path_of_messages(seen: Seen) -> None:
    found = line(seen, "anthropic", "chat", "beta")
    assert found["text"] == "echo hello there cached"
    metered(seen, found)


STATUS = {"bad_request": 400, "too_long": 400, "rate_limited": 429, "overloaded": 503, "bad_key": 503}
CLASSES = {400: "BadRequestError", 429: "RateLimitError", 503: "InternalServerError", 529: "InternalServerError"}
TYPES = {  # the type in Anthropic's envelope
    "bad_request": "invalid_request_error",
    "too_long": "invalid_request_error",
    "rate_limited": "rate_limit_error",
    "overloaded": "overloaded_error",
    "bad_key": "overloaded_error",
}
CODES = {
    "too_long": "context_length_exceeded",
    "rate_limited": "rate_limit_exceeded",
    "overloaded": "overloaded",
    "bad_key": "no_provider_available",
}


@CLIENT
@pytest.mark.parametrize("fault", STATUS)
def test_a_failure_is_the_librarys_own_class(seen: Seen, client: str, fault: str) -> None:
    status = STATUS[fault]
    if "anthropic" in client and status == 503:
        status = 529  # Anthropic's word for it, and its library's
    for door in DOORS:
        for case in ("error", "error, streamed"):
            error = seen.lines[client, f"{fault}-{door}", case]["error"]
            assert error["status"] == status, (door, case)
            assert "sk-provider" not in error["said"], (door, case)
            if client in AI:
                assert error["name"] == "AI_APICallError", (door, case)
                assert error["retryable"] is (status != 400), (door, case)
                continue
            assert error["class"] == CLASSES[status], (door, case)
            if client == "anthropic":
                assert error["type"] == TYPES[fault], (door, case)
            elif fault in CODES:
                assert error["code"] == CODES[fault], (door, case)


@CLIENT
@EVERY
def test_a_failure_within_a_stream_is_an_error(seen: Seen, client: str, door: str) -> None:
    found = seen.lines[client, f"error_mid_stream-{door}", "error, streamed"]
    say = "The provider of this model is overloaded"
    error = found["error"]
    if client.startswith("openai."):
        assert error["class"] == "APIError"
        translated = client == "openai.responses" and door != "responses"
        assert error["code"] == ("server_error" if translated else "overloaded")  # a response's own codes are few
    elif "anthropic" in client:
        assert error["type"] == "overloaded_error"
    assert error["status"] in (None, 500, 503)
    assert say in error["said"] or client == "ai/openai"


@CLIENT
@EVERY
def test_an_overload_is_repeated(seen: Seen, client: str, door: str) -> None:
    assert line(seen, client, door, "retry")["text"] == "echo hello there cached"


def test_every_overload_was_met(seen: Seen) -> None:
    """None of the repeats above went through at once."""
    assert seen.repeats == {door: 2 * len(CLIENT_NAMES) for door in DOORS}


def test_nothing_else_happened(seen: Seen) -> None:
    """Every case of every client is judged above."""
    simple = {"plain", "short", "image", "tools", "think", "schema"}
    for client in CLIENT_NAMES:
        cases = {case for name, door, case in seen.lines if name == client and door in DOORS}
        whole = simple | ({"output"} if client in AI else set())
        expected = whole | {f"{case}, streamed" for case in whole} | {"retry"}
        assert cases - {"count", "beta"} == expected, client
