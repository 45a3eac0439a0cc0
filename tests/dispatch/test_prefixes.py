"""What an offer has in its cache: what was sent there, for as long as it lives, as far as it has come true."""

from __future__ import annotations

from msgspec import Raw

from baseload.dispatch.prefixes import FULL, Prefixes
from baseload.wire.pieces import pieces_of

S = 1_000_000_000
T = 1_795_000_000 * S
HERE, THERE = (1, 0), (1, 1)


def pieces(*texts: str) -> list[tuple[int, int]]:
    messages = b",".join(b'{"role":"user","content":"%b"}' % text.encode() for text in texts)
    return pieces_of("chat", {"model": Raw(b'"m"'), "messages": Raw(b"[%b]" % messages)})


def test_the_longest_known_beginning_counts_and_only_where_it_was_sent() -> None:
    known = Prefixes()
    first, longer, other = pieces("a" * 3000), pieces("a" * 3000, "b"), pieces("c" * 3000)
    known.sent(HERE, first, T, 300 * S)
    assert known.longest(HERE, longer, T + S) == first[-1][1]
    assert known.longest(HERE, other, T + S) == 0
    assert known.longest(THERE, longer, T + S) == 0, "another account has another cache"
    known.sent(HERE, longer, T + S, 300 * S)
    assert known.longest(HERE, longer, T + 2 * S) == longer[-1][1]


def test_lesson_60_it_has_an_end_and_a_hit_begins_it_anew() -> None:
    known = Prefixes()
    asked = pieces("a" * 3000)
    known.sent(HERE, asked, T, 300 * S)
    assert known.longest(HERE, asked, T + 299 * S)
    known.sent(HERE, asked, T + 299 * S, 300 * S)
    assert known.longest(HERE, asked, T + 500 * S)
    assert not known.longest(HERE, asked, T + 600 * S)


def test_what_does_not_come_true_is_trusted_less_and_again_when_it_does() -> None:
    known = Prefixes()
    known.sent(HERE, pieces("a"), T, S)
    for _ in range(20):
        known.came(HERE, 1000, 0)
    assert known.trusted(HERE, 1000) < 50
    for _ in range(40):
        known.came(HERE, 1000, 1200)
    assert known.trusted(HERE, 1000) > 900
    assert known.trusted(HERE, FULL) <= FULL


def test_lesson_54_what_is_remembered_is_bounded() -> None:
    known = Prefixes(place_max=50, places_max=10)
    for number in range(200):
        known.sent((number, 0), pieces(*(str(n) for n in range(number))), T, S)
    assert len(known._places) <= 10
    assert all(len(place.known) <= 50 for place in known._places.values())


def test_tools_and_instructions_come_before_the_turns_and_odd_bodies_have_no_pieces() -> None:
    turns = Raw(b'[{"role":"user","content":"x"}]')
    plain = pieces_of("messages", {"messages": turns})
    ruled = pieces_of("messages", {"messages": turns, "system": Raw(b'"be brief"'), "tools": Raw(b"null")})
    assert (len(plain), len(ruled)) == (1, 2)
    assert plain[0][0] not in {key for key, _ in ruled}
    assert pieces_of("embeddings", {"input": Raw(b'"x"')}) == []
    assert pieces_of("responses", {"input": Raw(b'"only a text"')}) == []
    assert pieces_of("chat", {}) == []
    assert pieces_of("chat", {"messages": Raw(b"[1,")}) == []
