"""Every client protocol through every kind of door: what clients send, how they read a stream, and a home that has all.

A stream is read here by own code from its bytes; that the official libraries agree is shown in `test_protocol_ends.py`.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baseload.gateway.journal.entries import Reading
from tests.gateway.harness import Home, Reply, Running, exchange, gateway, post
from tests.vendors import AWS_ID, AWS_SECRET, Simulator, start

DOORS = {
    # door -> vendor that has it (and, in these homes, nothing else)
    "chat": "openai",
    "responses": "openai",
    "messages": "anthropic",
    "gemini": "gemini",
    "converse": "bedrock",
    "qwen": "dashscope",
}


@dataclass(frozen=True)
class Stream:
    """What a client has read: text, whether its protocol's own end came, the error that came instead."""

    text: str
    ended: bool
    error: Any = None
    frames: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Client:
    name: str
    path: Callable[[str, bool], str]
    body: Callable[[str, str, bool], dict[str, Any]]
    read: Callable[[bytes], Stream]
    text: Callable[[Any], str]  # of a whole reply

    def ask(self, model: str, text: str = "hello", *, stream: bool = True, extra: str = "", **more: Any) -> bytes:
        body = {**self.body(model, text, stream), **more}
        return post(self.path(model, stream), body, extra=extra)


def sse(body: bytes) -> list[Any]:
    """The data of each event, decoded; [DONE] stays a text. Fails on half an event."""
    assert body == b"" or body.endswith((b"\n\n", b"\n")), body[-100:]
    found = []
    for event in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        if data:
            found.append("[DONE]" if data == b"[DONE]" else json.loads(data))
    return found


def _chat(body: bytes) -> Stream:
    frames = sse(body)
    chunks = [frame for frame in frames if frame != "[DONE]"]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))
    error = next((chunk["error"] for chunk in chunks if chunk.get("error")), None)
    return Stream(text, "[DONE]" in frames, error, tuple(frames))


def _responses(body: bytes) -> Stream:
    frames = sse(body)
    text = "".join(frame["delta"] for frame in frames if frame["type"] == "response.output_text.delta")
    ended = any(frame["type"] in ("response.completed", "response.incomplete") for frame in frames)
    error = next((frame for frame in frames if frame["type"] in ("error", "response.failed")), None)
    return Stream(text, ended, error, tuple(frames))


def _messages(body: bytes) -> Stream:
    frames = sse(body)
    text = "".join(frame["delta"].get("text", "") for frame in frames if frame["type"] == "content_block_delta")
    error = next((frame["error"] for frame in frames if frame["type"] == "error"), None)
    return Stream(text, any(frame["type"] == "message_stop" for frame in frames), error, tuple(frames))


def _gemini_text(frame: Any) -> str:
    parts = [part for each in frame.get("candidates", ()) for part in each.get("content", {}).get("parts", ())]
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


def _gemini_frames(frames: list[Any]) -> Stream:
    ended = any(each.get("finishReason") for frame in frames for each in frame.get("candidates", ()))
    error = next((frame["error"] for frame in frames if "error" in frame), None)
    return Stream("".join(map(_gemini_text, frames)), ended, error, tuple(frames))


def _contents(model: str, text: str, stream: bool) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


CLIENTS = {
    client.name: client
    for client in (
        Client(
            "chat",
            lambda model, stream: "/v1/chat/completions",
            lambda model, text, stream: {
                "model": model, "messages": [{"role": "user", "content": text}], "stream": stream,
            },
            _chat,
            lambda reply: reply["choices"][0]["message"]["content"],
        ),
        Client(
            "responses",
            lambda model, stream: "/v1/responses",
            lambda model, text, stream: {"model": model, "input": text, "stream": stream},
            _responses,
            lambda reply: "".join(part["text"] for item in reply["output"] for part in item.get("content") or ()),
        ),
        Client(
            "messages",
            lambda model, stream: "/v1/messages",
            lambda model, text, stream: {
                "model": model, "messages": [{"role": "user", "content": text}], "stream": stream, "max_tokens": 1000,
            },
            _messages,
            lambda reply: "".join(block.get("text", "") for block in reply["content"]),
        ),
        Client(
            "gemini",
            lambda model, stream: f"/v1beta/models/{model}:{'streamG' if stream else 'g'}enerateContent"
            + ("?alt=sse" if stream else ""),
            _contents,
            lambda body: _gemini_frames(sse(body)),
            _gemini_text,
        ),
        Client(
            "array",
            lambda model, stream: f"/v1beta/models/{model}:{'streamG' if stream else 'g'}enerateContent",
            _contents,
            lambda body: _gemini_frames(json.loads(body)),
            _gemini_text,
        ),
    )
}  # fmt: skip


def secret(vendor: Simulator) -> str:
    """The credential that a simulated vendor takes."""
    if vendor.dialect.name == "bedrock":
        return f"{AWS_ID}:{AWS_SECRET}"
    if vendor.dialect.name == "vertex":
        return json.dumps(vendor.account)
    return "vendor-key"


def offer(home: Home, vendor: Simulator, door: str, **more: Any) -> None:
    """An offer of a vendor with one door; its credential in a file of the home."""
    file = home.path / f"key{len(home.offers)}"
    file.write_text(secret(vendor))
    home.offer(
        vendor.provider_url,
        **{
            "dialect": vendor.dialect.name, "endpoints": (door,), "credential": f"file:{file}", "model": door,
            **more,
        },
    )  # fmt: skip


@dataclass
class Everything:
    """A gateway with a model a door, each named after it."""

    running: Running
    vendors: dict[str, Simulator]

    @property
    def home(self) -> Home:
        return self.running.home

    def send(self, request: bytes) -> Reply:
        return exchange(self.running, request)

    def reading(self, reply: Reply) -> Reading:
        """The one reading of a call."""
        return reading_of(self.home, reply.headers["x-baseload-call-id"])


def reading_of(home: Home, call: str, within_s: float = 20.0) -> Reading:
    until = time.monotonic() + within_s
    while True:
        found = [reading for reading in home.readings() if reading.call == call]
        assert len(found) < 2, f"two readings of {call}"
        if found:
            return found[0]
        assert time.monotonic() < until, f"no reading of {call}"
        time.sleep(0.05)


@contextlib.contextmanager
def everything(path: Path, *, args: tuple[str, ...] = (), row: dict[str, Any] | None = None, **always: Any) -> Iterator[
    Everything
]:  # fmt: skip
    """`row`: fields of all providers; `always`: what each vendor does to every request (a fault's fields)."""
    home = Home(path)
    with contextlib.ExitStack() as stack:
        vendors = {door: stack.enter_context(start(dialect, **always)) for door, dialect in DOORS.items()}
        for door, vendor in vendors.items():
            offer(home, vendor, door, **(row or {}))
        yield Everything(stack.enter_context(gateway(home, args=args)), vendors)
