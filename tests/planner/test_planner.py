"""Load curves, traces and screening curves: held against an LP by another program, brute force and plain sense."""

from __future__ import annotations

from fractions import Fraction

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import Refusal
from baseload.planner.load import HOUR_NS, Work, day_shape, duration, figures, filled
from baseload.planner.screening import Supply, break_even, mix, utilisation
from baseload.planner.summary import Node, Rent, node_of, of_load, of_screening, rent_of
from baseload.planner.traces import read

LOADS = st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any)
SUPPLIES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: Supply("s", *pair)), min_size=1, max_size=4
)


def by_lp(load: list[int], supplies: list[Supply]) -> float:
    """The same as a linear programme: capacities and what each serves in each hour."""
    hours, count = len(load), len(supplies)
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    for one in supplies:
        model.addVar(0, highspy.kHighsInf)
        model.changeColCost(model.getNumCol() - 1, float(one.fixed))
    for _ in range(hours):
        for one in supplies:
            model.addVar(0, highspy.kHighsInf)
            model.changeColCost(model.getNumCol() - 1, float(one.run))
    for hour in range(hours):
        first = count + hour * count
        row = np.arange(first, first + count, dtype=np.int32)
        model.addRow(load[hour], highspy.kHighsInf, count, row, np.ones(count))
        for n in range(count):
            model.addRow(-highspy.kHighsInf, 0, 2, np.array([first + n, n], dtype=np.int32), np.array([1.0, -1.0]))
    model.run()
    return float(model.getInfo().objective_function_value)


@settings(max_examples=60, deadline=None)
@given(LOADS, SUPPLIES)
def test_the_closed_form_is_the_linear_programme(load: list[int], supplies: list[Supply]) -> None:
    assert float(mix(load, supplies).cost) == pytest.approx(by_lp(load, supplies), rel=1e-9, abs=1e-6)


@given(LOADS, SUPPLIES)
def test_every_hour_is_served_and_nothing_twice(load: list[int], supplies: list[Supply]) -> None:
    found = mix(load, supplies)
    assert sum(share.work for share in found.shares) == sum(load)
    assert sum(share.capacity for share in found.shares) == max(load)
    assert found.cost == sum(share.cost for share in found.shares)
    assert found.all_rented is None or found.cost <= found.all_rented
    assert all(0 <= share.full <= 1 for share in found.shares)


@given(LOADS, SUPPLIES, st.integers(0, 9))
def test_a_cheaper_supply_never_costs_more(load: list[int], supplies: list[Supply], less: int) -> None:
    first = supplies[0]
    cheaper = [first._replace(run=max(0, int(first.run) - less)), *supplies[1:]]
    assert mix(load, cheaper).cost <= mix(load, supplies).cost


def test_own_for_the_base_and_rent_for_the_peak() -> None:
    """Two hours of 100 over eight of 40: owning pays from five hours on."""
    own, rent = Supply("own", 10, 0), Supply("rent", 0, 2)
    found = mix([40] * 4 + [100] * 2 + [40] * 4, [own, rent])
    assert [(share.name, share.capacity, share.work) for share in found.shares] == [("own", 40, 400), ("rent", 60, 120)]
    assert found.cost == 400 + 240
    assert found.all_rented == 2 * 520
    assert break_even(own, rent) == 5
    assert utilisation(Fraction(5), 10) == 0.5
    assert break_even(Supply("own", 1, 3), rent) is None
    with pytest.raises(Refusal):
        mix([1], [])


