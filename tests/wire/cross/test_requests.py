"""A request of any client for a provider of any other protocol, and back: what was asked for stays, or is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target, Uncarried, Written
from baseload.wire.canon.effort import effort_of
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request, Text, Turn
from baseload.wire.protocols import CLIENTS, PROVIDERS
from baseload.wire.raw import ABSENT
from tests.wire.cross import says, talk
from tests.wire.cross.says import BOTH_WAYS

_UNSET = (None, "", (), ABSENT)  # not False: a seed of 0 is a seed


def hop(request: Request, to: str) -> tuple[Request, Written]:
    """The request as a provider of the protocol `to` reads it."""
    written = PROVIDERS[to].request_out(request, talk.TARGETS[to])
    again = CLIENTS[to].request_in(open_body(written.body))
    again.model, again.stream = request.model, request.stream  # in Gemini's protocol both stand in the path
    return again, written


def chosen(request: Request) -> Any:
    """Free choice is what nothing said means."""
    return (request.choice.mode, request.choice.names) if request.choice is not None else ("auto", ())


def value(request: Request, field: str) -> Any:
    """Several calls at once are what nothing said means."""
    found = getattr(request, field)
    return None if field == "parallel" and found else found


def thought(request: Request) -> str:
    found = request.thought
    if found is None:
        return ""
    return found.effort or (effort_of(found.budget) if found.budget else found.mode)


@pytest.mark.parametrize(("client", "door"), BOTH_WAYS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_requests_keep_their_meaning_or_say_what_is_lost(client: str, door: str, data: st.DataObject):
    request = data.draw(talk.requests(client, door))
    asked, written = hop(request, client)  # as a client says it
    assert written.dropped == ()
    assert talk.meaning(asked) == talk.meaning(request)
    there, lost = hop(asked, door)
    back, more = hop(there, client)

    # What the door has no place for is named, in the client's words, and nothing else is.
    lacking = {field for field in talk.LACKS[door] if _is_set(asked, field)}
    named = {name_of(client, field) for field in lacking}
    assert set(lost.dropped) == named
    assert more.dropped == ()

    assert talk.meaning(there) == talk.meaning(asked)
    assert talk.meaning(back) == talk.meaning(asked)
    for field in {*talk.MEMBERS, "max_output", "stream"} - lacking:
        assert value(back, field) == value(asked, field), field
    assert [(tool.name, tool.description, bytes(tool.schema)) for tool in back.tools] == [
        (tool.name, tool.description, bytes(tool.schema)) for tool in asked.tools
    ]
    assert chosen(back) == chosen(asked)
    assert thought(back) == thought(asked) == thought(there)
    assert (back.format is None) == (asked.format is None)
    if back.format is not None and asked.format is not None:
        assert back.format.kind == asked.format.kind
        assert _json(back.format.schema) == _json(asked.format.schema)


def _json(raw: Any) -> Any:
    return json.loads(bytes(raw)) if len(raw) else None


def _is_set(request: Request, field: str) -> bool:
    found = value(request, field)
    return (found is not False and found not in _UNSET) or (field == "parallel" and found is False)


@pytest.mark.parametrize(("client", "door"), BOTH_WAYS)
def test_what_would_change_the_answer_is_refused_and_named(client: str, door: str):
    values = {"n": 2, "logprobs": True, "logit_bias": talk.Raw(b'{"1":-1}')}
    for field in talk.REFUSES[door] & talk.SAYS[client] & values.keys():
        request = Request(protocol=client, model="up", turns=[Turn("user", [Text(text="hi")])])
        setattr(request, field, values[field])
        with pytest.raises(Uncarried) as caught:
            hop(request, door)
        assert caught.value.param == name_of(client, field)
        assert caught.value.status == 400


@pytest.mark.parametrize("client", says.CLIENTS)
@pytest.mark.parametrize("door", ["converse", "qwen"])
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_same_request_is_the_same_bytes(client: str, door: str, data: st.DataObject):
    """Prompt caches are hit only so (pitfall 19): the body depends on nothing but the request."""
    request = data.draw(talk.requests(client, "messages"))
    for turn in request.turns:
        turn.parts = [part for part in turn.parts if not isinstance(part, talk.Media)]
        for part in turn.parts:
            if isinstance(part, talk.ToolResult):
                part.content = [one for one in part.content if isinstance(one, Text)]
    request.turns = [turn for turn in request.turns if turn.parts]
    request.format, request.choice = None, None
    dialect = "bedrock" if door == "converse" else "dashscope"
    target = Target(protocol=door, dialect=dialect, model="up")
    body = PROVIDERS[client].request_out(request, talk.TARGETS[client]).body
    first, second = (
        PROVIDERS[door].request_out(CLIENTS[client].request_in(open_body(body)), target).body for _ in range(2)
    )
    assert first == second
    texts = [part.text for turn in request.turns for part in turn.parts if isinstance(part, Text)]
    assert all(json.dumps(text, ensure_ascii=False)[1:-1] in _plain(first) for text in texts)


def _plain(body: bytes) -> str:
    return json.dumps(json.loads(body), ensure_ascii=False)
