"""`POST /v1/rerank`: documents put in order of their relevance to a query.

In:     `{model, query, documents, top_n, ...}`; replies of Cohere, Jina, vLLM, llama.cpp, SiliconFlow, DashScope.
Out:    see the room. Reports: `usage{total_tokens}`, or Cohere's `meta{billed_units, tokens}`, which SiliconFlow
        answers with as well (there it holds tokens and 0 search units).

A search unit is one query with up to 100 documents, a document of more than 500 tokens being several (Cohere, pricing).
For the hold, that is bounded by bytes: every DOCUMENT_BYTES count as one.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from baseload.wire.ask import Ask, InvalidMember, flag
from baseload.wire.body import open_body
from baseload.wire.media.shapes import begin, model_of, required, with_model
from baseload.wire.metering import Facts

GUARDED = ("model", "documents", "stream")
DOCUMENTS_A_UNIT = 100
DOCUMENT_BYTES = 1000  # 500 tokens take at least so many bytes in the densest text

_decode_list = msgspec.json.Decoder(list[Raw]).decode


def open(body: bytes | bytearray, content_type: str = "") -> dict[str, Raw]:
    return open_body(body, GUARDED)


def read_ask(members: Mapping[str, Raw]) -> Ask:
    """A `Refusal` names in `param` what is missing or wrong."""
    model = model_of(members)
    required(members, "query", b'"{[', "a string")  # an object or a list where the model takes images
    raw = required(members, "documents", b"[", "an array")
    if flag("stream", members.get("stream")):
        raise InvalidMember("Rerank is not streamed.", "Remove stream.", param="stream")
    documents = _decode_list(raw)
    if not documents:
        raise InvalidMember("documents is empty.", "Send at least one document.", param="documents")
    parts = sum([len(document) // DOCUMENT_BYTES + 1 for document in documents])
    return Ask(model, units=(("search_units", -(-parts // DOCUMENTS_A_UNIT)),))


def patch(members: Mapping[str, Raw], ask: Ask, upstream_model: str) -> bytes:
    return with_model(members, upstream_model)


def read_reply(body: bytes, content_type: str = "") -> Facts:
    """Never raises: garbage is a fact too."""
    begun = begin(body)
    if begun is None:
        return Facts(malformed=True)
    facts, found = begun
    if not facts.usage and bytes(found.meta).startswith(b"{"):
        facts.usage = bytes(found.meta)
        facts.usages = [facts.usage]
    return facts
