"""What a decision costs, in process: `python -m bench.decide`. Targets: 10 us over 20 offers, 60 us over 200.

Offers with a length band each, all healthy, one call of 1,000 tokens; the listing is there, as for nearly every call.
"""

from __future__ import annotations

import random
import timeit

from baseload.dispatch.market import Market, Wanted
from baseload.dispatch.merit import seen
from baseload.dispatch.policy import Policy
from baseload.dispatch.rates import RowRates
from baseload.dispatch.replay import Stand
from baseload.dispatch.rules import Bound, OfferFacts
from baseload.dispatch.seen import encode
from baseload.money.price import PriceRow, Rule, When

AT_NS = 1_795_000_000_000_000_000
LOOPS, ROUNDS = 2_000, 9


def market(count: int) -> Market[Stand]:
    rng = random.Random(count)
    stands = []
    for number in range(1, count + 1):
        rate = {"input": f"{rng.randint(1, 99)}", "cache_read": "0.1", "output": f"{rng.randint(1, 99)}"}
        band = Rule(when=When(input_over=200_000), multiply={"input": "2"})
        row = RowRates(PriceRow(book="cost:b", model="m", currency="USD", rate=rate, rules=(band,)))
        facts = OfferFacts(
            id=number, name=f"o{number}", provider="p", vendor="v", context_max=131_072, output_max=16_384
        )  # fmt: skip
        stands.append(Stand(facts, frozenset({"chat"}), [row], (1, 1)))
    return Market(stands, "chat")


def least_us(work: object) -> float:
    """The quickest of the rounds: what the work itself costs when nothing disturbs it."""
    return min(timeit.repeat(work, number=LOOPS, repeat=ROUNDS)) / LOOPS * 1e6  # type: ignore[arg-type]


def main() -> None:
    bound = Bound((Policy(),), {"USD": (1, 1)})
    print("offers   decide us   keep what it saw us")
    for count in (1, 5, 20, 200):
        here, wanted = market(count), Wanted(AT_NS, bound, 1_000, 200)
        decision = here.decide(wanted)
        decide = least_us(lambda here=here, wanted=wanted: here.decide(wanted))
        keep = least_us(lambda decision=decision: encode(seen(decision, "USD", "")))
        print(f"{count:6}   {decide:9.1f}   {keep:19.1f}")


if __name__ == "__main__":
    main()
