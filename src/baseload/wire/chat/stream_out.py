"""Canonical events -> a chat stream for a client (protocols.md 2.3).

In:     events in the order of a `StreamIn`. Out: SSE bytes, one chunk a fact, the moment it is known.
Holds:  counters a choice, the last usage. Never the reply.

Order: the role chunk of a choice first; deltas; a chunk with the finish reason, one a choice; the usage chunk where the
client asked for it (then every other chunk says `usage: null`); [DONE]. Thinking goes out under two names, see
`reasoning.py`. A choice that failed in generating ends the stream with an error: chat has no finish reason for it.
Media blocks are left out: chat's streams have no place for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from baseload.errors import Refusal
from baseload.wire.canon import ids
from baseload.wire.canon.carry import View
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
from baseload.wire.canon.signature import seal
from baseload.wire.chat import usage_out
from baseload.wire.chat.annotations import annotation_of
from baseload.wire.chat.reasoning import ENCRYPTED, add_signature, add_text, opening
from baseload.wire.chat.reply_out import reply_id
from baseload.wire.chat.words import FINISH_OUT, tier_of
from baseload.wire.envelope import stream_error
from baseload.wire.raw import ABSENT, NULL

BEAT = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode
_SAID = {"text": b'{"content":', "refusal": b'{"refusal":'}


class GenerationFailed(Refusal):
    """The provider ended a choice with a failure of its own, after the stream had begun."""

    code, status = "generation_failed", 502


class _Block:
    __slots__ = ("custom", "entry", "kind", "lead", "redacted", "spoke", "start", "tail", "type", "where")

    def __init__(self, opened: Opened) -> None:
        self.kind = opened.kind
        self.custom = opened.custom
        self.redacted = opened.redacted
        self.spoke = False  # a delta went out
        self.where = 0  # index of a tool call or of a thought
        self.type = ""  # of a thought
        self.entry: dict[str, Any] | None = None  # of a thought: what its first fragment has to say
        self.start = 0  # characters of content before it
        self.lead = b""  # of text and refusals: a chunk up to the text, and after it
        self.tail = b""


class _Choice:
    __slots__ = ("blocks", "chars", "finished", "notes", "pending", "thoughts", "tools")

    def __init__(self) -> None:
        self.blocks: dict[int, _Block] = {}  # the open ones
        self.chars = 0  # of content so far
        self.notes = 0  # citations
        self.tools = 0
        self.thoughts = 0
        self.pending: list[_Block] = []  # thoughts after a tool call, which wait for the call they precede
        self.finished = False


class StreamOut:
    """See the module. One object a stream."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._id = ""
        self._head = b""  # of every chunk, up to and with the opening bracket of `choices`
        self._tail = b'],"usage":null}\n\n' if view.wants_usage else b"]}\n\n"
        self._choices: dict[int, _Choice] = {}
        self._counted: Counted | None = None
        self._over = False

    def write(self, events: Iterable[AnyEvent]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if not self._over:
                _WRITERS[type(event)](self, event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    def fail(self, refusal: Refusal, call_id: str) -> bytes:
        """The error that ends a begun stream: no finish, no [DONE] after it; OpenAI's clients raise on it."""
        self._over = True
        return stream_error("chat", refusal, call_id)

    def _start(self, event: Started, out: list[bytes]) -> None:
        self._begin(event.id)
        self._choice(0, out)

    def _begin(self, id_: str) -> None:
        view = self._view
        head = {
            "id": reply_id(id_, view),
            "object": "chat.completion.chunk",
            "created": view.created_s,
            "model": view.model,
        }
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['

    def _choice(self, number: int, out: list[bytes]) -> _Choice:
        found = self._choices.get(number)
        if found is None:
            if not self._head:
                self._begin("")
            found = self._choices[number] = _Choice()
            self._put(number, b'{"role":"assistant","content":"","refusal":null}', out)
        return found

    def _put(self, number: int, delta: bytes, out: list[bytes], logprobs: bytes = b"null") -> None:
        out.append(
            b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":null}%b'
            % (self._head, number, delta, logprobs, self._tail)
        )

    def _open(self, event: Opened, out: list[bytes]) -> None:
        choice = self._choice(event.choice, out)
        block = choice.blocks[event.block] = _Block(event)
        block.start = choice.chars
        if event.kind == "thinking":
            block.entry = opening(event.redacted, event.summary, event.id, choice.chars, choice.tools > 0, 0)
            block.type = block.entry["type"]
        elif event.kind == "tool":
            self._open_tool(event, choice, block, out)
        else:
            choice.pending.clear()
            said = _SAID.get(event.kind)
            if said is not None:
                block.lead = b'%b{"index":%d,"delta":%b' % (self._head, event.choice, said)
                block.tail = b'},"logprobs":null,"finish_reason":null}' + self._tail

    def _open_tool(self, event: Opened, choice: _Choice, block: _Block, out: list[bytes]) -> None:
        block.where = choice.tools
        choice.tools += 1
        id_ = ids.safe(event.id)
        call: dict[str, Any] = {"index": block.where, "id": id_}
        if event.custom:
            call |= {"type": "custom", "custom": {"name": event.name, "input": ""}}
        else:
            call |= {"type": "function", "function": {"name": event.name, "arguments": ""}}
        delta: dict[str, Any] = {"tool_calls": [call]}
        if choice.pending:
            # Thoughts between calls: said here, because only now the id of the call they precede is known.
            delta["reasoning_details"] = [
                {"type": thought.type, "index": thought.where, "before": id_} for thought in choice.pending
            ]
            choice.pending.clear()
        self._put(event.choice, _encode(delta), out)

    def _say(self, event: Delta, out: list[bytes]) -> None:
        choice = self._choices.get(event.choice)
        block = None if choice is None else choice.blocks.get(event.block)
        if choice is None or block is None:
            return
        text = event.text
        if block.lead:
            if block.kind == "text":
                choice.chars += len(text)
            if event.logprobs is not ABSENT and event.logprobs != NULL:
                logprobs = b'{"content":%b,"refusal":null}' % bytes(event.logprobs)
                self._put(event.choice, _SAID[block.kind] + _encode(text) + b"}", out, logprobs)
            elif text:
                out.append(block.lead + _encode(text) + block.tail)
        elif not text:
            return
        elif block.kind == "tool":
            block.spoke = True
            self._fragment(event.choice, block, text, out)
        elif block.kind == "thinking" and self._view.show_thinking and block.type != ENCRYPTED:
            delta: dict[str, Any] = {"reasoning_content": text, "reasoning_details": [self._entry(choice, block)]}
            add_text(delta["reasoning_details"][0], text)
            self._put(event.choice, _encode(delta), out)

    def _fragment(self, number: int, block: _Block, text: str, out: list[bytes]) -> None:
        inner = b'"custom":{"input":' if block.custom else b'"function":{"arguments":'
        self._put(number, b'{"tool_calls":[{"index":%d,%b%b}}]}' % (block.where, inner, _encode(text)), out)

    def _entry(self, choice: _Choice, block: _Block) -> dict[str, Any]:
        """A fragment of a thought: the first says what it is, later ones only whose they are."""
        entry = block.entry
        if entry is None:
            return {"type": block.type, "index": block.where}
        block.entry = None
        entry["index"] = block.where = choice.thoughts  # counted when it is seen: a thought without anything has none
        choice.thoughts += 1
        if choice.tools:
            choice.pending.append(block)
        return entry

    def _sign(self, event: Signed, out: list[bytes]) -> None:
        choice = self._choice(event.choice, out)
        block = choice.blocks.get(event.block)
        if block is None or block.kind != "thinking" or not self._view.show_thinking or not event.signature:
            return
        if block.entry is not None:  # nothing was said: a signature alone, see `reasoning.py`
            block.entry["type"] = block.type = ENCRYPTED
        entry = self._entry(choice, block)
        add_signature(entry, seal(self._view.origin, event.signature, redacted=block.redacted))
        self._put(event.choice, _encode({"reasoning_details": [entry]}), out)

    def _cite(self, event: Cited, out: list[bytes]) -> None:
        choice = self._choice(event.choice, out)
        block = choice.blocks.get(event.block)
        start = block.start if block is not None else choice.chars
        made = annotation_of(event.protocol, event.raw, start, choice.chars)
        if made is not None:
            made["index"] = choice.notes  # OpenAI's client puts lists of later chunks together by it
            choice.notes += 1
            self._put(event.choice, _encode({"annotations": [made]}), out)

    def _shut(self, event: Closed, out: list[bytes]) -> None:
        choice = self._choice(event.choice, out)
        block = choice.blocks.pop(event.block, None)
        if block is not None:
            self._complete(event.choice, block, out)

    def _complete(self, number: int, block: _Block, out: list[bytes]) -> None:
        if block.kind == "tool" and not block.spoke and not block.custom:
            self._fragment(number, block, "{}", out)  # no delta at all is an empty object (protocols.md, 11)

    def _finish(self, event: Finished, out: list[bytes]) -> None:
        choice = self._choice(event.choice, out)
        if choice.finished:
            return
        reason = FINISH_OUT.get(event.reason)
        if reason is None:
            word = f" ({event.native})" if event.native else ""
            out.append(
                self.fail(GenerationFailed(f"The provider failed in generating its reply{word}."), self._view.id)
            )
            return
        choice.finished = True
        for block in choice.blocks.values():
            self._complete(event.choice, block, out)
        choice.blocks.clear()
        out.append(
            b'%b{"index":%d,"delta":{},"logprobs":null,"finish_reason":"%b"}%b'
            % (self._head, event.choice, reason.encode(), self._tail)
        )

    def _count(self, event: Counted, out: list[bytes]) -> None:
        self._counted = event

    def _beat(self, event: Beat, out: list[bytes]) -> None:
        out.append(BEAT)

    def _end(self, event: Ended, out: list[bytes]) -> None:
        counted = self._counted
        if self._view.wants_usage and counted is not None:
            if not self._head:
                self._begin("")
            usage = _encode(usage_out.write(counted.meters))
            tier = tier_of(counted.tier)
            more = b',"service_tier":' + _encode(tier) if tier else b""
            out.append(self._head + b'],"usage":' + usage + more + b"}\n\n")
        out.append(DONE)
        self._over = True


_WRITERS: dict[type, Callable[[StreamOut, Any, list[bytes]], None]] = {
    Started: StreamOut._start,
    Opened: StreamOut._open,
    Delta: StreamOut._say,
    Signed: StreamOut._sign,
    Cited: StreamOut._cite,
    Closed: StreamOut._shut,
    Finished: StreamOut._finish,
    Counted: StreamOut._count,
    Beat: StreamOut._beat,
    Ended: StreamOut._end,
}
