"""Converse's usage object: exclusive input, writes by lifetime."""

from __future__ import annotations

import pytest

from baseload.wire.usage import normalise


def read(raw: str, ttl: str = "") -> tuple[dict[str, int], tuple[str, ...]]:
    found = normalise("bedrock-converse", "bedrock", raw.encode(), request_cache_ttl=ttl)
    return found.meters, found.flags


def test_lesson_13_cached_tokens_are_not_in_the_input():
    meters, flags = read(
        '{"inputTokens":12,"outputTokens":4,"totalTokens":2016,"cacheReadInputTokens":2000,"cacheWriteInputTokens":0}'
    )
    assert (meters, flags) == ({"input_uncached": 12, "cache_read": 2000, "output_total": 4}, ())


@pytest.mark.parametrize(
    ("ttl", "meter", "flag"),
    [("", "cache_write_5m", "ttl_assumed"), ("1h", "cache_write_1h", "ttl_from_request"), ("5m", "cache_write_5m", "")],
)
def test_lesson_21_a_write_without_its_lifetime(ttl: str, meter: str, flag: str):
    meters, flags = read('{"inputTokens":1,"outputTokens":2,"totalTokens":10,"cacheWriteInputTokens":7}', ttl)
    assert meters == {"input_uncached": 1, "output_total": 2, meter: 7}
    assert flags == ((flag,) if flag else ())


def test_lesson_21_a_split_that_is_less_than_the_whole():
    meters, flags = read(
        '{"inputTokens":10,"outputTokens":70,"cacheWriteInputTokens":5000,'
        '"cacheDetails":[{"ttl":"5m","inputTokens":1000},{"ttl":"1h","inputTokens":3000}]}'
    )
    assert meters == {"input_uncached": 10, "output_total": 70, "cache_write_5m": 2000, "cache_write_1h": 3000}
    assert flags == ("cache_split_mismatch",)


def test_lesson_18_a_split_that_is_more_than_the_whole_is_cut_and_flagged():
    meters, flags = read(
        '{"inputTokens":10,"outputTokens":70,"cacheWriteInputTokens":50,'
        '"cacheDetails":[{"ttl":"5m","inputTokens":40},{"ttl":"1h","inputTokens":40}]}'
    )
    assert meters == {"input_uncached": 10, "output_total": 70, "cache_write_5m": 40, "cache_write_1h": 10}
    assert flags == ("cache_split_mismatch",)


def test_a_split_without_a_whole_is_the_whole():
    meters, flags = read('{"inputTokens":1,"outputTokens":2,"cacheDetails":[{"ttl":"1h","inputTokens":9}]}')
    assert (meters, flags) == ({"input_uncached": 1, "output_total": 2, "cache_write_1h": 9}, ())


def test_an_unknown_lifetime_stays_in_the_whole():
    meters, flags = read(
        '{"inputTokens":1,"outputTokens":2,"cacheWriteInputTokens":9,"cacheDetails":[{"ttl":"2d","inputTokens":9}]}'
    )
    assert meters == {"input_uncached": 1, "output_total": 2, "cache_write_5m": 9}
    assert flags == ("invalid", "ttl_assumed")


def test_lesson_08_a_total_beyond_the_parts_is_output():
    meters, flags = read('{"inputTokens":40,"outputTokens":10,"totalTokens":338}')
    assert meters == {"input_uncached": 40, "output_total": 298, "reasoning": 288}
    assert flags == ("total_mismatch",)


def test_a_total_below_the_parts_is_flagged():
    meters, flags = read('{"inputTokens":12,"outputTokens":4,"totalTokens":16,"cacheReadInputTokens":2000}')
    assert (meters["cache_read"], flags) == (2000, ("total_mismatch",))


@pytest.mark.parametrize(
    ("raw", "meters"),
    [
        ('{"inputTokens":40,"totalTokens":50}', {"input_uncached": 40, "output_total": 10}),
        ('{"outputTokens":10,"totalTokens":50}', {"input_uncached": 40, "output_total": 10}),
    ],
)
def test_one_side_follows_from_the_total(raw: str, meters: dict[str, int]):
    assert read(raw) == (meters, ())


def test_absent_is_not_zero():
    found = normalise("bedrock-converse", "bedrock", b'{"outputTokens":10}')
    assert (found.meters, found.input_provenance, found.flags) == ({"output_total": 10}, "missing", ("partial",))


@pytest.mark.parametrize(
    "raw", ['{"inputTokens":-5,"outputTokens":5}', '{"inputTokens":1.5,"outputTokens":5}', "[]", "{"]
)
def test_what_is_no_count_voids_the_report(raw: str):
    assert read(raw) == ({}, ("invalid",))
