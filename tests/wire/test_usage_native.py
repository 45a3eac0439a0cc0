"""Usage in the words of Tencent's native door and of Ollama's last line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.wire.usage import normalise


def test_tencent_says_numbers_in_strings():
    raw = b'{"PromptTokens":"300","CompletionTokens":20,"TotalTokens":320,"PromptTokensDetails":{"CachedTokens":"128"}}'
    found = normalise("tencent-native", "tencent", raw)
    assert found.meters == {"input_uncached": 172, "cache_read": 128, "output_total": 20}
    assert (found.input_provenance, found.output_provenance, found.flags) == ("reported", "reported", ())
    assert found.raw == raw, "the provider's own object is kept"


def test_tencent_frames_replace_each_other():
    frames = [
        b'{"PromptTokens":10,"CompletionTokens":1,"TotalTokens":11}',
        b'{"PromptTokens":10,"CompletionTokens":9,"TotalTokens":19}',
    ]
    assert normalise("tencent-native", "tencent", frames).meters == {"input_uncached": 10, "output_total": 9}


@pytest.mark.parametrize("details", ["null", "{}", '{"CachedTokens":null}'])
def test_tencent_details_that_say_nothing(details: str):
    raw = b'{"PromptTokens":3,"CompletionTokens":2,"PromptTokensDetails":' + details.encode() + b"}"
    found = normalise("tencent-native", "tencent", raw)
    assert (found.meters, found.flags) == ({"input_uncached": 3, "output_total": 2}, ())


def test_tencent_details_of_another_kind_are_flagged():
    raw = b'{"PromptTokens":3,"CompletionTokens":2,"PromptTokensDetails":[1]}'
    found = normalise("tencent-native", "tencent", raw)
    assert (found.meters, found.flags) == ({"input_uncached": 3, "output_total": 2}, ("invalid",))


def test_ollama_absent_input_is_not_zero():
    raw = b'{"done":true,"eval_count":290}'
    found = normalise("ollama-native", "ollama", raw)
    assert (found.meters, found.input_provenance) == ({"output_total": 290}, "missing")
    counted = normalise("ollama-native", "ollama", raw, counted_input=7)
    assert (counted.meters, counted.input_provenance) == ({"output_total": 290, "input_uncached": 7}, "counted")
    assert counted.flags == ("partial",)


def test_lesson_06_ollama_zero_is_a_report():
    found = normalise("ollama-native", "ollama", b'{"prompt_eval_count":0,"eval_count":0}', counted_input=7)
    assert (found.meters, found.input_provenance) == ({"input_uncached": 0, "output_total": 0}, "reported")


def test_ollama_embeddings_have_no_output():
    found = normalise("ollama-native", "ollama", b'{"prompt_eval_count":8}', endpoint="embeddings")
    assert found.meters == {"input_uncached": 8, "output_total": 0}


@pytest.mark.parametrize("raw", [b"[]", b"{", b'"x"', b"\xff", b'{"eval_count":-1}', b'{"eval_count":1.5}'])
def test_a_broken_report_is_void(raw: bytes):
    found = normalise("ollama-native", "ollama", raw)
    assert (found.meters, found.flags) == ({}, ("invalid",))


@given(
    st.sampled_from(["tencent-native", "ollama-native", "dashscope-native", "bedrock-converse"]),
    st.dictionaries(
        st.sampled_from(
            [
                "PromptTokens",
                "CompletionTokens",
                "TotalTokens",
                "PromptTokensDetails",
                "eval_count",
                "prompt_eval_count",
                "input_tokens",
                "output_tokens",
                "total_tokens",
                "image_tokens",
                "prompt_tokens_details",
                "input_tokens_details",
                "inputTokens",
                "outputTokens",
                "totalTokens",
                "cacheReadInputTokens",
                "cacheWriteInputTokens",
                "cacheDetails",
            ]
        ),
        st.recursive(
            st.one_of(
                st.none(),
                st.integers(-3, 60),
                st.floats(-1, 50),
                st.integers(0, 99).map(str),
                st.just("x"),
                st.just(2**70),
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(["CachedTokens", "cached_tokens", "image_tokens", "ttl", "inputTokens"]),
                    inner,
                    max_size=3,
                ),
            ),
            max_leaves=5,
        ),
    ),
)
def test_fuzz_no_report_breaks_a_reader_and_no_meter_is_negative(protocol: str, report: dict[str, object]):
    found = normalise(protocol, "any", json.dumps(report).encode())
    assert all(count >= 0 for count in found.meters.values())
    assert found.meters or found.input_provenance == "missing"
