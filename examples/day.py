"""A day of traffic over eight offers and one owned engine: what each policy costs, hour by hour.

    python -m examples.day > docs/dispatch/day.md

In:     `day.csv` (the third day of the language model "m-large" of ServeGen, Xiang et al., arXiv 2505.09999,
        Apache-2.0: requests, mean input and output tokens by hour, summed over clients); the catalogue's price facts.
Out:    the page: a table of policies, a table and a chart by hour, by `dispatch.replay`: the code that decides.

Assumed and said on the page: the lengths within an hour, the share of cached input, the exchange rate, the declared
quality ranks, the engine's rate and capacity, and that the day is 2026-11-24 in Shanghai.
"""

from __future__ import annotations

import csv
import textwrap
from pathlib import Path
from typing import NamedTuple

from baseload.dispatch.policy import Policy
from baseload.dispatch.rates import RowRates
from baseload.dispatch.replay import HOUR_NS, PastCall, Stand, replay
from baseload.dispatch.rules import OfferFacts
from baseload.money.amount import format_decimal
from baseload.money.price import PriceRow
from baseload.providers.catalogue import price_rows

FX = {"USD": (1, 1), "CNY": (14, 100)}
MIDNIGHT_NS = 1_795_449_600_000_000_000  # 2026-11-24 00:00 in Shanghai
CACHED_PER_CENT = 37  # what an unbounded prefix cache served of a conversation trace (Mooncake, FAST 2025)
SHAPE = (10, 20, 40, 60, 80, 100, 130, 160, 200, 200)  # lengths in an hour, per cent of the mean; their mean is 100
ENGINE = "owned engine"
ENGINE_PER_HOUR = 300_000  # requests it can serve


class Source(NamedTuple):
    vendor: str
    model: str
    scope: str
    quality: int  # declared for this example


SOURCES = (
    Source("deepseek", "deepseek-flash", "global", 550),
    Source("deepseek", "deepseek-v4-pro", "global", 750),
    Source("dashscope", "qwen3.6-plus", "cn", 700),
    Source("volcengine", "doubao-seed-2-0-lite-260215", "cn", 550),
    Source("volcengine", "doubao-seed-2-0-pro-260215", "cn", 750),
    Source("zhipu", "glm-5.3-flash", "cn", 560),
    Source("zhipu", "glm-5.3", "cn", 800),
    Source("moonshot", "kimi-k2.6", "cn", 780),
)
OWN = PriceRow(
    book="cost:own", model="own", currency="CNY", rate={"input": "0.30", "cache_read": "0.03", "output": "1.20"}
)


class Hour(NamedTuple):
    number: int
    requests: int
    input: int
    output: int


def hours() -> list[Hour]:
    with open(Path(__file__).parent / "day.csv", encoding="utf-8") as file:
        return [Hour(*(int(value) for value in row)) for row in list(csv.reader(file))[1:]]


def stand(number: int, source: Source) -> Stand:
    rows = [row for row in price_rows(source.vendor) if source.model in row.names() and row.scope == source.scope]
    facts = OfferFacts(
        id=number, name=source.model, provider=source.vendor, vendor=source.vendor, region=source.scope,
        quality={"": source.quality},
    )  # fmt: skip
    rates = [RowRates(row) for row in rows if row.kind == "list"]
    return Stand(facts, frozenset({"chat"}), rates, FX[rates[0].currency])


