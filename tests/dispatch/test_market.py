"""The fast market decides exactly as the plain pass over all candidates, at every border."""

from __future__ import annotations

import random

from baseload.dispatch.market import Market
from baseload.dispatch.merit import pick
from baseload.dispatch.rates import RowRates
from baseload.money.price import PriceRow, Rule, When, Window

NIGHT = Window(name="night", tz="Asia/Shanghai", days=("mon", "tue", "wed", "thu", "fri"), spans=(("22:00", "24:00"),))
START = 1_795_000_000_000_000_000


class Stand:
    def __init__(self, id_: int, rows: list[RowRates]) -> None:
        self.id, self.name, self.trouble = id_, f"o{id_}", ""
        self.rows = rows
        self.edges = tuple(edge for row in rows for edge in row.edges)
        self.changes = tuple(at for row in rows for at in (row.from_ns, row.to_ns))

    def rates(self, at_ns: int, input_tokens: int) -> tuple[int, int] | None:
        for row in self.rows:
            if row.in_force(at_ns):
                return row.at(at_ns, input_tokens)
        return None

    def why_not(self, endpoint: str) -> str:
        return self.trouble


def row(rng: random.Random, **more: int) -> RowRates:
    rules = []
    if rng.random() < 0.5:
        rules.append(
            Rule(when=When(input_over=rng.choice((100, 128, 1000))), multiply={"tokens": rng.choice(("2", "0.5"))})
        )
    if rng.random() < 0.5:
        rules.append(Rule(when=When(window=NIGHT), multiply={"tokens": "0.1"}))
    rate = {"input": str(rng.randint(0, 9)), "output": str(rng.randint(0, 9))}
    if rng.random() < 0.3:
        more["max_input"] = 500
    return RowRates(PriceRow(book="cost:t", model="m", currency="USD", rate=rate, rules=tuple(rules), **more))


def test_market_equals_the_plain_pass_over_time_and_length() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        stands = []
        for id_ in range(rng.randint(1, 6)):
            cut = START + rng.randrange(10**15)
            stands.append(
                Stand(id_, [row(rng, to_ns=cut), row(rng, from_ns=cut)] if rng.random() < 0.5 else [row(rng)])
            )
        market = Market(stands, "chat")
        instants = [START + rng.randrange(10**15) for _ in range(20)]
        instants += [
            change + step for stand in stands for change in stand.changes for step in (-1, 0, 1) if change > START
        ]
        rng.shuffle(instants)
        for at_ns in instants:
            if rng.random() < 0.1:
                stands[0].trouble = "" if stands[0].trouble else "down"
                market.refresh()
            for length in (1, 99, 100, 101, 128, 129, 500, 501, 1000, 1001, 10**6):
                wanted = pick(stands, "chat", at_ns, length, 300)
                assert market.pick(at_ns, length, 300) is wanted, (seed, at_ns, length)


def test_a_row_without_rules_is_looked_up_once() -> None:
    rates = RowRates(PriceRow(book="cost:t", model="m", currency="USD", rate={"input": "1.5", "output": "2"}))
    assert rates.always == rates.at(START, 10**9) == (1_500_000_000, 2_000_000_000)


def test_lesson_37_the_hold_uses_the_band_of_the_settlement() -> None:
    rule = Rule(when=When(input_over=200_000), multiply={"tokens": "2"})
    rates = RowRates(
        PriceRow(book="cost:t", model="m", currency="USD", rate={"input": "3", "output": "15"}, rules=(rule,))
    )
    assert rates.at(START, 200_000) == (3_000_000_000, 15_000_000_000)
    assert rates.at(START, 200_001) == (6_000_000_000, 30_000_000_000)
