"""Bytes of strangers: nothing but a `Refusal` (requests) or a `ProviderFault("garbage")` (replies) escapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.errors import ProviderFault, Refusal
from baseload.wire.body import open_body
from baseload.wire.canon.carry import Target
from baseload.wire.gemini import (
    GUARDED,
    StreamMeter,
    count,
    embed,
    patch,
    read_ask,
    read_reply,
    reply_in,
    request_in,
    request_out,
)
from baseload.wire.gemini.stream_in import StreamIn
from tests.wire.gemini.recorded import STREAM, gemini_cli

TARGET = Target(protocol="gemini", dialect="gemini", model="gemini-3-pro", thought="effort")

_NAMES = """
contents parts role text thought thoughtSignature thought_signature inlineData mimeType data fileData fileUri
functionCall id name args functionResponse response willContinue executableCode systemInstruction tools
functionDeclarations parameters parametersJsonSchema toolConfig functionCallingConfig mode allowedFunctionNames
generationConfig temperature topK candidateCount maxOutputTokens stopSequences responseMimeType responseSchema
responseJsonSchema responseModalities thinkingConfig thinkingBudget thinkingLevel includeThoughts safetySettings
type properties items anyOf nullable enum minItems $ref candidates content finishReason index usageMetadata
promptTokenCount promptFeedback blockReason error partialArgs jsonPath stringValue citationMetadata citations
logprobsResult chosenCandidates token requests outputDimensionality generateContentRequest embeddings values
"""
NAMES = _NAMES.split()
WORDS = ["", "user", "model", "STRING", "OBJECT", "AUTO", "application/json", "YmxzaWcxlKFhoWLA", "$.a[0]", "STOP", "x"]

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=5)
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.sampled_from(NAMES), trees, max_size=5)


@st.composite
def damaged(draw: Any, base: str) -> Any:
    """A good body with some of its values replaced."""
    body = json.loads(base)
    for _ in range(draw(st.integers(1, 3))):
        at = body
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(at[key], dict | list) and at[key] and draw(st.integers(0, 4)):
                at = at[key]
                continue
            at[key] = draw(trees)
            break
    return body


GOOD = json.loads(gemini_cli())
GOOD["contents"] = GOOD["contents"][:6]
GOOD["tools"][0]["functionDeclarations"] = GOOD["tools"][0]["functionDeclarations"][:2]
GOOD["systemInstruction"]["parts"][0]["text"] = "be"
GOOD["toolConfig"] = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["read_file"]}}
FRAMES = json.dumps([json.loads(frame[6:]) for frame in STREAM.split(b"\n\n") if frame])


@contextmanager
def refused() -> Iterator[None]:
    """What a client may see of a request."""
    try:
        yield
    except Refusal as refusal:
        if refusal.status >= 500:
            raise


@contextmanager
def garbage() -> Iterator[None]:
    """What the gateway may see of a reply."""
    try:
        yield
    except ProviderFault as fault:
        if fault.fault != "garbage":
            raise


def handle_request(raw: bytes) -> None:
    with refused():
        members = open_body(raw, GUARDED)
        json.loads(patch(members, read_ask(members, "m", True), "gemini-3-pro", TARGET.origin))
    for read in (request_in.read, count.read):
        with refused():
            json.loads(request_out.write(read(open_body(raw, GUARDED), "m"), TARGET).body)
    for work in (
        lambda members: embed.to_openai(members, TARGET, batch=True),
        lambda members: embed.to_openai(members, TARGET, batch=False),
        lambda members: embed.from_openai(members, TARGET),
        lambda members: embed.patch(members, "up"),
    ):
        with refused():
            work(open_body(raw, GUARDED))


def handle_reply(raw: bytes, cut: int) -> None:
    meter, stream = StreamMeter(cap=2**20), StreamIn(TARGET)
    with garbage():
        frames = [meter.feed(raw[:cut]), meter.feed(raw[cut:]), meter.close()]
        assert meter.text_bytes >= 0
        [stream.feed(frame) for frame in frames]
        stream.close()
    read_reply(raw)
    for work in (
        lambda: reply_in.read(raw, TARGET),
        lambda: count.read_reply(raw),
        lambda: embed.reply_to_openai(raw, model="m", as_base64=True),
        lambda: embed.reply_from_openai(raw, batch=True),
    ):
        with garbage():
            work()


@given(objects | damaged(json.dumps(GOOD)))
@settings(max_examples=250)
def test_no_request_breaks_it(body):
    handle_request(json.dumps(body).encode())


@given(damaged(FRAMES) | st.lists(objects, max_size=3), st.booleans(), st.integers(0, 500))
@settings(max_examples=250)
def test_no_reply_breaks_it(chunks, array, cut):
    if not isinstance(chunks, list):
        chunks = [chunks]
    raw = json.dumps(chunks) if array else "".join(f"data: {json.dumps(one)}\n\n" for one in chunks)
    handle_reply(raw.encode(), cut)


@given(st.binary(max_size=60), st.integers(0, 60))
def test_no_bytes_break_it(raw, cut):
    handle_request(raw)
    handle_reply(raw, cut)
    handle_reply(b"data: " + raw + b"\n\n", cut)
    handle_reply(b'data: {"candidates":[{"content":{"parts":[{"text":"' + raw + b'"}]}}]}\n\n', cut)


def test_deep_nesting_breaks_nothing():
    for deep in ("[" * 3000, '{"items":' * 3000 + "1" + "}" * 3000, "[" * 200 + "]" * 200):
        for body in (
            '{"contents":%s}',
            '{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"a":%s}}}]}]}',
            '{"contents":[],"tools":[{"functionDeclarations":[{"name":"f","parameters":%s}]}]}',
            '{"contents":[],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":%s}}',
        ):
            handle_request((body % deep).encode())
            handle_reply((f'data: {{"candidates":{deep}}}\n\n').encode(), 9)