def test_the_figures_of_a_load() -> None:
    hours = [Work(n * HOUR_NS, 1, 10 * n, 0, n) for n in range(40)]
    found = figures(hours)
    assert (found.hours, found.total, found.peak) == (40, 11 * 780, 11 * 39)
    assert found.p95 == 11 * 37
    assert found.factor == pytest.approx(0.5)
    assert found.peak_hour_ns == 39 * HOUR_NS
    assert figures(hours, "calls").peak == 1
    assert day_shape(hours, "calls") == [1.0] * 24
    assert duration([1, 3, 2]) == [3, 2, 1]
    assert filled([Work(5 * HOUR_NS + 7, 1), Work(5 * HOUR_NS, 2), Work(7 * HOUR_NS, 3)]) == [
        Work(5 * HOUR_NS, 3), Work(6 * HOUR_NS), Work(7 * HOUR_NS, 3),
    ]  # fmt: skip
    with pytest.raises(Refusal):
        filled([])


def test_traces_by_their_columns() -> None:
    head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    azure = read([head, "2023-11-16 18:17:03.9799600,4808,10\n",
                  "2023-11-16 19:00:00.0000000,10,1\n"])  # fmt: skip
    assert [(one.calls, one.input, one.output) for one in azure] == [(1, 4808, 10), (1, 10, 1)]
    head = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    burst = read([head, "5,ChatGPT,472,18,490,API\n",
                  "3605.5,GPT-4,1,2,3,API\n"])  # fmt: skip
    assert [one.tokens for one in burst] == [490, 3]
    head = "t_s,requests,clients_active,known_requests,known_input_tokens,known_output_tokens\n"
    serve = read([head, "0,10,2,5,50,20\n",
                  "600,10,2,0,0,0\n"])  # fmt: skip
    assert serve == [Work(0, 20, 100, 0, 40)]
    moon = read(['{"timestamp": 3599999, "input_length": 7, "output_length": 2, "hash_ids": [1]}\n',
                 '{"timestamp": 3600000, "input_length": 1, "output_length": 1}\n'])  # fmt: skip
    assert [one.tokens for one in moon] == [9, 2]
    plain = read(["\ufeffhour,calls,input,cached,output\n", "2026-01-01T05:00:00Z,2,10,5,1\n"])
    assert (plain[0].calls, plain[0].tokens) == (2, 16)


@pytest.mark.parametrize(
    "lines",
    [[], ["a,b\n", "1,2\n"], ["hour,input,output\n", "yesterday,1,2\n"], ["hour,input,output\n", "1,-5,2\n"],
     ['{"timestamp": 1}\n'], ["TIMESTAMP,ContextTokens,GeneratedTokens\n", "2023-11-16 18:17:03,x,1\n"],
     ["hour,input,output\n"]],
)  # fmt: skip
def test_a_trace_that_is_none_says_where(lines: list[str]) -> None:
    with pytest.raises(Refusal):
        read(lines)


def test_engines_and_prices_as_people_write_them() -> None:
    assert node_of("h100:90000:90000000:0.006") == Node("h100", Fraction(90000), 90_000_000, Fraction("0.006"))
    assert rent_of("a:b:0.28") == Rent("a:b", Fraction("0.28"))
    for wrong in ("", "h100", "h100:1:2", "h100:x:1:1", "h100:1:0:1", "h100:-1:1:1"):
        with pytest.raises(Refusal):
            node_of(wrong)
    for wrong in ("", "vendor", ":1", "vendor:x", "vendor:-1"):
        with pytest.raises(Refusal):
            rent_of(wrong)


def test_a_year_of_a_known_load() -> None:
    """A flat load of a whole engine for a week: one that pays at half is full, and costs half."""
    week = [Work(n * HOUR_NS, 1, 1_000_000, 0, 0) for n in range(168)]
    nodes, rents = [node_of("own:4380:1000000:0")], [rent_of("rent:1")]
    found = of_screening(week, nodes, rents)
    own, rent = found["supplies"]
    assert (own["nodes"], own["full"], own["break_even"]) == (1.0, 1.0, 0.5)
    assert rent["work"] == 0
    assert found["cost"] == pytest.approx(4380)
    assert found["all_rented"] == pytest.approx(8760)
    assert of_load(week)["load_factor"] == 1.0
