"""Every published usage vector of the protocols this gateway speaks: the file is the test."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from baseload.wire.chat import StreamMeter
from baseload.wire.usage import Usage, normalise

PROTOCOLS = {"openai-chat": 46, "openai-embeddings": 1, "openai-chat-batch-item": 1}


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


class File(msgspec.Struct):
    vectors: list[Vector]


ALL = msgspec.json.decode((Path(__file__).parent / "usage_vectors.json").read_bytes(), type=File).vectors
OURS = [vector for vector in ALL if vector.protocol in PROTOCOLS]


def test_no_vector_is_left_out():
    found = {name: sum(vector.protocol == name for vector in ALL) for name in PROTOCOLS}
    assert found == PROTOCOLS
    assert len(OURS) == 48
    assert len(ALL) == 83
    assert len({vector.id for vector in ALL}) == 83


@pytest.mark.parametrize("vector", OURS, ids=lambda vector: f"{vector.id}-{vector.vendor}")
def test_vector(vector: Vector):
    found = read(vector)
    provenance = (
        vector.provenance
        if isinstance(vector.provenance, dict)
        else dict.fromkeys(("input", "output"), vector.provenance)
    )
    assert (found.input_provenance, found.output_provenance) == (provenance["input"], provenance["output"])
    if vector.expect is None:
        assert found.meters == {}
    else:
        expect = {name: value for name, value in vector.expect.items() if value is not None}
        assert found.reported_cost == expect.pop("reported_cost", "")
        assert {name: count for name, count in found.meters.items() if count} == {n: c for n, c in expect.items() if c}
        assert {"input_uncached", "output_total"} <= found.meters.keys(), "a zero that was reported is written down"
    assert sorted(found.flags) == sorted(vector.flags)
    assert found.select == vector.select


def read(vector: Vector) -> Usage:
    if vector.streamed:
        meter = StreamMeter(strip=False)
        for frame in vector.frames:
            meter.feed(b"data: " + b"".join(bytes(frame).splitlines()) + b"\n\n")
        meter.close()
        assert meter.malformed == 0
        report: bytes | list[bytes] = meter.usages
    else:
        report = b"" if bytes(vector.usage) == b"null" else bytes(vector.usage)
    return normalise(
        vector.protocol,
        vector.vendor,
        report,
        request_cache_ttl=vector.setting.get("request_cache_ttl", ""),
        ended=vector.ended,
    )
