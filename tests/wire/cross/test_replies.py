"""A reply of any provider for a client of any protocol, whole and streamed, over one hop and over two."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.wire.canon.carry import View
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.request import Text, Thinking, ToolCall
from baseload.wire.chat.reasoning import unpack
from baseload.wire.protocols import CLIENTS
from baseload.wire.translation import Translation
from tests.wire.cross import history, readers, says, sources
from tests.wire.cross.says import BOTH_WAYS, PAIRS, meaning


def translation(client: str, door: str) -> Translation:
    target = sources.target(door)
    view = View(model="asked", id="call1", created_s=7, origin=target.origin, wants_usage=True)
    return Translation(client, target, view)


def translated(client: str, door: str, stream: bytes, size: int = 0) -> bytes:
    call = translation(client, door)
    step = size or len(stream)
    return b"".join([call.frames(stream[at : at + step]) for at in range(0, len(stream), step)]) + call.end()


@pytest.mark.parametrize("door", says.PROVIDERS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_stream_says_what_the_whole_reply_says(door: str, data: st.DataObject):
    """At the provider's side: the folded events are the reply, wherever the network cuts."""
    reply = data.draw(says.replies(door))
    assert meaning(readers.whole(door, sources.whole(door, reply)), door) == meaning(reply, door)
    stream = sources.stream(door, reply, data.draw(st.integers(1, 9)))
    assert meaning(readers.streamed(door, stream), door) == meaning(reply, door)
    assert meaning(readers.streamed(door, stream, data.draw(st.integers(1, 50))), door) == meaning(reply, door)


