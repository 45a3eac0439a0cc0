"""A provider's chat stream, in every vendor's variant -> canonical events (protocols.md 2.3, 11; vendors.md 2).

In:     bytes cut anywhere, then `close()`. Out: events in the order that `canon/events.py` promises.
Holds:  one unfinished frame, a few usage reports, signatures until their block closes, arguments of calls that have no
        name yet (together at most HELD_MAX characters). Never the reply.

- The finish is held until the stream ends or the usage chunk comes: vendors send text, or a further finish, after it.
- Tool calls stay open until their choice ends, because fragments of several indices may alternate.
- A stream that ends without [DONE] has ended if every choice has its finish reason; else it was cut, and there is no
  `Ended`. After an error frame there is none either: the meter has the error. A frame that is no JSON raises "garbage".
- `obfuscation`, `moderation`, filter results and images are left behind (pitfall 25).
"""

from __future__ import annotations

from msgspec import Raw

from baseload.errors import ProviderFault
from baseload.wire.canon import ids
from baseload.wire.canon.carry import Target
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
from baseload.wire.chat import loose, pieces
from baseload.wire.chat.pieces import Call, Choice, Detail, Piece
from baseload.wire.chat.reasoning import ENCRYPTED, SUMMARY, pack
from baseload.wire.chat.reply_in import stop_sequence
from baseload.wire.chat.shapes import is_error, timings_report
from baseload.wire.chat.words import finish_of
from baseload.wire.raw import ABSENT, NULL
from baseload.wire.sse import FRAME_MAX, FrameCutter, data_of
from baseload.wire.usage import normalise

CHOICES_MAX = 1024
TOOLS_MAX = 1024
HELD_MAX = FRAME_MAX
_BRACE = 0x7B
_LF, _CR = 10, 13


class _Tool:
    __slots__ = ("block", "held", "id", "name")

    def __init__(self) -> None:
        self.block = -1  # not opened: its name has not come yet
        self.id = ""
        self.name = ""
        self.held = ""


class _Choice:
    __slots__ = (
        "block",
        "detail",
        "done",
        "halves",
        "kind",
        "last",
        "live",
        "native",
        "signature",
        "stopped",
        "tools",
        "used",
    )

    def __init__(self) -> None:
        self.block = 0  # number of the next block
        self.kind = ""  # of the open block that is no tool call; "" = none is open
        self.live = -1  # its number
        self.detail: Detail | None = None  # of an open thinking block: what stands beside its text
        self.signature: list[str] = []
        self.tools: dict[int, _Tool] = {}
        self.last: _Tool | None = None
        self.used = False  # a delta said something
        self.native = ""  # the finish reason
        self.stopped = ""  # the stop sequence that matched
        self.done = False  # `Finished` went out
        self.halves: dict[int, str] = {}  # block -> half of a surrogate pair that waits for its other half