def calls(hour: Hour) -> list[PastCall]:
    """The hour's lengths; each stands for a tenth of its requests."""
    found = []
    for at, per_cent in enumerate(SHAPE):
        prompt = hour.input * per_cent // 100
        cached = prompt * CACHED_PER_CENT // 100
        meters = {"input": prompt - cached, "cache_read": cached, "output": hour.output * per_cent // 100}
        instant = MIDNIGHT_NS + hour.number * HOUR_NS + at * HOUR_NS // len(SHAPE)
        found.append(PastCall(instant, "grid", "chat", meters, {}))
    return found


def cost(stands: list[Stand], policy: Policy, hour: Hour) -> tuple[int, dict[str, int]]:
    """(nano-USD of the hour, requests by offer)."""
    found = replay(calls(hour), {"grid": stands}, [policy], FX)
    assert found.served == len(SHAPE), found.unserved
    share = {name: hour.requests * count // len(SHAPE) for name, (count, _) in found.by_offer.items()}
    return found.cost * hour.requests // len(SHAPE), share


def with_engine(stands: list[Stand], own: Stand, policy: Policy, hour: Hour) -> tuple[int, dict[str, int]]:
    """The engine takes what it can, the rest goes to the rented offers."""
    taken = min(hour.requests, ENGINE_PER_HOUR)
    rest, share = cost(stands, policy, hour._replace(requests=hour.requests - taken))
    mine, _ = cost([own], Policy(), hour._replace(requests=taken))
    return rest + mine, {**share, ENGINE: taken}


def run() -> dict[str, list[tuple[int, dict[str, int]]]]:
    """Policy -> one entry an hour."""
    stands = [stand(number, source) for number, source in enumerate(SOURCES, 1)]
    facts = OfferFacts(id=99, name=ENGINE, provider="own", vendor="vllm")
    own = Stand(facts, frozenset({"chat"}), [RowRates(OWN)], FX["CNY"])
    day = hours()
    good = Policy(quality_min=700)
    found = {f"always {one.facts.name}": [cost([one], Policy(), hour) for hour in day] for one in stands}
    found["cheapest of all"] = [cost(stands, Policy(), hour) for hour in day]
    found["cheapest with quality 700"] = [cost(stands, good, hour) for hour in day]
    found["the same, owned engine first"] = [with_engine(stands, own, good, hour) for hour in day]
    return found


def page() -> str:
    found, day = run(), hours()
    total = {name: sum(entry[0] for entry in each) for name, each in found.items()}
    shares: dict[str, dict[str, int]] = {}
    for name, each in found.items():
        for _, share in each:
            for offer, count in share.items():
                shares.setdefault(name, {})[offer] = shares.setdefault(name, {}).get(offer, 0) + count
    requests = sum(hour.requests for hour in day)
    tokens = [sum(hour.requests * each for hour, each in zip(day, column, strict=True)) / 1e9 for column in (
        [hour.input for hour in day], [hour.output for hour in day]
    )]  # fmt: skip
    lines = [
        "# A day of traffic, by policy",
        "",
        *textwrap.wrap(
            f"{requests:,} requests, {tokens[0]:,.1f} thousand million input and {tokens[1]:,.1f} thousand million "
            'output tokens: the third day of the model "m-large" of ServeGen (arXiv 2505.09999). Made by `python -m '
            "examples.day` from the list prices in the catalogue; every decision and amount comes from "
            "`dispatch.replay`, so from the code that decides calls.",
            120,
        ),
        "",
        *textwrap.wrap(
            "Assumed: ten lengths an hour around its mean, from a tenth of it to twice; 37 % of the input cached where "
            "a cache is priced (what a prefix cache served of Mooncake's conversations); 1 CNY = 0.14 USD; quality "
            f"ranks declared for this example; an owned engine of {ENGINE_PER_HOUR:,} requests an hour at 0.30 / 0.03 "
            "/ 1.20 CNY per million tokens; the day is 2026-11-24 in Shanghai, so DeepSeek's peak hours fall into the "
            "working day.",
            120,
        ),
        "",
        "| policy | USD a day | who serves |",
        "|---|---|---|",
    ]
    for name, nano in sorted(total.items(), key=lambda entry: entry[1]):
        who = ", ".join(
            f"{offer} {100 * count / sum(shares[name].values()):.0f} %"
            for offer, count in sorted(shares[name].items(), key=lambda entry: -entry[1])
            if count
        )
        lines.append(f"| {name} | {int(format_decimal(nano, 9).split('.')[0]):,} | {who} |")
    kept = ("always deepseek-v4-pro", "cheapest with quality 700", "the same, owned engine first")
    lines += [
        "",
        "## Hour by hour",
        "",
        "| hour | requests | " + " | ".join(kept) + " |",
        "|---" * (2 + len(kept)) + "|",
    ]
    for hour in day:
        amounts = " | ".join(f"{found[name][hour.number][0] // 10**9:,}" for name in kept)
        lines.append(f"| {hour.number:02d} | {hour.requests:,} | {amounts} |")
    lines += ["", "In USD. The same as a chart, in the order of the columns:", "", "```mermaid", "xychart-beta"]
    lines += ['    title "USD an hour"', f"    x-axis [{', '.join(f'{hour.number:02d}' for hour in day)}]"]
    lines += ['    y-axis "USD"']
    lines += [f"    line [{', '.join(str(found[name][hour.number][0] // 10**9) for hour in day)}]" for name in kept]
    lines += ["```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
