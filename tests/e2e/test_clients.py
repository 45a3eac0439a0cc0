"""Unmodified clients against the real local model; the bill is usage times price to the nano-unit."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.grid import Grid, clean_env

ASK: Any = [{"role": "user", "content": "Name three colours."}]


def nano(usage: dict[str, Any], rate: dict[str, str]) -> int:
    """What a usage costs by a rate without rules: exact, rounded half-even once. Independent of the product's code."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    exact = (
        Fraction(rate["input"]) * (usage["prompt_tokens"] - cached)
        + Fraction(rate["cache_read"]) * cached
        + Fraction(rate["output"]) * usage.get("completion_tokens", 0)
    ) * Fraction(1_000_000_000, 1_000_000)
    return round(exact)


def rate_in_force(grid: Grid, book: str) -> dict[str, str]:
    rows = [row for row in grid.json("prices", "show", "smollm2")["prices"] if row["book"].startswith(book)]
    assert len(rows) == 1, rows
    return dict(rows[0]["rate"])


def test_the_printed_curl_line_works_when_pasted(grid: Grid) -> None:
    words = shlex.split(grid.facts["curl"])
    assert words[0] == "curl"
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"].strip()


def test_openai_python_and_the_bill(grid: Grid) -> None:
    client = openai.OpenAI(base_url=grid.base_url, api_key=grid.new_key("acme"))
    assert [model.id for model in client.models.list()] == ["smollm2"]
    usages: list[dict[str, Any]] = []
    calls: list[str] = []

    plain = client.chat.completions.with_raw_response.create(model="smollm2", messages=ASK, max_tokens=16)
    calls.append(plain.headers["x-baseload-call-id"])
    assert plain.headers["x-baseload-offer"] == "smollm2@local"
    reply = plain.parse()
    assert reply.choices[0].message.content
    assert reply.usage is not None
    usages.append(reply.usage.model_dump())

    with client.chat.completions.with_streaming_response.create(
        model="smollm2", messages=ASK, max_tokens=16, stream=True, stream_options={"include_usage": True}
    ) as response:
        calls.append(response.headers["x-baseload-call-id"])
        chunks = list(response.parse())
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    (reported,) = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert chunks[-1].choices == []
    usages.append(reported.model_dump())

    completion = client.completions.with_raw_response.create(model="smollm2", prompt="The sky is", max_tokens=4)
    calls.append(completion.headers["x-baseload-call-id"])
    text = completion.parse()
    assert text.choices[0].text
    assert text.usage is not None
    usages.append(text.usage.model_dump())

    embedding = client.embeddings.with_raw_response.create(model="smollm2", input="hello grid")
    calls.append(embedding.headers["x-baseload-call-id"])
    vectors = embedding.parse()
    assert len(vectors.data[0].embedding) > 100
    usages.append(vectors.usage.model_dump())

    with client.chat.completions.with_streaming_response.create(
        model="smollm2", messages=ASK, max_tokens=16, stream=True
    ) as response:
        unasked = response.headers["x-baseload-call-id"]
        chunks = list(response.parse())
    assert all(chunk.choices for chunk in chunks), "the usage chunk that nobody asked for is hidden"
    assert all(chunk.usage is None for chunk in chunks)

    rate = rate_in_force(grid, "cost:")
    for record, usage in zip(grid.settled(calls), usages, strict=True):
        (attempt,) = record["attempts"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        meters = attempt["meters"]
        assert meters.get("output_total", 0) == usage.get("completion_tokens", 0)
        assert meters.get("cache_read", 0) == cached
        assert meters["input_uncached"] == usage["prompt_tokens"] - cached
        assert (attempt["input_provenance"], attempt["output_provenance"]) == ("reported", "reported")
        assert attempt["cost"]["nano"] == attempt["charge"]["nano"] == nano(usage, rate)
    (hidden,) = grid.settled([unasked])
    usages.append(json.loads(hidden["attempts"][0]["raw_usage"]))
    assert usages[-1]["completion_tokens"] > 0, "usage is metered although the client did not ask"

    bill = grid.json("bill", "--account", "acme")["bill"]
    wanted = sum(nano(usage, rate) for usage in usages)
    assert bill["totals"] == [{"currency": "USD", "nano": wanted, "amount": bill["totals"][0]["amount"]}]
    assert Fraction(bill["totals"][0]["amount"]) == Fraction(wanted, 10**9)
    postings = [json.loads(line) for line in grid.run("ledger", "export", "--format", "jsonl").splitlines()]
    owed = [line["nano"] for line in postings if line["call"] in (*calls, unasked) and line["name"] == "acme"]
    assert sum(owed) == wanted
    assert sum(line["nano"] for line in postings) == 0
    assert grid.json("ledger", "check")["findings"] == []


def test_a_client_sees_its_own_call_and_nobody_elses(grid: Grid) -> None:
    client = openai.OpenAI(base_url=grid.base_url, api_key=grid.key, max_retries=0)
    reply = client.chat.completions.with_raw_response.create(model="smollm2", messages=ASK, max_tokens=3)
    call = reply.headers["x-baseload-call-id"]
    record = client.get(f"/calls/{call}", cast_to=dict[str, Any])
    assert record["state"] == "settled"
    assert record["offer"] == "smollm2@local"
    assert record["attempts"][0]["meters"]["output_total"] == 3
    rival = openai.OpenAI(base_url=grid.base_url, api_key=grid.new_key("rival"), max_retries=0)
    with pytest.raises(openai.NotFoundError):
        rival.get(f"/calls/{call}", cast_to=dict[str, Any])


@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own_classes(grid: Grid, stream: bool) -> None:
    client = openai.OpenAI(base_url=grid.base_url, api_key=grid.key, max_retries=0)
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nobody", messages=ASK, stream=stream)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=grid.base_url, api_key="sk-wrong").chat.completions.create(
            model="smollm2", messages=ASK, stream=stream
        )
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="smollm2", messages=ASK, max_tokens=-3, stream=stream)


def test_openai_node(grid: Grid, tmp_path: Path) -> None:
    for name in ("package.json", "talk.mjs"):
        shutil.copy(Path(__file__).with_name("node") / name, tmp_path)
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error"],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    done = subprocess.run(
        ["node", "talk.mjs", grid.base_url, grid.key, "smollm2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_env(),
    )
    assert done.returncode == 0, done.stderr
    said = {line["kind"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert said["plain"]["text"]
    assert said["stream+usage"]["text"]
    assert said["stream"]["text"]
    assert said["stream"]["usage"] is None
    assert said["stream"]["empty"] == 0
    assert said["stream+usage"]["empty"] == 1
    assert said["error"] == {"kind": "error", "name": "NotFoundError", "status": 404, "code": "model_not_found"}
    for line, record in zip(
        (said["plain"], said["stream+usage"]),
        grid.settled([said["plain"]["call"], said["stream+usage"]["call"]]),
        strict=True,
    ):
        assert record["attempts"][0]["meters"]["output_total"] == line["usage"]["completion_tokens"]