@pytest.mark.parametrize(("client", "door"), PAIRS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_replies_keep_their_meaning(client: str, door: str, data: st.DataObject):
    reply = data.draw(says.replies(door))
    wanted = meaning(reply, door, client)
    body = translation(client, door).whole(sources.whole(door, reply))
    assert meaning(readers.whole(client, body), door, client) == wanted
    stream = sources.stream(door, reply, data.draw(st.integers(1, 9)))
    for written in (
        translated(client, door, stream),
        translated(client, door, stream, data.draw(st.integers(1, 60))),
        # For a client that asked for a stream which the provider did not send.
        translation(client, door).whole_as_stream(sources.whole(door, reply)),
    ):
        readers.check(client, written)
        assert meaning(readers.streamed(client, written), door, client) == wanted


@pytest.mark.parametrize(("client", "door"), PAIRS)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_official_libraries_see_what_was_meant(client: str, door: str, data: st.DataObject):
    reply = data.draw(says.replies(door))
    wanted = readers.meant(reply)
    body = translation(client, door).whole(sources.whole(door, reply))
    assert readers.seen(client, body, stream=False) == wanted
    written = translated(client, door, sources.stream(door, reply, 4), data.draw(st.integers(1, 90)))
    assert readers.seen(client, written, stream=True) == wanted


@pytest.mark.parametrize(("client", "door"), BOTH_WAYS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_lesson_20_two_hops_keep_meaning_and_meters(client: str, door: str, data: st.DataObject):
    """From one protocol into another and back, as through two gateways."""
    reply = data.draw(says.replies(door))
    there, back = translation(client, door), translation(door, client)
    body = back.whole(there.whole(sources.whole(door, reply)))
    wanted = meaning(reply, door, client)
    assert meaning(readers.whole(door, body), door, client) == wanted
    stream = translated(door, client, translated(client, door, sources.stream(door, reply)), 33)
    readers.check(door, stream)
    assert meaning(readers.streamed(door, stream), door, client) == wanted


SMALL = Reply(
    id="id_1",
    model="up",
    answers=[
        Answer(
            parts=[
                Thinking(text="hm 你"),
                Text(text="Grüße 🌍"),
                ToolCall(id="call_a", name="look", arguments='{"n":12345678901234567890}'),
            ],
            reason="tool",
        )
    ],
    meters={"input_uncached": 7, "cache_read": 3, "output_total": 5},
)


@pytest.mark.parametrize(("client", "door"), PAIRS)
def test_cut_at_every_byte(client: str, door: str):
    stream = sources.stream(door, SMALL, 6)
    wanted = meaning(SMALL, door, client)
    known: set[bytes] = set()
    for cut in range(1, len(stream), 1 + len(stream) // 4000):  # of a long one (responses) not quite every byte
        call = translation(client, door)
        written = call.frames(stream[:cut]) + call.frames(stream[cut:]) + call.end()
        if written in known:
            continue
        known.add(written)
        readers.check(client, written)
        assert meaning(readers.streamed(client, written), door, client) == wanted, f"cut at byte {cut}"
    assert known


_ENDS = {"chat": b"[DONE]", "messages": b"message_stop", "responses": b"response.completed", "gemini": b"finishReason"}
_BEFORE = (b'finish_reason":"tool', b'stop_reason":"tool', b"response.completed", b"finishReason", b"stopReason")


@pytest.mark.parametrize(("client", "door"), PAIRS)
def test_a_connection_lost_is_no_end(client: str, door: str):
    """At any byte before the provider's own end: the client's protocol does not say that the reply has ended."""
    stream = sources.stream(door, SMALL, 6)
    last = max(stream.find(word) for word in _BEFORE)
    assert last > 0
    for cut in [*range(1, last, 7), last]:
        assert _ENDS[client] not in translated(client, door, stream[:cut]), f"lost at byte {cut}"


@pytest.mark.parametrize(("client", "door"), BOTH_WAYS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_reply_comes_back_to_its_maker_as_it_was(client: str, door: str, data: st.DataObject):
    """Shown to a client of another protocol, sent back as history, written for the provider: signatures and all."""
    reply = data.draw(says.replies(door))
    parts = reply.answers[0].parts
    call = translation(client, door)
    whole = sources.whole(door, reply)
    shown = history.sent_back(client, json.loads(call.whole(whole)))
    members = {name: sources.raw(value) for name, value in shown.items()}
    turn = next(turn for turn in CLIENTS[client].request_in(members).turns if turn.role == "assistant")
    assert says.said(turn.parts, door, client) == says.said(parts, door, client)
    target = sources.target(door)
    assert {one.origin for one in turn.parts if isinstance(one, Thinking) and one.signature} <= {target.origin}
    made = readers.whole(door, whole).answers[0].parts
    proofs = [unpack(part.signature).signature for part in made if isinstance(part, Thinking) and part.signature]
    written = call.request(members, "up", False)
    assert all(proof.encode() in written.body for proof in proofs)
    other = Translation(client, sources.elsewhere(target), View(model="asked", id="c", created_s=7))
    left = other.request(members, "up", False)
    assert not any(proof.encode() in left.body for proof in proofs)
    assert bool(left.dropped) >= bool(proofs)


def test_random_cuts_of_a_long_stream():
    """Hundreds of pieces, cut anywhere, in every pair: one long reply with parallel calls."""
    chance = random.Random(4)
    calls = [ToolCall(id=f"c{at}", name="f", arguments=json.dumps({"text": "ä" * 300, "at": at})) for at in range(4)]
    answer = Answer(parts=[Thinking(text="think " * 50), Text(text="Zeile 🌍 " * 100), *calls], reason="tool")
    reply = Reply(id="id_1", model="up", answers=[answer], meters=SMALL.meters)
    for client, door in PAIRS:
        stream = sources.stream(door, reply, 11)
        cuts = sorted(chance.sample(range(1, len(stream)), 200))
        call = translation(client, door)
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        written = b"".join([call.frames(piece) for piece in pieces]) + call.end()
        readers.check(client, written)
        assert meaning(readers.streamed(client, written), door, client) == meaning(reply, door, client), (client, door)
