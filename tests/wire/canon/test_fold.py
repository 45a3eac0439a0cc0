"""A reply taken apart into events and folded again is the same reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire.canon.events import (
    FINISHES,
    Answer,
    Beat,
    Closed,
    Counted,
    Delta,
    Ended,
    Finished,
    Opened,
    Reply,
    Signed,
    Started,
)
from baseload.wire.canon.fold import Folder, fold, unfold
from baseload.wire.canon.request import Media, Opaque, Refused, Text, Thinking, ToolCall
from baseload.wire.raw import ABSENT, Raw

words = st.text(max_size=20)
raws = st.sampled_from([Raw(b'{"a":1}'), Raw(b'{"big":12345678901234567890}'), Raw(b'{"url":"u"}')])
parts = st.one_of(
    st.builds(
        lambda text, cited: Text(text=text, citations=tuple(cited), citations_of="messages" if cited else ""),
        words,
        st.lists(raws, max_size=3),
    ),
    st.builds(
        Thinking,
        text=words,
        signature=words,
        redacted=st.booleans(),
        summary=st.booleans(),
        id=words,
        origin=st.just(""),
    ),
    st.builds(ToolCall, id=words, name=words, arguments=words, kind=st.sampled_from(["function", "custom"])),
    st.builds(Refused, text=words),
    st.builds(Media, kind=st.just("image"), mime=st.sampled_from(["", "image/png"]), data=st.just("aGk="), url=words),
    st.builds(Media, kind=st.just("audio"), mime=st.sampled_from(["", "audio/wav"]), data=st.just("aGk=")),
    st.builds(Media, kind=st.just("document"), mime=st.just("application/pdf"), url=st.just("https://a.example/b")),
)
answers = st.builds(
    Answer,
    parts=st.lists(parts, min_size=1, max_size=5),
    reason=st.sampled_from(FINISHES),
    stop_sequence=words,
    native=words,
    detail=st.one_of(st.just(ABSENT), raws),
    logprobs=st.sampled_from([ABSENT, Raw(b'[{"token":"a"}]')]),
)
replies = st.builds(
    lambda id, model, answers, counted: Reply(
        id=id, model=model, answers=answers, meters=counted and counted[0], tier=counted[1] if counted else ""
    ),
    words,
    words,
    st.lists(answers, max_size=3),
    st.one_of(st.none(), st.tuples(st.dictionaries(words, st.integers(0, 2**60)), words)),
)


@given(replies)
def test_a_reply_comes_back_as_it_was(reply):
    assert fold(unfold(reply)) == reply


@given(replies, st.data())
def test_pieces_of_text_are_put_together_again(reply, data):
    events = []
    for event in unfold(reply):
        if isinstance(event, Delta) and event.logprobs == ABSENT:
            cut = data.draw(st.integers(0, len(event.text)))
            for text in (event.text[:cut], event.text[cut:]):
                events += [Delta(choice=event.choice, block=event.block, text=text), Beat()]
        else:
            events.append(event)
    assert fold(events) == reply


def test_what_unfolding_gives_is_in_the_order_that_a_stream_keeps():
    reply = Reply(
        id="r",
        model="m",
        answers=[Answer(parts=[Thinking(text="hm", signature="s"), ToolCall(id="c", name="f")], reason="tool")],
        meters={"output_total": 3},
        tier="flex",
    )
    assert unfold(reply) == [
        Started(id="r", model="m"),
        Opened(block=0, kind="thinking"),
        Delta(block=0, text="hm"),
        Signed(block=0, signature="s"),
        Closed(block=0),
        Opened(block=1, kind="tool", id="c", name="f"),
        Closed(block=1),
        Finished(reason="tool"),
        Counted(meters={"output_total": 3}, tier="flex"),
        Ended(),
    ]


def test_overlapping_blocks_stand_in_the_order_of_their_numbers():
    events = [
        Opened(block=0, kind="tool", id="a", name="f"),
        Opened(block=1, kind="tool", id="b", name="g"),
        Delta(block=1, text="{}"),
        Delta(block=0, text='{"x":1}'),
        Finished(reason="tool"),
    ]
    assert fold(events).answers[0].parts == [
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="g", arguments="{}"),
    ]


def test_logprobs_of_pieces_become_one_array():
    events = [Opened(block=0, kind="text")]
    for raw in (b'[{"token":"a"}]', b"null", b"[]", b' [{"token":"b"},{"token":"c"}] '):
        events.append(Delta(block=0, text="x", logprobs=Raw(raw)))
    assert fold(events).answers[0].logprobs == Raw(b'[{"token":"a"},{"token":"b"},{"token":"c"}]')


def test_the_last_count_counts():
    assert fold([Counted(meters={"a": 1}), Counted(meters={"a": 5}, tier="flex")]).meters == {"a": 5}
    assert fold([]).meters is None


def test_a_choice_that_never_came_leaves_a_gap_that_is_an_error():
    reply = fold([Opened(choice=1, block=0, kind="text"), Finished(choice=1, reason="stop")])
    assert [answer.reason for answer in reply.answers] == ["error", "stop"]


def test_what_no_event_describes_is_left_out_and_the_rest_stays_numbered():
    opaque = Opaque(protocol="messages", what="server_tool_use", raw=Raw(b"{}"))
    events = unfold(Reply(answers=[Answer(parts=[opaque, Media(kind="image", file="f"), Text(text="a")])]))
    assert events[1:4] == [Opened(block=0, kind="text"), Delta(block=0, text="a"), Closed(block=0)]


def test_what_came_so_far_can_be_asked_while_it_streams():
    folder = Folder()
    folder.put([Opened(block=0, kind="text"), Delta(block=0, text="a")])
    assert folder.reply().answers[0].parts == [Text(text="a")]
    folder.put([Delta(block=0, text="b")])
    assert folder.reply().answers[0].parts == [Text(text="ab")]


@pytest.mark.parametrize(
    "events",
    [
        [Delta(block=0, text="x")],
        [Opened(block=0, kind="text"), Opened(block=0, kind="text")],
        [Finished(choice=5000, reason="stop")],
        [Finished(choice=-1, reason="stop")],
    ],
)
def test_nonsense_is_garbage(events):
    with pytest.raises(ProviderFault) as fault:
        fold(events)
    assert fault.value.fault == "garbage"


def test_a_reply_is_bounded_by_size_and_by_pieces():
    opened = Opened(block=0, kind="text")
    with pytest.raises(ProviderFault, match="larger than 1000"):
        fold([opened, Delta(block=0, text="x" * 1001)], cap=1000)
    with pytest.raises(ProviderFault, match="larger than 1000"):
        fold([opened, *[Delta(block=0, text="")] * 20], cap=1000)
