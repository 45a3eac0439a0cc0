"""Canonical events -> parts for a client of generateContent; shared by whole replies and streams.

A function call goes out when its arguments are complete (protocols.md, 11). The signature of a thinking block waits for
the next part and stands on it, as Google's own do: its clients keep a part's signature, and many keep no thoughts. It
is sealed with its origin and the exact thinking text.
Holds:  arguments of open calls and data of open media (ARGUMENTS_MAX), the text of an open thinking block (THOUGHT_MAX;
        beyond it the seal goes without the text).
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import View
from baseload.wire.canon.events import AnyEvent, Cited, Closed, Delta, Opened, Signed
from baseload.wire.canon.mime import usual
from baseload.wire.canon.signature import seal
from baseload.wire.gemini.cite import citation
from baseload.wire.gemini.parts_out import arguments_object

ARGUMENTS_MAX = 64 * 2**20
THOUGHT_MAX = 4 * 2**20


class Scribe:
    """The parts of one reply, choice by choice."""

    __slots__ = ("_blocks", "_held", "_proofs", "_view", "citations", "logprobs")

    def __init__(self, view: View) -> None:
        self._view = view
        self._blocks: dict[tuple[int, int], _Block] = {}
        self._proofs: dict[int, list[str]] = {}  # signatures that wait for a part
        self._held = 0
        self.citations: dict[int, list[dict[str, Any]]] = {}
        self.logprobs: dict[int, list[Raw]] = {}  # of pieces whose object has not gone out

    def is_plain(self, event: Delta) -> bool:
        """Whether it is text and nothing else goes with it: no signature, no probabilities."""
        block = self._blocks.get((event.choice, event.block))
        return block is not None and block.plain and bool(event.text) and not self._proofs and not len(event.logprobs)

    def put(self, event: AnyEvent) -> list[dict[str, Any]]:
        """The parts that this event completes, all of its own choice."""
        if isinstance(event, Delta):
            return self._delta(event)
        if isinstance(event, Opened):
            self._blocks[event.choice, event.block] = _Block(event)
        elif isinstance(event, Closed):
            block = self._blocks.pop((event.choice, event.block), None)
            return [] if block is None else self._close(event.choice, block)
        elif isinstance(event, Signed):
            self._sign(event)
        elif isinstance(event, Cited):
            found = citation(event.protocol, event.raw)
            if found is not None:
                self.citations.setdefault(event.choice, []).append(found)
        return []

    def finish(self, choice: int) -> list[dict[str, Any]]:
        """What is left of a choice: calls that were never closed, and signatures without a part after them."""
        parts: list[dict[str, Any]] = []
        for key in sorted(key for key in self._blocks if key[0] == choice):
            parts += self._close(choice, self._blocks.pop(key))
        return parts + [{"text": "", "thoughtSignature": proof} for proof in self._proofs.pop(choice, ())]

    def _delta(self, event: Delta) -> list[dict[str, Any]]:
        block = self._blocks.get((event.choice, event.block))
        if block is None:
            raise ProviderFault("garbage", "a piece of the reply belongs to no block", sent=True)
        if len(event.logprobs):
            self.logprobs.setdefault(event.choice, []).append(event.logprobs)
        kind, text = block.opened.kind, event.text
        if kind in ("text", "refusal"):
            return self._proven(event.choice, {"text": text}) if text else []
        if kind == "thinking":
            if block.size <= THOUGHT_MAX:
                block.hold(text)
            show = text and self._view.show_thinking and not block.opened.redacted
            return [{"text": text, "thought": True}] if show else []
        block.hold(text)
        self._held += len(text)
        if self._held > ARGUMENTS_MAX:
            raise ProviderFault(
                "garbage", f"unfinished parts of the reply exceed {ARGUMENTS_MAX} characters", sent=True
            )
        return []

    def _close(self, choice: int, block: _Block) -> list[dict[str, Any]]:
        opened = block.opened
        if opened.kind == "tool":
            text = block.text()
            self._held -= len(text)
            call = {"name": opened.name, "args": arguments_object(text)}
            if opened.id:
                call = {"id": ids.safe(opened.id), **call}
            return self._proven(choice, {"functionCall": call})
        if opened.kind == "media":
            data = block.text()
            self._held -= len(data)
            mime = opened.name if "/" in opened.name else usual(opened.name or "image")
            if data:
                return self._proven(choice, {"inlineData": {"mimeType": mime, "data": data}})
            if opened.url:
                return self._proven(choice, {"fileData": {"mimeType": mime, "fileUri": opened.url}})
        return []

    def _sign(self, event: Signed) -> None:
        block = self._blocks.get((event.choice, event.block))
        if not self._view.origin or not event.signature:
            return
        redacted = block is not None and block.opened.redacted
        text = block.text() if block is not None and block.size <= THOUGHT_MAX else None
        proof = seal(self._view.origin, event.signature, text=text, redacted=redacted)
        self._proofs.setdefault(event.choice, []).append(proof)

    def _proven(self, choice: int, part: dict[str, Any]) -> list[dict[str, Any]]:
        """The part with the signature that waits for it; each further one needs a part of its own."""
        proofs = self._proofs.pop(choice, None)
        if not proofs:
            return [part]
        part["thoughtSignature"] = proofs.pop()
        return [*({"text": "", "thoughtSignature": proof} for proof in proofs), part]


class _Block:
    __slots__ = ("_pieces", "opened", "plain", "size")

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.plain = opened.kind in ("text", "refusal")
        self.size = 0
        self._pieces: list[str] = []

    def hold(self, text: str) -> None:
        self.size += len(text)
        self._pieces.append(text)

    def text(self) -> str:
        return "".join(self._pieces)
