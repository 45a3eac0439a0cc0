"""The merit order: cheapest eligible, repeatable, and explained."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from baseload.dispatch.merit import UNPRICED, order, pick


@dataclass
class Stand:
    id: int
    price: tuple[int, int] | None
    trouble: str = ""

    @property
    def name(self) -> str:
        return f"offer{self.id}"

    def rates(self, at_ns: int, input_tokens: int) -> tuple[int, int] | None:
        return self.price

    def why_not(self, endpoint: str) -> str:
        return self.trouble


def test_the_cheapest_for_this_call_wins_not_the_cheapest_input() -> None:
    cheap_input, cheap_output = Stand(1, (1, 100)), Stand(2, (10, 10))
    assert pick([cheap_input, cheap_output], "chat", 0, 1000, 1) is cheap_input
    assert pick([cheap_input, cheap_output], "chat", 0, 10, 1000) is cheap_output


def test_no_price_is_never_cheap() -> None:
    assert pick([Stand(1, None)], "chat", 0, 1, 1) is None
    assert pick([Stand(1, None), Stand(2, (10**9, 10**9))], "chat", 0, 1, 1).id == 2  # type: ignore[union-attr]


def test_a_price_of_zero_is_a_price() -> None:
    free = Stand(2, (0, 0))
    assert pick([Stand(1, (1, 1)), free], "chat", 0, 1, 1) is free


def test_what_cannot_serve_is_listed_with_its_reason() -> None:
    lines = order([Stand(1, (1, 1), "it is down"), Stand(2, None), Stand(3, (5, 5))], "chat", 0, 1, 1)
    assert [(line.offer, line.why_not) for line in lines] == [
        ("offer3", ""),
        ("offer1", "it is down"),
        ("offer2", UNPRICED),
    ]


STANDS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.tuples(st.integers(0, 10**12), st.integers(0, 10**12))), st.sampled_from(["", "down"])
    ),
    max_size=20,
)


@given(STANDS, st.integers(0, 10**6), st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_pick_is_the_head_of_order_whatever_the_sequence(rows, tokens_in, tokens_out, random) -> None:  # type: ignore[no-untyped-def]
    stands = [Stand(number, price, trouble) for number, (price, trouble) in enumerate(rows)]
    winner = pick(stands, "chat", 0, tokens_in, tokens_out)
    shuffled = list(stands)
    random.shuffle(shuffled)
    assert pick(shuffled, "chat", 0, tokens_in, tokens_out) is winner
    lines = order(shuffled, "chat", 0, tokens_in, tokens_out)
    assert len(lines) == len(stands)
    if winner is None:
        assert all(line.why_not for line in lines)
    else:
        assert (lines[0].offer, lines[0].why_not) == (winner.name, "")
        assert all(lines[0].expected <= line.expected for line in lines if not line.why_not)