class StreamIn:
    """See the module. One object a stream."""

    def __init__(self, target: Target) -> None:
        self._dialect = target.dialect
        self._cutter = FrameCutter()
        self._pending = self._cutter.pending
        self._choices: dict[int, _Choice] = {}
        self._reports: list[bytes] = []  # the first and the last three
        self._timings = b""
        self._tier = ""
        self._held = 0
        self._rough = False
        self._started = False
        self._ended = False  # normally, or by an error

    def feed(self, frames: bytes) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        if frames[-2:] == b"\n\n" and frames[:6] == b"data: " and not self._pending:
            data = frames[6:-2]
            if _LF not in data and _CR not in data:  # one whole frame of one line: nearly every piece
                self._data(data, out)
                return out
        for frame in self._cutter.feed(frames):
            self._data(data_of(frame), out)
        return out

    def close(self) -> list[AnyEvent]:
        """The end of the body. Without `Ended` before or now, the stream was cut."""
        out: list[AnyEvent] = []
        rest = self._cutter.close()
        if rest.strip():
            try:
                self._data(data_of(rest), out)
            except ProviderFault:
                return out  # half a frame: the connection was lost within it
        if not self._ended and self._choices and all(choice.native for choice in self._choices.values()):
            self._end(out)
        return out

    def _data(self, data: bytes | None, out: list[AnyEvent]) -> None:
        if self._ended:
            return
        if not data or data[:1] != b"{":
            data = data.strip() if data else b""
            if not data:
                if not (out and isinstance(out[-1], Beat)):
                    out.append(Beat())
                return
            if data == b"[DONE]":
                self._end(out)
                return
        chunk = pieces.read(data)
        self._rough = chunk.rough
        if chunk.error is not ABSENT and is_error(chunk.error):
            self._ended = True
            return
        choices = chunk.choices
        if choices and len(choices) == 1 and len(chunk.usage) <= 4:  # no report: absent, or null
            delta = self._more_text(choices[0])
            if delta is not None:
                out.append(delta)
                return
        if not self._started and (choices or chunk.id):  # Azure's first chunk has neither
            self._started = True
            out.append(Started(id=chunk.id or "", model=chunk.model or ""))
        if chunk.service_tier:
            self._tier = chunk.service_tier
        counted = chunk.usage is not ABSENT and memoryview(chunk.usage)[0] == _BRACE
        if counted:
            self._report(bytes(chunk.usage))
        if chunk.timings is not ABSENT:
            self._timings = timings_report(bytes(chunk.usage), chunk.timings)
        if choices:
            for at, choice in enumerate(choices):
                self._choice(at if choice.index is None else choice.index, choice, out)
        elif counted:
            for number, state in self._choices.items():
                if state.native:
                    self._finish(number, state, out)

    def _more_text(self, found: Choice) -> Delta | None:
        """The event of a chunk that only goes on with an open text, as nearly every chunk does; else None."""
        state, piece = self._choices.get(found.index or 0), found.delta
        if (
            state is None
            or state.kind != "text"
            or state.halves
            or self._rough
            or piece is None
            or found.index is None
            or found.finish_reason
            or found.logprobs is not None
            or found.usage is not ABSENT
        ):
            return None
        text = piece.content
        if (
            not text
            or piece.reasoning_content
            or piece.reasoning
            or piece.reasoning_details
            or piece.refusal
            or piece.tool_calls
            or piece.function_call is not None
            or piece.annotations
        ):
            return None
        return Delta(choice=found.index, block=state.live, text=text)

    def _choice(self, number: int, found: Choice, out: list[AnyEvent]) -> None:
        state = self._choices.get(number)
        if state is None:
            if not 0 <= number < CHOICES_MAX:
                raise _garbage(f"it has a choice number {number}")
            state = self._choices[number] = _Choice()
        if state.done:
            return
        piece = found.delta
        if piece is None and not state.used:
            piece = found.message  # whole in one chunk; after deltas it only repeats them
        if piece is not None:
            self._piece(number, state, piece, found, out)
        if found.finish_reason:
            state.native = found.finish_reason
            state.stopped = stop_sequence(found)
        if found.usage is not ABSENT and memoryview(found.usage)[0] == _BRACE:  # Moonshot
            self._report(bytes(found.usage))

    def _piece(self, number: int, state: _Choice, piece: Piece, found: Choice, out: list[AnyEvent]) -> None:
        if piece.reasoning_content or piece.reasoning or piece.reasoning_details:
            self._think(number, state, piece, out)
        if piece.content or (found.logprobs is not None and len(found.logprobs.content) > 2):
            logprobs = ABSENT if found.logprobs is None else found.logprobs.content
            if piece.content or (logprobs not in (ABSENT, NULL) and state.kind == "text"):
                self._say(number, state, "text", piece.content or "", out, ABSENT if logprobs == NULL else logprobs)
        if piece.refusal:
            self._say(number, state, "refusal", piece.refusal, out)
        for raw in piece.annotations or ():
            if state.kind != "text":
                self._open(number, state, "text", out)
            out.append(Cited(choice=number, block=state.live, protocol="chat", raw=raw))
        if piece.tool_calls:
            for at, call in enumerate(piece.tool_calls):
                self._call(number, state, at, call, len(piece.tool_calls) > 1, out)
        if piece.function_call is not None and (piece.function_call.name or piece.function_call.arguments):
            self._call(number, state, 0, Call(index=0, function=piece.function_call), False, out)

    def _say(
        self, number: int, state: _Choice, kind: str, text: str, out: list[AnyEvent], logprobs: Raw = ABSENT
    ) -> None:
        if state.kind != kind:
            self._open(number, state, kind, out)
        self._delta(number, state, state.live, text, out, logprobs)

    def _open(self, number: int, state: _Choice, kind: str, out: list[AnyEvent], detail: Detail | None = None) -> None:
        self._shut(number, state, out)
        state.used = True
        state.kind, state.live, state.detail = kind, state.block, detail
        state.block += 1
        what = "" if detail is None else detail.type
        out.append(
            Opened(choice=number, block=state.live, kind=kind, redacted=what == ENCRYPTED, summary=what == SUMMARY)
        )

    def _shut(self, number: int, state: _Choice, out: list[AnyEvent]) -> None:
        """Closes the open block that is no tool call."""
        if not state.kind:
            return
        detail = state.detail
        if state.signature:
            signature = "".join(state.signature)
            self._hold(-len(signature))
            state.signature = []
            if detail is not None:
                signature = pack(signature, detail.id or "", detail.format or "")
            out.append(Signed(choice=number, block=state.live, signature=signature))
        self._close(number, state, state.live, out)
        state.kind, state.detail = "", None

    def _close(self, number: int, state: _Choice, block: int, out: list[AnyEvent]) -> None:
        if state.halves.pop(block, ""):
            out.append(Delta(choice=number, block=block, text="\ufffd"))
        out.append(Closed(choice=number, block=block))

    def _delta(
        self, number: int, state: _Choice, block: int, text: str, out: list[AnyEvent], logprobs: Raw = ABSENT
    ) -> None:
        half = state.halves.pop(block, "") if state.halves else ""
        if self._rough:
            text, half = loose.joined(half + text)
            if half:
                state.halves[block] = half
        elif half:
            text = "\ufffd" + text  # its other half would have been marked too
        if text or logprobs is not ABSENT:
            out.append(Delta(choice=number, block=block, text=text, logprobs=logprobs))

    def _think(self, number: int, state: _Choice, piece: Piece, out: list[AnyEvent]) -> None:
        """One text under two or three names: the details' where they agree with it or stand alone, else the plain."""
        plain = piece.reasoning_content or piece.reasoning or ""
        details = piece.reasoning_details or ()
        told = "".join([detail.text or detail.summary or "" for detail in details])
        by_detail = bool(told) and (not plain or plain == told)
        if plain and not by_detail:
            self._say(number, state, "thinking", plain, out)
        for detail in details:
            self._detail(number, state, detail, by_detail, out)

    def _detail(self, number: int, state: _Choice, found: Detail, with_text: bool, out: list[AnyEvent]) -> None:
        text = (found.text or found.summary or "") if with_text else ""
        signature = found.data or found.signature or ""
        if not text and not signature and not (state.kind == "thinking" and (found.id or found.format)):
            return
        now = state.detail
        if state.kind != "thinking":
            self._open(number, state, "thinking", out, found)
        elif now is None and found.type != ENCRYPTED:
            state.detail = found  # the text came plainly; this belongs to it
        elif now is None or now.type != found.type or now.index != found.index:
            self._open(number, state, "thinking", out, found)
        else:
            now.id, now.format = now.id or found.id, now.format or found.format
        if text:
            self._delta(number, state, state.live, text, out)
        if signature:
            self._hold(len(signature))
            state.signature.append(signature)

    def _call(self, number: int, state: _Choice, at: int, call: Call, several: bool, out: list[AnyEvent]) -> None:
        function, custom = call.function, call.custom
        if function is not None:
            name, text, free = function.name or "", function.arguments or "", False
        elif custom is not None:
            name, text, free = custom.name or "", custom.input or "", True
        else:
            name, text, free = "", "", False
        tool = self._tool(state, call, at, name, several)
        if not tool.id and call.id:
            tool.id = call.id
        if tool.block < 0:
            tool.name = tool.name or name
            if not tool.name:  # it comes later: some send the id first
                self._hold(len(text))
                tool.held += text
                return
            self._shut(number, state, out)
            self._begin(number, state, tool, free, out)
        if text:
            self._delta(number, state, tool.block, text, out)

    def _tool(self, state: _Choice, call: Call, at: int, name: str, several: bool) -> _Tool:
        """The call that a fragment belongs to (pitfall 5). With an index it is that one, unless a new id and a new name
        come with it (all of several whole calls under index 0). Without: a known id, a new id, the last one."""
        tools = state.tools
        if call.index is not None:
            found = tools.get(call.index)
            fresh = found is not None and found.block >= 0 and bool(name and call.id) and call.id != found.id
        else:
            found = next((tool for tool in tools.values() if tool.id == call.id), None) if call.id else state.last
            fresh = found is not None and not call.id and bool(name) and (several or found.name != name)
        if found is None or fresh:
            if len(tools) >= TOOLS_MAX:
                raise _garbage(f"it has more than {TOOLS_MAX} tool calls")
            key = call.index
            if key is None or fresh:
                # Its fragments come without an index, or under one that is taken: from now on that means this one.
                key = -1 - len(tools) if key is None else key
                if key in tools:
                    tools[-1 - len(tools)] = tools.pop(key)
            found = tools[key] = _Tool()
        state.last = found
        state.used = True
        return found

    def _begin(self, number: int, state: _Choice, tool: _Tool, free: bool, out: list[AnyEvent]) -> None:
        tool.block = state.block
        state.block += 1
        tool.id = tool.id or ids.invent()
        out.append(Opened(choice=number, block=tool.block, kind="tool", id=tool.id, name=tool.name, custom=free))
        if tool.held:
            self._hold(-len(tool.held))
            self._delta(number, state, tool.block, tool.held, out)
            tool.held = ""

    def _finish(self, number: int, state: _Choice, out: list[AnyEvent]) -> None:
        if state.done:
            return
        state.done = True
        self._shut(number, state, out)
        for tool in state.tools.values():
            if tool.block < 0 and (tool.id or tool.held):
                self._begin(number, state, tool, False, out)
        opened = sorted(tool.block for tool in state.tools.values() if tool.block >= 0)
        for block in opened:
            self._close(number, state, block, out)
        reason = finish_of(state.native, bool(opened))
        stopped = state.stopped if reason == "stop" else ""
        if stopped:
            reason = "stop_sequence"
        out.append(Finished(choice=number, reason=reason, stop_sequence=stopped, native=state.native))

    def _end(self, out: list[AnyEvent]) -> None:
        self._ended = True
        if not self._started:
            out.append(Started())
        for number, state in self._choices.items():
            self._finish(number, state, out)
        reports = [*self._reports, self._timings] if self._timings else self._reports
        if reports:
            meters = normalise("openai-chat", self._dialect, reports).meters
            if meters:
                out.append(Counted(meters=meters, tier=self._tier))
        out.append(Ended())

    def _report(self, raw: bytes) -> None:
        """Kept as the meter keeps them: later ones win, per field."""
        if not self._reports or raw != self._reports[-1]:
            self._reports.append(raw)
            if len(self._reports) > 4:
                del self._reports[1]

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > HELD_MAX:
            raise _garbage(f"more than {HELD_MAX} characters of it wait for their end")


def _garbage(say: str) -> ProviderFault:
    return ProviderFault("garbage", f"the reply cannot be read: {say}", sent=True)
