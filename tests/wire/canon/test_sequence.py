"""Blocks come out one after another, whatever order they came in; nothing is lost and what waits is bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.canon import sequence
from baseload.wire.canon.events import (
    AnyEvent,
    Beat,
    Cited,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Signed,
    Started,
)
from baseload.wire.canon.fold import fold
from baseload.wire.canon.request import Text
from baseload.wire.canon.sequence import Sequencer
from baseload.wire.raw import Raw


def tool(block: int, name: str = "", choice: int = 0, custom: bool = False) -> Opened:
    name = name or f"t{block}"
    return Opened(choice=choice, block=block, kind="tool", id=f"c{block}", name=name, custom=custom)


def text(block: int, choice: int = 0) -> Opened:
    return Opened(choice=choice, block=block, kind="text")


def d(block: int, text: str, choice: int = 0) -> Delta:
    return Delta(choice=choice, block=block, text=text)


def end(block: int, choice: int = 0) -> Closed:
    return Closed(choice=choice, block=block)


def done(choice: int = 0) -> Finished:
    return Finished(choice=choice, reason="tool")


def assert_in_order(events: list[AnyEvent]) -> None:
    """The promise: per choice, Opened, its events, Closed, numbered from 0, nothing after."""
    open_at: dict[int, int | None] = {}
    count: dict[int, int] = {}
    for event in events:
        if isinstance(event, Opened):
            assert open_at.get(event.choice) is None
            assert event.block == count.get(event.choice, 0)
            open_at[event.choice], count[event.choice] = event.block, event.block + 1
        elif isinstance(event, Closed):
            assert open_at[event.choice] == event.block
            open_at[event.choice] = None
        elif isinstance(event, Delta | Signed | Cited):
            assert open_at[event.choice] == event.block
        elif isinstance(event, Finished):
            assert open_at.get(event.choice) is None
    assert not any(at is not None for at in open_at.values())


def test_an_ordered_stream_passes_untouched_and_at_once():
    events: list[AnyEvent] = [
        Started(id="r"),
        Opened(block=0, kind="thinking"),
        d(0, "hm"),
        Signed(block=0, signature="s"),
        end(0),
        Beat(),
        text(1),
        d(1, "a"),
        end(1),
        tool(2),
        d(2, '{"a":1}'),
        end(2),
        done(),
        Counted(meters={"input_uncached": 1}),
        Ended(),
    ]
    sequencer = Sequencer()
    for event in events:
        assert sequencer.put([event]) == [event]


def test_a_complete_call_is_closed_when_the_next_opens_and_the_next_is_live():
    sequencer = Sequencer()
    sequencer.put([tool(0), d(0, '{"a":'), d(0, '"}"}')])
    assert sequencer.put([tool(1)]) == [end(0), tool(1)]
    assert sequencer.put([d(1, "{")]) == [d(1, "{")]
    assert sequencer.put([end(0)]) == []  # the source closes it later
    assert sequencer.put([d(1, "}"), end(1), done()]) == [d(1, "}"), end(1), done()]


def test_pitfall_12_interleaved_calls_are_buffered_until_the_first_is_whole():
    sequencer = Sequencer()
    assert sequencer.put([tool(0), tool(1), d(1, '{"b"'), d(0, '{"a"')]) == [tool(0), d(0, '{"a"')]
    assert sequencer.put([d(1, ":2}")]) == []
    assert sequencer.put([d(0, ":1}")]) == [d(0, ":1}"), end(0), tool(1), d(1, '{"b"'), d(1, ":2}")]
    assert sequencer.put([end(0), end(1), done()]) == [end(1), done()]


def test_parallel_tool_calls_survive_all_opened_before_any_argument():
    events: list[AnyEvent] = [tool(0), tool(1), tool(2)]
    events += [d(block, piece) for piece in ('{"n"', ":1}") for block in (2, 1, 0)]
    out = Sequencer().put([*events, done(), Ended()])
    assert_in_order(out)
    assert [part.arguments for part in fold(out).answers[0].parts] == ['{"n":1}'] * 3  # type: ignore[union-attr]


def test_a_call_without_arguments_waits_for_its_end_since_they_may_still_come():
    out = Sequencer().put([tool(0), tool(1), d(1, "{}"), end(1)])
    assert out == [tool(0)]
    sequencer = Sequencer()
    sequencer.put([tool(0), tool(1), d(1, "{}"), end(1)])
    assert sequencer.put([end(0)]) == [end(0), tool(1), d(1, "{}"), end(1)]


@pytest.mark.parametrize("arguments", ["12", '"text"', "null", "[1]", '{"a":1', '{"a":"}', '{"a":"\\"}', "{} x", "x{}"])
def test_arguments_that_are_no_whole_object_keep_the_next_waiting(arguments):
    assert Sequencer().put([tool(0), d(0, arguments), tool(1)]) == [tool(0), d(0, arguments)]


@pytest.mark.parametrize("arguments", ["{}", ' {"a":[{"b":"]}"}]}\n', '{"a":"\\\\"}', '{"a":"\\""}', '{"ü":"💡"}'])
def test_whole_objects_are_found_however_they_are_cut(arguments):
    for cut in range(len(arguments) + 1):
        out = Sequencer().put([tool(0), d(0, arguments[:cut]), d(0, arguments[cut:]), tool(1)])
        assert out[-2:] == [end(0), tool(1)], f"cut at {cut}"


def test_free_text_of_a_custom_tool_is_never_taken_for_complete():
    assert Sequencer().put([tool(0, custom=True), d(0, "{}"), text(1)])[-1] == d(0, "{}")


def test_finish_lets_everything_out_even_what_was_never_closed():
    out = Sequencer().put([tool(0), d(0, '{"a'), tool(1), d(1, "{}"), text(2), d(2, "x"), done()])
    assert out == [tool(0), d(0, '{"a'), end(0), tool(1), d(1, "{}"), end(1), text(2), d(2, "x"), end(2), done()]


def test_the_end_lets_everything_out_where_no_finish_came():
    out = Sequencer().put([tool(0), tool(1), Ended()])
    assert out == [tool(0), end(0), tool(1), end(1), Ended()]


def test_choices_do_not_wait_for_each_other():
    sequencer = Sequencer()
    sequencer.put([tool(0, choice=0), tool(1, choice=0), d(1, "{}", choice=0)])
    assert sequencer.put([text(0, choice=1), d(0, "hi", choice=1)]) == [text(0, choice=1), d(0, "hi", choice=1)]
    assert sequencer.put([done(1)]) == [end(0, choice=1), done(1)]


def test_text_is_closed_by_the_next_block_and_goes_on_in_a_new_one():
    out = Sequencer().put([text(0), d(0, "a"), tool(1), d(1, "{}"), d(0, " "), d(0, "b"), end(1), end(0), done()])
    assert out == [
        text(0),
        d(0, "a"),
        end(0),
        tool(1),
        d(1, "{}"),
        end(1),
        text(2),
        d(2, " "),
        d(2, "b"),
        end(2),
        done(),
    ]


def test_late_text_waits_behind_an_unfinished_call():
    sequencer = Sequencer()
    sequencer.put([text(0), d(0, "a"), tool(1), d(1, '{"a"')])
    assert sequencer.put([d(0, "b")]) == []
    assert sequencer.put([d(0, "c"), d(1, ":1}")])[1:] == [end(1), text(2), d(2, "b"), d(2, "c")]


def test_late_white_space_alone_opens_no_empty_block():
    out = Sequencer().put([text(0), d(0, "a"), tool(1), d(1, "{}"), d(0, "\n"), end(0), end(1), done()])
    assert out == [text(0), d(0, "a"), end(0), tool(1), d(1, "{}"), end(1), done()]


def test_a_late_citation_is_not_lost():
    cited = Cited(block=0, protocol="chat", raw=Raw(b'{"url":"u"}'))
    out = Sequencer().put([text(0), d(0, "a"), tool(1), d(1, "{}"), cited, done()])
    assert_in_order(out)
    assert fold(out).answers[0].parts[-1] == Text(text="", citations=(cited.raw,), citations_of="chat")


def test_late_white_space_of_a_closed_call_is_dropped_and_anything_else_is_garbage():
    sequencer = Sequencer()
    sequencer.put([tool(0), d(0, "{}"), tool(1)])
    assert sequencer.put([d(0, " \n")]) == []
    with pytest.raises(ProviderFault, match="after their end") as fault:
        sequencer.put([d(0, ',"b":1}')])
    assert fault.value.fault == "garbage"


def test_a_signature_that_comes_too_late_is_garbage():
    with pytest.raises(ProviderFault, match="signature"):
        Sequencer().put([Opened(block=0, kind="thinking"), text(1), Signed(block=0, signature="s")])


@pytest.mark.parametrize(
    "events",
    [
        [d(0, "x")],
        [end(3)],
        [text(0), text(0)],
        [tool(0), tool(1), tool(1)],
        [tool(0), d(0, "{}"), tool(1), tool(0)],
        [text(0), end(0), d(0, "x")],
    ],
)
def test_an_order_that_means_nothing_is_garbage(events):
    with pytest.raises(ProviderFault) as fault:
        Sequencer().put(events)
    assert fault.value.fault == "garbage"


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr(sequence, "HELD_MAX", 10_000)
    sequencer = Sequencer()
    sequencer.put([tool(0), tool(1)])
    sequencer.put([d(1, "x" * 2_000)] * 4)
    with pytest.raises(ProviderFault, match="10000 characters"):
        sequencer.put([d(1, "x" * 2_000)])


def test_what_went_out_no_longer_counts(monkeypatch):
    monkeypatch.setattr(sequence, "HELD_MAX", 1_000)
    sequencer = Sequencer()
    for block in range(0, 200, 2):
        sequencer.put([tool(block), tool(block + 1), d(block + 1, "{" + " " * 500), d(block, "{}"), end(block)])
        assert sequencer.put([d(block + 1, "}"), end(block + 1)])


def test_blocks_and_choices_are_bounded():
    with pytest.raises(ProviderFault, match="1024 blocks"):
        Sequencer().put([tool(block) for block in range(2_000)])
    with pytest.raises(ProviderFault, match="1024 choices"):
        Sequencer().put([text(0, choice=choice) for choice in range(2_000)])


@st.composite
def streams(draw):
    """Tool calls of several choices with their pieces in any order that a provider could send."""
    lanes: list[list[AnyEvent]] = []
    for choice in range(draw(st.integers(1, 2))):
        for block in range(draw(st.integers(1, 4))):
            body = draw(st.sampled_from(["", "{}", '{"a":{"b":"}"}}', '{"a":1', "free"]))
            cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=3)))
            pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
            closed = [end(block, choice)] if draw(st.booleans()) else []
            lanes.append([tool(block, choice=choice), *(d(block, piece, choice) for piece in pieces), *closed])
    opened: list[AnyEvent] = []
    rest = [list(lane) for lane in lanes]
    order: list[AnyEvent] = []
    started = dict.fromkeys(range(len(rest)), False)
    while any(rest):
        ready = [
            at
            for at, lane in enumerate(rest)
            if lane and (started[at] or all(started[b] for b in range(at) if lanes[b][0].choice == lane[0].choice))  # type: ignore[union-attr]
        ]
        at = draw(st.sampled_from(ready))
        order.append(rest[at].pop(0))
        started[at] = True
    return opened + order + [done(0), done(1), Ended()]


@given(streams())
def test_any_interleaving_comes_out_in_order_and_means_the_same(events):
    out = Sequencer().put(events)
    assert_in_order(out)
    assert fold(out) == fold(events)


@given(streams(), st.data())
def test_when_the_events_arrive_changes_nothing(events, data):
    sequencer = Sequencer()
    out: list[AnyEvent] = []
    at = 0
    while at < len(events):
        step = data.draw(st.integers(1, 5))
        out += sequencer.put(events[at : at + step])
        at += step
    assert out == Sequencer().put(events)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('{}[]"\\aü \n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('{}[]"\\a'), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text('{}"\\a'), _JSON, max_size=3), st.booleans(), st.data())
def test_the_end_of_arguments_is_found_exactly_at_their_last_bracket(value, spaced, data):
    """Any object, in pieces cut anywhere: the next block goes live after the last bracket and not one piece earlier."""
    text = json.dumps(value, ensure_ascii=False, indent=1 if spaced else None)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    sequencer = Sequencer()
    sequencer.put([tool(0), tool(1)])
    came = ""
    for piece in pieces:
        before, came = came, came + piece
        assert (tool(1) in sequencer.put([d(0, piece)])) == (came == text != before)
    for short in range(len(text)):
        assert tool(1) not in Sequencer().put([tool(0), d(0, text[:short]), tool(1)])


@pytest.mark.parametrize("filler", ["\\n" * 2_000_000, "[" * 1_000_000 + "]" * 1_000_000])
def test_large_arguments_are_looked_at_once(filler):
    """Four million characters of what needs most care; a scan that looks back would not come to an end."""
    body = '{"a":"' + filler + '"}' if filler[0] == "\\" else '{"a":' + filler + "}"
    out = Sequencer().put([tool(0), *(d(0, body[at : at + 65_536]) for at in range(0, len(body), 65_536)), tool(1)])
    assert out[-2:] == [end(0), tool(1)]
