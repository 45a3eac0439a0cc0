"""Every published usage vector, through the meter of its protocol: the file is the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from baseload.wire import chat, converse, eventstream, gemini, messages, qwen, responses
from baseload.wire.metering import Meter
from baseload.wire.usage import Usage, normalise

PROTOCOLS = {
    "openai-chat": 46,
    "openai-embeddings": 1,
    "openai-chat-batch-item": 1,
    "openai-responses": 4,
    "anthropic-messages": 12,
    "gemini": 9,
    "bedrock-converse": 3,
    "dashscope-native": 4,
    "tencent-native": 1,
    "ollama-native": 2,
}
COUNTED = {"input": 4321, "output": 17}
"""What the gateway counted itself, for the sides of a vector that are "counted"."""


class Vector(msgspec.Struct):
    id: str
    vendor: str
    protocol: str
    streamed: bool
    expect: dict[str, int | str | None] | None
    provenance: str | dict[str, str]
    why: str
    usage: Raw = Raw(b"")
    frames: list[Raw] = []
    ended: str = "normal"
    flags: list[str] = []
    select: dict[str, str | bool] = {}
    setting: dict[str, str] = {}

    def sides(self) -> dict[str, str]:
        if isinstance(self.provenance, dict):
            return self.provenance
        return dict.fromkeys(("input", "output"), self.provenance)


class File(msgspec.Struct):
    vectors: list[Vector]


ALL = msgspec.json.decode((Path(__file__).parent / "usage_vectors.json").read_bytes(), type=File).vectors


def test_no_vector_is_left_out():
    assert {name: sum(vector.protocol == name for vector in ALL) for name in PROTOCOLS} == PROTOCOLS
    assert len(ALL) == sum(PROTOCOLS.values()) == 83
    assert len({vector.id for vector in ALL}) == 83


@pytest.mark.parametrize("vector", ALL, ids=lambda vector: f"{vector.id}-{vector.vendor}")
def test_vector(vector: Vector):
    found = read(vector, None)
    check(vector, found)


@pytest.mark.parametrize(
    "vector", [vector for vector in ALL if vector.streamed], ids=lambda vector: f"{vector.id}-{vector.vendor}"
)
def test_vector_byte_by_byte(vector: Vector):
    check(vector, read(vector, 1))


def check(vector: Vector, found: Usage) -> None:
    sides = vector.sides()
    assert (found.input_provenance, found.output_provenance) == (sides["input"], sides["output"])
    if vector.expect is None:
        assert found.meters == {}
    else:
        expect = {name: value for name, value in vector.expect.items() if value is not None}
        assert found.reported_cost == expect.pop("reported_cost", "")
        for side, name in (("input", "input_uncached"), ("output", "output_total")):
            if sides[side] == "counted":
                expect[name] = COUNTED[side]
        assert {name: count for name, count in found.meters.items() if count} == {n: c for n, c in expect.items() if c}
        assert {"input_uncached", "output_total"} <= found.meters.keys(), "a zero that was reported is written down"
    assert sorted(found.flags) == sorted(vector.flags)
    assert found.select == vector.select


def read(vector: Vector, step: int | None) -> Usage:
    tier = ""
    if vector.streamed:
        make, frame = STREAMS[vector.protocol]
        meter = make()
        for raw in vector.frames:
            data = frame(b"".join(bytes(raw).splitlines()))
            for at in range(0, len(data), step or len(data)):
                meter.feed(data[at : at + (step or len(data))])
        meter.close()
        assert meter.malformed == 0
        report: bytes | list[bytes] = meter.usages
        tier = meter.tier
    else:
        report = b"" if bytes(vector.usage) == b"null" else bytes(vector.usage)
    sides = vector.sides()
    return normalise(
        vector.protocol,
        vector.vendor,
        report,
        request_cache_ttl=vector.setting.get("request_cache_ttl", ""),
        tier=tier,
        ended=vector.ended,
        counted_input=COUNTED["input"] if sides["input"] == "counted" else None,
        counted_output=COUNTED["output"] if sides["output"] == "counted" else None,
    )


class _Typed(msgspec.Struct):
    type: str


def plain_frame(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def named_frame(data: bytes) -> bytes:
    kind = msgspec.json.decode(data, type=_Typed).type
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def numbered_frame(data: bytes) -> bytes:
    return b"id:1\nevent:result\n:HTTP_STATUS/200\ndata:" + data + b"\n\n"


def binary_frame(data: bytes) -> bytes:
    [(kind, payload)] = msgspec.json.decode(data, type=dict[str, Raw]).items()
    return eventstream.write({":message-type": "event", ":event-type": kind}, bytes(payload))


STREAMS: dict[str, tuple[Callable[[], Meter], Callable[[bytes], bytes]]] = {
    "openai-chat": (chat.StreamMeter, plain_frame),
    "openai-responses": (responses.StreamMeter, named_frame),
    "anthropic-messages": (messages.StreamMeter, named_frame),
    "gemini": (gemini.StreamMeter, plain_frame),
    "bedrock-converse": (converse.StreamMeter, binary_frame),
    "dashscope-native": (qwen.StreamMeter, numbered_frame),
}
"""Protocol -> its meter, and how one frame of a vector stands in its stream."""
