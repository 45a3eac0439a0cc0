"""ConverseStream -> canonical events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.wire import eventstream
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import (
    AnyEvent,
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
from baseload.wire.canon.request import Text, Thinking, ToolCall
from baseload.wire.converse.stream_in import StreamIn
from tests.wire.converse import recorded
from tests.wire.converse.recorded import START, TOOLS, delta, end, event, exception, stop, tool

TARGET = Target(protocol="converse", dialect="bedrock", model="us.anthropic.claude")

EXPECTED = [
    Started(),
    Opened(block=0, kind="thinking"),
    Delta(block=0, text="The user wants "),
    Delta(block=0, text="two cities."),
    Signed(block=0, signature="EqoBCkgI=="),
    Closed(block=0),
    Opened(block=1, kind="text"),
    Delta(block=1, text="Let me "),
    Delta(block=1, text="see: 你好 🌍"),
    Closed(block=1),
    Opened(block=2, kind="tool", id="tooluse_a", name="weather"),
    Delta(block=2, text='{"city": "Par'),
    Delta(block=2, text='is", "n": 12345678901234567890}'),
    Closed(block=2),
    Opened(block=3, kind="tool", id="tooluse_b", name="now"),
    Closed(block=3),
    Finished(reason="tool", native="tool_use"),
    Counted(
        meters={
            "output_total": 40,
            "input_uncached": 12,
            "cache_read": 2000,
            "cache_write_5m": 1000,
            "cache_write_1h": 2000,
        },
        tier="flex",
    ),
    Ended(),
]


def read(*pieces: bytes) -> list[AnyEvent]:
    stream = StreamIn(TARGET)
    events = [made for piece in pieces for made in stream.feed(piece)]
    return events + stream.close()


def test_a_stream_with_thinking_text_and_tools():
    assert read(TOOLS) == EXPECTED


def test_where_the_network_cuts_cannot_change_the_events():
    assert read(*(TOOLS[at : at + 1] for at in range(len(TOOLS)))) == EXPECTED
    for cut in range(0, len(TOOLS), 3):
        assert read(TOOLS[:cut], TOOLS[cut:]) == EXPECTED, f"cut at byte {cut}"


def test_a_lost_connection_gives_a_beginning_of_the_events_and_no_end():
    for cut in range(0, len(TOOLS) - 1, 7):
        found = read(TOOLS[:cut])
        if Finished(reason="tool", native="tool_use") not in found:
            assert found == EXPECTED[: len(found)]
            assert Ended() not in found


def test_parallel_tool_calls_survive():
    assert fold(read(TOOLS)).answers[0].parts == [
        Thinking(text="The user wants two cities.", signature="EqoBCkgI=="),
        Text(text="Let me see: 你好 🌍"),
        ToolCall(id="tooluse_a", name="weather", arguments='{"city": "Paris", "n": 12345678901234567890}'),
        ToolCall(id="tooluse_b", name="now", arguments=""),
    ]


def test_thinking_signature_survives_in_pieces():
    stream = (
        START
        + delta(0, reasoningContent={"text": "a"})
        + delta(0, reasoningContent={"signature": "AB"})
        + delta(0, reasoningContent={"signature": "CD"})
        + stop(0)
        + end("end_turn")
    )
    assert Signed(block=0, signature="ABCD") in read(stream)


def test_redacted_thinking_survives():
    stream = START + delta(0, reasoningContent={"redactedContent": "AAEC"}) + stop(0) + delta(1, text="x") + stop(1)
    assert read(stream + end("end_turn"))[1:4] == [
        Opened(block=0, kind="thinking", redacted=True),
        Signed(block=0, signature="AAEC"),
        Closed(block=0),
    ]


def test_redacted_thinking_in_pieces_is_joined_as_bytes():
    stream = START + delta(0, reasoningContent={"redactedContent": "YQ=="})
    stream += delta(0, reasoningContent={"redactedContent": "Yg=="}) + stop(0) + end("end_turn")
    assert Signed(block=0, signature="YWI=") in read(stream)


def test_citations_survive():
    cited = {"title": "A", "location": {"web": {"url": "https://example.org"}}}
    stream = START + delta(0, text="so") + delta(0, citation=cited) + stop(0) + end("end_turn")
    [found] = [made for made in read(stream) if isinstance(made, Cited)]
    assert (found.block, found.protocol) == (0, "converse")
    assert b"https://example.org" in bytes(found.raw)


def test_an_image_of_the_answer_survives():
    stream = START + event("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "webp"}}})
    stream += delta(0, image={"source": {"bytes": "QUJD"}}) + stop(0) + end("end_turn")
    assert read(stream)[1:4] == [
        Opened(block=0, kind="media", name="image/webp"),
        Delta(block=0, text="QUJD"),
        Closed(block=0),
    ]


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("content_filtered", "filter"),
        ("guardrail_intervened", "filter"),
        ("malformed_model_output", "error"),
        ("malformed_tool_use", "error"),
        ("model_context_window_exceeded", "context"),
        ("something_new", "stop"),
    ],
)
def test_pitfall_10_stop_reasons(native: str, reason: str):
    stream = START + delta(0, text="x") + stop(0) + end(native)
    assert Finished(reason=reason, native=native) in read(stream)


def test_pitfall_11_the_stop_sequence_that_matched_is_named():
    stream = START + end("stop_sequence", additionalModelResponseFields={"stop_sequence": "###"})
    assert Finished(reason="stop_sequence", stop_sequence="###", native="stop_sequence") in read(stream)


def test_usage_after_the_stop_is_read():
    events = read(TOOLS)
    assert [type(made) for made in events[-3:]] == [Finished, Counted, Ended]


def test_a_stream_without_metadata_ends_all_the_same():
    stream = START + delta(0, text="x") + event("messageStop", {"stopReason": "end_turn"})
    assert read(stream)[-2:] == [Finished(reason="stop", native="end_turn"), Ended()]


def test_blocks_that_are_never_stopped_are_closed():
    stream = START + delta(0, text="x") + delta(1, text="y") + tool(2, "t", "f") + end("tool_use")
    assert [(type(made).__name__, getattr(made, "block", None)) for made in read(stream)[1:-3]] == [
        ("Opened", 0),
        ("Delta", 0),
        ("Closed", 0),
        ("Opened", 1),
        ("Delta", 1),
        ("Closed", 1),
        ("Opened", 2),
        ("Closed", 2),
    ]


def test_pitfall_20_nothing_follows_an_exception():
    stream = START + delta(0, text="x") + exception("throttlingException", "slow down") + end("end_turn")
    assert read(stream) == [Started(), Opened(block=0, kind="text"), Delta(block=0, text="x")]


def test_pitfall_27_blocks_of_the_providers_own_tools_are_left_out():
    own = {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use"}}
    stream = START + event("contentBlockStart", {"contentBlockIndex": 0, "start": own})
    stream += delta(0, toolUse={"input": "{}"}) + stop(0) + delta(1, text="x") + stop(1) + end("end_turn")
    assert read(stream)[1:4] == [Opened(block=0, kind="text"), Delta(block=0, text="x"), Closed(block=0)]


def test_unknown_events_are_passed_over():
    stream = event("heartbeat", {}) + START + event("somethingNew", {"a": 1}) + delta(0, text="x") + end("end_turn")
    assert [type(made).__name__ for made in read(stream)] == [
        "Started",
        "Opened",
        "Delta",
        "Closed",
        "Finished",
        "Counted",
        "Ended",
    ]


def test_nothing_but_metadata_is_taken_behind_the_stop():
    stream = START + event("messageStop", {"stopReason": "end_turn"}) + delta(0, text="late") + end("max_tokens")
    assert [type(made).__name__ for made in read(stream)] == ["Started", "Finished", "Counted", "Ended"]


def test_input_without_its_tool_is_garbage():
    with pytest.raises(ProviderFault) as caught:
        read(START + delta(0, toolUse={"input": "{}"}))
    assert caught.value.fault == "garbage"


def test_a_payload_that_is_no_json_is_garbage():
    with pytest.raises(ProviderFault) as caught:
        read(eventstream.write({":message-type": "event", ":event-type": "metadata"}, b"{"))
    assert caught.value.fault == "garbage"


def test_pitfall_28_half_of_a_surrogate_pair_breaks_nothing():
    headers = {":message-type": "event", ":event-type": "contentBlockDelta"}
    half = eventstream.write(headers, b'{"contentBlockIndex":0,"delta":{"text":"a\\ud83d"}}')
    answer = fold(read(START + half + stop(0) + end("end_turn"))).answers[0]
    assert isinstance(answer.parts[0], Text)
    assert answer.parts[0].text.startswith("a")


def test_an_endless_signature_is_garbage():
    stream = StreamIn(TARGET, cap=1000)
    stream.feed(START)
    for _ in range(10):
        stream.feed(delta(0, reasoningContent={"signature": "x" * 100}))
    with pytest.raises(ProviderFault, match="signature"):
        stream.feed(delta(0, reasoningContent={"signature": "x"}))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "messageStart",
                    "contentBlockStart",
                    "contentBlockDelta",
                    "contentBlockStop",
                    "messageStop",
                    "metadata",
                ]
            ),
            st.recursive(
                st.one_of(st.none(), st.integers(-1, 3), st.text(max_size=5), st.booleans()),
                lambda inner: st.one_of(
                    st.lists(inner, max_size=2),
                    st.dictionaries(
                        st.sampled_from(
                            [
                                *(
                                    "contentBlockIndex",
                                    "delta",
                                    "start",
                                    "text",
                                    "toolUse",
                                    "input",
                                    "toolUseId",
                                    "name",
                                ),
                                *("reasoningContent", "signature", "redactedContent", "image", "source", "bytes"),
                                *("citation", "stopReason", "usage", "inputTokens", "outputTokens", "serviceTier"),
                            ]
                        ),
                        inner,
                        max_size=4,
                    ),
                ),
                max_leaves=8,
            ),
        ),
        max_size=8,
    )
)
def test_fuzz_events_of_any_content(items: list[tuple[str, object]]):
    stream = StreamIn(TARGET)
    events: list[AnyEvent] = []
    fault = "garbage"
    try:
        for kind, payload in items:
            events += stream.feed(recorded.event(kind, payload))  # type: ignore[arg-type]
        events += stream.close()
    except ProviderFault as why:
        fault = why.fault
    assert fault == "garbage"
    check_order(events)


def check_order(events: list[AnyEvent]) -> None:
    """The order `canon/events.py` promises; blocks of this protocol never overlap."""
    opened, done, ended = None, False, False
    blocks = 0
    for at, made in enumerate(events):
        assert isinstance(made, Started) == (at == 0)
        assert not ended
        if isinstance(made, Opened):
            assert opened is None
            assert not done
            assert made.block == blocks
            opened, blocks = made.block, blocks + 1
        elif isinstance(made, Delta | Signed | Cited):
            assert made.block == opened
        elif isinstance(made, Closed):
            assert made.block == opened
            opened = None
        elif isinstance(made, Finished):
            assert opened is None
            assert not done
            done = True
        elif isinstance(made, Ended):
            assert done
            ended = True
