"""ConverseStream read along for the meter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import ProviderFault
from baseload.providers.reply import read_error
from baseload.wire import eventstream
from baseload.wire.converse import StreamMeter
from baseload.wire.usage import normalise
from tests.wire.converse.recorded import START, TOOLS, USAGE, delta, end, event, exception, stop, tool

TEXT = "The user wants two cities.Let me see: 你好 🌍weathernow" + '{"city": "Paris", "n": 12345678901234567890}'


def metered(*pieces: bytes) -> StreamMeter:
    meter = StreamMeter()
    for piece in pieces:
        meter.feed(piece)
    meter.close()
    return meter


def facts(meter: StreamMeter) -> dict[str, object]:
    return {name: getattr(meter, name) for name in StreamMeter.__slots__ if not name.startswith("_")}


def test_the_facts_of_a_stream():
    meter = metered(TOOLS)
    assert json.loads(meter.usage) == USAGE
    assert meter.usages == [meter.usage]
    assert (meter.done, meter.finished, meter.finish, meter.tier) == (True, True, "tool_use", "flex")
    assert (meter.error, meter.malformed, meter.upstream_model) == (b"", 0, "")
    assert meter.text_bytes == len(TEXT.encode())
    assert (meter.frames, meter.first_token) == (8, True)


def test_where_the_network_cuts_cannot_change_the_reading():
    expected = facts(metered(TOOLS))
    assert facts(metered(*(TOOLS[at : at + 1] for at in range(len(TOOLS))))) == expected
    for cut in range(0, len(TOOLS), 5):
        assert facts(metered(TOOLS[:cut], TOOLS[cut:])) == expected, f"cut at byte {cut}"


def test_whole_messages_are_forwarded_and_nothing_else():
    for cut in range(0, len(TOOLS), 5):
        meter = StreamMeter()
        first = meter.feed(TOOLS[:cut])
        eventstream.EventCutter().feed(first)
        assert TOOLS.startswith(first)
        assert first + meter.feed(TOOLS[cut:]) + meter.close() == TOOLS


def test_the_reading_is_not_closed_at_the_stop():
    meter = StreamMeter()
    meter.feed(START + delta(0, text="a") + event("messageStop", {"stopReason": "end_turn"}))
    assert (meter.finished, meter.done, meter.usage) == (True, False, b"")
    meter.feed(event("metadata", {"usage": {"inputTokens": 12, "outputTokens": 1, "totalTokens": 13}}))
    assert meter.done
    assert normalise("bedrock-converse", "bedrock", meter.usages).meters == {"input_uncached": 12, "output_total": 1}


def test_pitfall_24_starts_and_stops_are_not_the_first_token():
    meter = StreamMeter()
    meter.feed(START + stop(0) + delta(0, text="") + delta(0, reasoningContent={"signature": "x"}))
    assert (meter.first_token, meter.frames) == (False, 0)
    meter.feed(tool(1, "t", "f"))
    assert meter.first_token


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttlingException", "ThrottlingException"),
        ("modelStreamErrorException", "ModelStreamErrorException"),
        ("validationException", "ValidationException"),
        ("serviceUnavailableException", "ServiceUnavailableException"),
        ("internalServerException", "InternalServerException"),
    ],
)
def test_pitfall_20_exceptions_inside_a_200_are_errors_by_their_class(kind: str, code: str):
    meter = metered(START + delta(0, text="par"), exception(kind, "it broke", originalStatusCode=500))
    assert json.loads(meter.error) == {"code": code, "message": "it broke", "originalStatusCode": 500}
    said = read_error(meter.error)
    assert (said.code, said.message, said.is_error) == (code, "it broke", True)
    assert (meter.done, meter.finished, meter.text_bytes) == (False, False, 3)


def test_an_error_message_without_a_payload():
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "sorry"}
    meter = metered(START, eventstream.write(headers))
    assert json.loads(meter.error) == {"code": "InternalError", "message": "sorry"}


def test_the_first_error_is_the_cause():
    meter = metered(exception("throttlingException", "1"), exception("validationException", "2"))
    assert read_error(meter.error).code == "ThrottlingException"


def test_an_exception_whose_payload_is_no_json():
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    assert json.loads(metered(eventstream.write(headers, b"<html>")).error) == {
        "code": "ThrottlingException",
        "message": "<html>",
    }


def test_pitfall_22_a_prompt_router_says_which_model_it_took():
    last = {"usage": USAGE, "trace": {"promptRouter": {"invokedModelId": "arn:aws:bedrock:us-east-1::x"}}}
    meter = metered(START, event("messageStop", {"stopReason": "end_turn"}), event("metadata", last))
    assert meter.upstream_model == "arn:aws:bedrock:us-east-1::x"


def test_a_payload_that_is_no_json_is_counted():
    meter = metered(START, eventstream.write({":message-type": "event", ":event-type": "metadata"}, b"[1"))
    assert (meter.malformed, meter.usage) == (1, b"")


def test_damage_is_garbage():
    meter = StreamMeter()
    with pytest.raises(ProviderFault) as caught:
        meter.feed(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
    assert caught.value.fault == "garbage"


def test_damage_at_the_end_is_counted():
    broken = bytearray(end("end_turn"))
    broken[-1] ^= 1
    meter = StreamMeter()
    meter.feed(START + bytes(broken))
    assert meter.close() == b""
    assert (meter.malformed, meter.done, meter.finished) == (1, False, True)


@given(st.binary(max_size=100), st.text(max_size=20), st.binary(max_size=60))
def test_fuzz_any_message(garbage: bytes, kind: str, payload: bytes):
    meter = StreamMeter(cap=4096)
    fault = "garbage"
    try:
        meter.feed(eventstream.write({":event-type": kind, ":message-type": kind}, payload))
        meter.feed(eventstream.write({":event-type": "contentBlockDelta"}, payload))
        meter.feed(eventstream.write({":message-type": "exception", ":exception-type": kind}, payload))
        meter.feed(garbage)
    except ProviderFault as why:
        fault = why.fault
    meter.close()
    assert fault == "garbage"
    assert json.loads(meter.error)["code"]
