"""A provider's whole Responses reply -> canonical.

In:     the body, where it came from. Out: `Reply`, or `ProviderFault("garbage")`.
Built-in call items (web search, code, computer, images, MCP, ...) are left out: they ran at the provider, a translated
request cannot ask for them, and no other protocol has a place for them. Their text is in the messages beside them.
"""

from __future__ import annotations

from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon.carry import Target
from baseload.wire.canon.events import Answer, Reply
from baseload.wire.canon.ids import invent
from baseload.wire.canon.request import AnyPart, Refused, Text, Thinking, ToolCall
from baseload.wire.raw import ABSENT, FAILED
from baseload.wire.responses.shapes import Item, Part, Response, item_of, items_of, object_or_empty, response_of
from baseload.wire.usage import normalise

_REASONS = {
    "max_output_tokens": "length",
    "content_filter": "filter",
    "failed": "error",
    "cancelled": "error",
}


def read(body: bytes, target: Target) -> Reply:
    """The reply in canonical form."""
    try:
        response = response_of(body)
    except FAILED:
        raise ProviderFault("garbage", "The provider's reply is no JSON object.", sent=True) from None
    parts: list[AnyPart] = []
    logprobs: list[bytes] = []
    for raw in items_of(response.output):
        item = item_of(raw)
        parts += parts_of(item, target.origin)
        for part in item.content or ():
            inner = bytes(part.logprobs).strip()
            if inner[:1] == b"[" and inner[1:-1].strip():
                logprobs.append(inner[1:-1].strip())
    answer = Answer(
        parts=parts,
        reason=reason_of(response, any(isinstance(part, ToolCall) for part in parts)),
        native=response.finish,
        logprobs=Raw(b"[" + b",".join(logprobs) + b"]") if logprobs else ABSENT,
    )
    return Reply(
        id=response.id or "",
        model=response.model or "",
        answers=[answer],
        meters=meters_of(response, target),
        tier=response.service_tier or "",
    )


def reason_of(response: Response, called: bool) -> str:
    """Of `canon.events.FINISHES`. An answer that waits for a tool is "completed" here (protocols.md, section 9)."""
    return _REASONS.get(response.finish) or ("tool" if called else "stop")


def meters_of(response: Response, target: Target) -> dict[str, int] | None:
    """Disjoint meters; None where nothing is reported."""
    if not object_or_empty(response.usage):
        return None
    return normalise("openai-responses", target.dialect, response.report()).meters or None


def parts_of(item: Item, origin: str) -> list[AnyPart]:
    """The parts of one output item; none of an item that only its provider knows."""
    if item.type == "message":
        return [part for content in item.content or () if (part := _said(content)) is not None]
    if item.type == "function_call":
        return [ToolCall(id=item.call_id or item.id or invent(), name=item.name or "", arguments=item.arguments or "")]
    if item.type == "custom_tool_call":
        id_ = item.call_id or item.id or invent()
        return [ToolCall(id=id_, name=item.name or "", arguments=item.input or "", kind="custom")]
    if item.type == "reasoning":
        text, summary = reasoning_text(item)
        if not text and not item.encrypted_content:
            return []
        signature = item.encrypted_content or ""
        return [Thinking(text=text, signature=signature, summary=summary, origin=origin, id=item.id or "")]
    return []


def reasoning_text(item: Item) -> tuple[str, bool]:
    """The thinking itself where it is shown, else its summary (True)."""
    said = "\n\n".join([part.text for part in item.content or () if part.text])
    if said:
        return said, False
    return "\n\n".join([part.text for part in item.summary or () if part.text]), True


def _said(content: Part) -> Text | Refused | None:
    """A part with something in it; an empty one is no part, as in a stream."""
    if content.type == "refusal":
        return Refused(text=content.refusal) if content.refusal else None
    if content.type not in ("output_text", "text") or not content.text:
        return None
    cited = tuple(content.annotations or ())
    return Text(text=content.text, citations=cited, citations_of="responses" if cited else "")
