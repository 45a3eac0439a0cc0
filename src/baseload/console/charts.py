"""Pictures as data: options of ECharts, and the same figures as a table. Pure.

In:     rows with labels and numbers. Out: a `Chart`: its option as JSON can hold it, the columns and rows of its table.
Colours of text and lines come from the page's own (app.js), so dark and light share one option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

COLOURS = ("#2f6fde", "#0f9d8a", "#e2902b", "#8a63d2", "#d2527f", "#5b9bd5", "#7a8b3c", "#b0651d", "#4b5d78", "#94a3b8")
Option = dict[str, Any]


class Chart(NamedTuple):
    title: str
    option: Option
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def _base(**more: Any) -> Option:
    # richText: a tooltip as HTML would need inline styles, which the pages' policy forbids
    return {
        "animation": False,
        "color": list(COLOURS),
        "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True},
        "grid": {"left": 8, "right": 12, "top": 64, "bottom": 8, "containLabel": True},
        "legend": {"top": 0, "left": 0, "type": "scroll", "itemWidth": 12, "itemHeight": 8},
        **more,
    }


def stacked(
    title: str, places: Sequence[str], series: Mapping[str, Sequence[float]], *, unit: str = "",
    over: Sequence[float | None] = (), over_name: str = "", over_unit: str = "", kind: str = "bar",
    same_axis: bool = False,
) -> Chart:  # fmt: skip
    """Columns over time, one colour a series; `over`: a line, with an axis of its own or `same_axis`."""
    shown: list[Option] = [
        {"name": name, "type": kind, "stack": "all", "data": list(values), "barCategoryGap": "20%",
         **({"areaStyle": {"opacity": 0.55}, "symbol": "none", "lineStyle": {"width": 1}} if kind == "line" else {})}
        for name, values in series.items()
    ]  # fmt: skip
    axes: list[Option] = [{"type": "value", "name": unit, "nameGap": 12, "nameTextStyle": {"align": "left"}}]
    if over:
        shown.append({"name": over_name, "type": "line", "yAxisIndex": 0 if same_axis else 1,
                      "data": list(over), "symbol": "circle",
                      "symbolSize": 5,
                      "lineStyle": {"width": 2}, "itemStyle": {"color": "#d2527f"}, "z": 5})  # fmt: skip
    if over and not same_axis:
        axes.append({"type": "value", "name": over_unit, "nameGap": 12, "nameTextStyle": {"align": "right"},
                     "splitLine": {"show": False}})  # fmt: skip
    option = _base(xAxis={"type": "category", "data": list(places)}, yAxis=axes, series=shown)
    columns = ("", *series, *([over_name] if over else []))
    rows = [
        (place, *(values[n] for values in series.values()), *([over[n]] if over else []))
        for n, place in enumerate(places)
    ]
    return Chart(title, option, columns, rows)


class Step(NamedTuple):
    """One offer of a merit order. width: tokens a minute; height: price of a million tokens."""

    name: str
    width: float
    height: float


def merit_order(title: str, steps: Sequence[Step], load: float, *, currency: str, words: tuple[str, str, str]) -> Chart:
    """Supply as power markets draw it: width is capacity, height the price, the line the load.

    words: "capacity", "price", "load" in the reader's language.
    """
    capacity, price, demand = words
    series: list[Option] = []
    at = 0.0
    for number, step in enumerate(steps):
        series.append({
            "name": step.name, "type": "line", "step": "end", "symbol": "none",
            "data": [[at, step.height], [at + step.width, step.height]],
            "areaStyle": {"opacity": 0.45}, "lineStyle": {"width": 2},
            "itemStyle": {"color": COLOURS[number % len(COLOURS)]},
        })  # fmt: skip
        at += step.width
    if series:
        series[0]["markLine"] = {
            "symbol": "none", "silent": True, "data": [{"xAxis": load}],
            "label": {"formatter": demand, "position": "insideEndTop"}, "lineStyle": {"type": "dashed", "width": 2},
        }  # fmt: skip
    option = _base(
        xAxis={"type": "value", "name": capacity, "nameLocation": "middle", "nameGap": 26, "max": at or 1},
        yAxis={
            "type": "value",
            "name": f"{price} ({currency})",
            "min": 0,
            "nameGap": 12,
            "nameTextStyle": {"align": "left"},
        },
        series=series,
        grid={"left": 8, "right": 16, "top": 64, "bottom": 34, "containLabel": True},
        tooltip={"trigger": "item", "renderMode": "richText", "confine": True},
    )
    return Chart(title, option, ("", capacity, f"{price} ({currency})"), [tuple(step) for step in steps])


class Span(NamedTuple):
    """A part of a call's time, in milliseconds from its arrival."""

    name: str
    begin_ms: float
    end_ms: float
    failed: bool = False


def waterfall(title: str, spans: Sequence[Span], *, unit: str = "ms") -> Chart:
    """Where a call's time went; what failed is red."""
    names = [span.name for span in spans]
    option = _base(
        legend={"show": False},
        grid={"left": 24, "right": 40, "top": 8, "bottom": 8, "containLabel": True},
        xAxis={"type": "value", "name": unit, "nameLocation": "end", "min": 0},
        yAxis={"type": "category", "inverse": True, "data": names},
        series=[
            {"type": "bar", "stack": "t", "itemStyle": {"color": "transparent"}, "silent": True,
             "data": [span.begin_ms for span in spans], "tooltip": {"show": False}},
            {"type": "bar", "stack": "t", "barWidth": "55%", "name": unit,
             "label": {"show": True, "position": "right"},
             "data": [
                 {"value": round(span.end_ms - span.begin_ms, 1),
                  "itemStyle": {"color": "#d23f4c" if span.failed else COLOURS[n % len(COLOURS)]}}
                 for n, span in enumerate(spans)
             ]},
        ],
    )  # fmt: skip
    rows = [(span.name, span.begin_ms, round(span.end_ms, 1)) for span in spans]
    return Chart(title, option, ("", "begin", "end"), list(rows))
