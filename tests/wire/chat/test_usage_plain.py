"""The quick reader never differs from the full one: it agrees or it declines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from baseload.wire.chat.usage_plain import plain_meters
from baseload.wire.usage import normalise

VECTORS = json.loads((Path(__file__).parents[1] / "usage_vectors.json").read_text())["vectors"]
COUNT = st.one_of(st.integers(0, 50), st.integers(-3, 10**15), st.sampled_from([None, True, 1.5, "3", 2**70]))


def agrees(raw: bytes, vendor: str) -> bool:
    found = plain_meters(raw)
    if found is None:
        return False
    full = normalise("openai-chat", vendor, raw)
    assert {name: count for name, count in full.meters.items() if count} == {k: v for k, v in found.items() if v}, raw
    assert (full.input_provenance, full.output_provenance) == ("reported", "reported")
    assert full.flags == ()
    assert full.select == {}
    assert full.reported_cost == ""
    return True


def test_every_vector_with_one_report() -> None:
    taken = 0
    for vector in VECTORS:
        if vector["protocol"] == "openai-chat" and isinstance(vector.get("usage"), dict) and not vector.get("setting"):
            taken += agrees(json.dumps(vector["usage"]).encode(), vector["vendor"])
    assert taken >= 6


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": COUNT, "completion_tokens": COUNT},
        optional={
            "prompt_tokens_details": st.one_of(
                st.none(),
                st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "cache_write_tokens"]), COUNT),
            ),
            "completion_tokens_details": st.one_of(
                st.none(),
                st.dictionaries(
                    st.sampled_from(["reasoning_tokens", "audio_tokens", "accepted_prediction_tokens"]), COUNT
                ),
            ),
            "cost": COUNT,
        },
    ),
    st.one_of(st.just("sum"), st.none(), COUNT),
    st.sampled_from(["openai", "deepseek", "moonshot", "openrouter", "llamacpp", "any"]),
)
def test_any_report(report: dict[str, Any], total: Any, vendor: str) -> None:
    if total == "sum":
        parts = (report["prompt_tokens"], report["completion_tokens"])
        total = sum(parts) if all(type(part) is int for part in parts) else 7
    if total is not None:
        report["total_tokens"] = total
    agrees(json.dumps(report).encode(), vendor)
