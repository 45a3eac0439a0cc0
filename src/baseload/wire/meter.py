"""Reads a chat or completions reply stream along for the meter, and hides the usage frame nobody asked for.

In:     body bytes in pieces cut anywhere, then `close()`. Out: the bytes to forward now, and the facts as attributes.
Without `strip` a piece goes on as it is, at once. With `strip` frames go on the moment they are whole; the frame that
holds only the usage is left out (recognised by its own content, so nothing waits for the frame after it), and so are
top-level `"usage":null` members. Every other byte stays.
Holds:  one unfinished frame, four usage reports at most, one error. Never the reply.

A null usage member stays where it cannot be cut out with certainty: in data over several `data:` lines, or before more
than eight nested members of that name. Clients ignore a null.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from baseload.wire.body import half_surrogates_masked
from baseload.wire.sse import FRAME_MAX, FrameCutter, data_of

ERROR_MAX = 64 * 1024
"""Bytes kept of an error inside a stream."""

_ABSENT = Raw(b"")
_CANDIDATES_MAX = 8
_SPACE = b" \t\r\n"


class _Call(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Tool(msgspec.Struct, gc=False):
    function: _Call | None = None
    custom: Raw = _ABSENT


class _Detail(msgspec.Struct, gc=False):
    text: str | None = None


class _Audio(msgspec.Struct, gc=False):
    data: Raw = _ABSENT
    transcript: str | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Tool] | None = None
    function_call: _Call | None = None
    reasoning_details: list[_Detail] | None = None
    audio: _Audio | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    usage: Raw = _ABSENT


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: Raw = _ABSENT
    model: str | None = None
    service_tier: str | None = None
    error: Raw = _ABSENT
    timings: Raw = _ABSENT
    base_resp: Raw = _ABSENT
    code: Raw = _ABSENT
    message: Raw = _ABSENT


class _LooseChoice(msgspec.Struct, gc=False):
    delta: Raw = _ABSENT
    text: Raw = _ABSENT
    finish_reason: Raw = _ABSENT
    usage: Raw = _ABSENT


class _LooseChunk(msgspec.Struct, gc=False):
    """The same members, their types not trusted: for a frame in which one has a shape nobody wrote down."""

    choices: Raw = _ABSENT
    usage: Raw = _ABSENT
    model: Raw = _ABSENT
    service_tier: Raw = _ABSENT
    error: Raw = _ABSENT
    timings: Raw = _ABSENT
    base_resp: Raw = _ABSENT
    code: Raw = _ABSENT
    message: Raw = _ABSENT


class _BaseResp(msgspec.Struct, gc=False):
    status_code: int = 0


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_loose = msgspec.json.Decoder(_LooseChunk).decode
_decode_choices = msgspec.json.Decoder(list[_LooseChoice]).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_base_resp = msgspec.json.Decoder(_BaseResp).decode
_is_object = msgspec.json.Decoder(dict[str, Raw]).decode
_FAILED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_KEEP, _DROP, _NULL_USAGE = 0, 1, 2


def is_error(raw: Raw) -> bool:
    """Whether the value of a top-level `error` member is one: official clients raise on whatever is truthy."""
    return raw is not _ABSENT and bytes(raw) not in (b"", b"null", b"false", b'""', b"{}", b"[]", b"0")


def is_failed_base_resp(raw: Raw) -> bool:
    """MiniMax: `base_resp.status_code` other than 0, whatever the HTTP status says."""
    try:
        return _decode_base_resp(raw).status_code != 0
    except _FAILED:
        return False


class StreamMeter:
    """See the module. `feed` pieces, `close` at the end of the body; then read the attributes."""

    __slots__ = (
        "_cutter",
        "_first",
        "_latest",
        "_timings",
        "done",
        "error",
        "finish",
        "finished",
        "first_token",
        "frames",
        "malformed",
        "strip",
        "text_bytes",
        "tier",
        "upstream_model",
        "usage",
    )

    def __init__(self, strip: bool = False, cap: int = FRAME_MAX) -> None:
        self._cutter = FrameCutter(cap)
        self._first = b""
        self._latest: list[bytes] = []  # the last three reports
        self._timings = b""
        self.strip = strip
        self.usage = b""  # the last report, byte for byte; b"" = none came
        self.done = False  # [DONE] came
        self.finished = False  # a finish reason came
        self.finish = (
            ""  # the last finish reason; some name a failure (insufficient_system_resource, network_error, error)
        )
        self.error = b""  # the error of a frame inside this 200 stream, as raw JSON
        self.frames = 0  # frames that carried generated text
        self.text_bytes = 0  # UTF-8 bytes of that text
        self.first_token = False  # generated text has come: comments, pings, role chunks and blank lines are none
        self.upstream_model = ""
        self.tier = ""
        self.malformed = 0  # frames with data that is no JSON object

    @property
    def usages(self) -> list[bytes]:
        """Reports for `usage.normalise`, oldest first: the first, the last three, llama.cpp's timings. Later wins."""
        reports = [self._first] if self._first else []
        reports += self._latest
        if self._timings:
            reports.append(b'{"timings":' + self._timings + b"}")
        return reports

    def feed(self, piece: bytes) -> bytes:
        """What to forward now. Raises `ProviderFault("garbage")` when a frame exceeds the cap."""
        frames = self._cutter.feed(piece)
        if not self.strip:
            for frame in frames:
                self._read(frame)
            return piece
        if len(frames) == 1:
            return self._stripped(frames[0])
        return b"".join([self._stripped(frame) for frame in frames])

    def close(self) -> bytes:
        """The end of the body: the unfinished rest, to forward. A last frame without its blank line still counts."""
        rest = self._cutter.close()
        if not rest:
            return b""
        if self.strip:
            return self._stripped(rest)
        self._read(rest)
        return b""

    def _stripped(self, frame: bytes) -> bytes:
        verdict = self._read(frame)
        if verdict == _KEEP:
            return frame
        return b"" if verdict == _DROP else without_null_usage(frame)

    def _read(self, frame: bytes) -> int:
        """Takes the facts of one frame; says what `strip` does with it."""
        if not frame.startswith(b"data:"):
            payload = data_of(frame)
            if payload is None:
                return _KEEP
        else:
            payload = frame[5:]  # JSON allows the space before and the line ends after
        try:
            chunk = _decode(payload)
        except _FAILED:
            return self._read_slowly(frame)
        choices = chunk.choices
        if choices:
            fresh, size = False, 0
            for choice in choices:
                delta = choice.delta
                if delta is not None:
                    text = delta.content
                    if text:
                        fresh = True
                        size += len(text) if text.isascii() else len(text.encode())
                    if (
                        delta.reasoning_content
                        or delta.reasoning
                        or delta.tool_calls
                        or delta.refusal
                        or delta.reasoning_details
                        or delta.function_call
                        or delta.audio
                    ):
                        more = _other_text(delta)
                        if more >= 0:
                            fresh = True
                            size += more
                elif choice.text:
                    fresh = True
                    size += len(choice.text.encode())
                if choice.finish_reason:
                    self.finished, self.finish = True, choice.finish_reason
                if choice.usage is not _ABSENT:
                    self._report(choice.usage)
            if fresh:
                self.frames += 1
                self.text_bytes += size
                self.first_token = True
        if chunk.model and not self.upstream_model:
            self.upstream_model = chunk.model
        if chunk.service_tier:
            self.tier = chunk.service_tier
        if (
            chunk.error is not _ABSENT
            or chunk.message is not _ABSENT
            or chunk.base_resp is not _ABSENT
            or chunk.timings is not _ABSENT
        ):
            self._read_rare(chunk, payload, not choices)
        if chunk.usage is _ABSENT:
            return _KEEP
        if self._report(chunk.usage):
            return _KEEP if choices or self.error else _DROP
        return _NULL_USAGE

    def _report(self, usage: Raw) -> bool:
        raw = bytes(usage)
        if not raw.startswith(b"{"):
            return False
        if raw == self.usage:
            return True
        self.usage = raw
        if not self._first:
            self._first = raw
        else:
            self._latest.append(raw)
            del self._latest[:-3]
        return True

    def _read_rare(self, chunk: _Chunk | _LooseChunk, payload: bytes, no_choices: bool) -> None:
        if is_error(chunk.error):
            self._fail(bytes(chunk.error))
        elif chunk.base_resp is not _ABSENT and is_failed_base_resp(chunk.base_resp):
            self._fail(bytes(chunk.base_resp))
        elif no_choices and is_flat_error(chunk.code, chunk.message):
            self._fail(payload.strip())
        if chunk.timings is not _ABSENT:
            timings = bytes(chunk.timings)
            if timings.startswith(b"{"):
                self._timings = timings

    def _fail(self, error: bytes) -> None:
        if not self.error:  # the first is the cause
            self.error = error[:ERROR_MAX]

    def _read_slowly(self, frame: bytes) -> int:
        """The same for what the quick way does not take: more than one line, half surrogates, surprising types."""
        payload = data_of(frame)
        if payload is None or not payload.strip():
            return _KEEP
        if payload.strip() == b"[DONE]":
            self.done = True
            return _KEEP
        try:
            return self._read_loose(half_surrogates_masked(payload))
        except _FAILED:
            self.malformed += 1
            return _KEEP

    def _read_loose(self, payload: bytes) -> int:
        try:
            _decode(payload)
        except msgspec.ValidationError:
            pass
        else:  # well-formed once joined or masked: take the facts the usual way
            return self._read(b"data:" + payload)
        chunk = _decode_loose(payload)
        try:
            choices = _decode_choices(chunk.choices)
        except _FAILED:
            choices = []
        size = 0
        for choice in choices:
            # Text of a shape nobody wrote down (parts, say): the delta's own length is near enough for a count.
            size += len(choice.delta) if len(choice.delta) > 2 else 0
            size += max(0, len(choice.text) - 2)
            reason = _text_or_empty(choice.finish_reason)
            if reason:
                self.finished, self.finish = True, reason
            if choice.usage is not _ABSENT:
                self._report(choice.usage)
        if size:
            self.frames += 1
            self.text_bytes += size
            self.first_token = True
        self.upstream_model = self.upstream_model or _text_or_empty(chunk.model)
        self.tier = _text_or_empty(chunk.service_tier) or self.tier
        self._read_rare(chunk, payload, not choices)
        if chunk.usage is _ABSENT:
            return _KEEP
        if self._report(chunk.usage):
            return _KEEP if choices or self.error else _DROP
        return _NULL_USAGE


def is_flat_error(code: Raw, message: Raw) -> bool:
    """`code` and `message` at top level, no choices: DashScope, SiliconFlow, SGLang. Null, 0 and "" are no code."""
    return (
        code is not _ABSENT
        and message is not _ABSENT
        and bytes(code) not in (b"null", b"0", b'""', b'"0"', b"200", b'"200"')
        and bytes(message) not in (b"null", b'""')
    )


def without_null_usage(frame: bytes) -> bytes:
    """The frame without its top-level `"usage":null` member; unchanged where it cannot be found with certainty.

    A member's name is found as `"usage"`: inside a string its quotes would be escaped. It is at the top level exactly
    if what stands before it, closed with one brace, is an object.
    """
    if frame.endswith(b',"usage":null}\n\n'):  # the last brace closes the outermost object
        return frame[:-16] + b"}\n\n"
    if frame.startswith(b"data:"):
        begin = 5
    else:
        begin = frame.find(b"\ndata:") + 6
        if begin == 5:
            return frame
    at = len(frame)
    for _ in range(_CANDIDATES_MAX):
        at = frame.rfind(b'"usage"', begin, at)
        if at < 0:
            break
        tail = frame[at + 7 : at + 39].lstrip(_SPACE)
        if not tail.startswith(b":") or not tail[1:].lstrip(_SPACE).startswith(b"null"):
            continue
        head = frame[begin:at].rstrip(_SPACE)
        end = frame.index(b"null", at + 7) + 4
        if head.endswith(b","):
            try:
                _is_object(head[:-1] + b"}")
            except _FAILED:
                continue
            return frame[: begin + len(head) - 1] + frame[end:]
        if head.strip(_SPACE) == b"{":
            rest = frame[end:]
            after = rest.lstrip(_SPACE)
            if after.startswith(b","):
                rest = after[1:].lstrip(_SPACE)
            return frame[:at] + rest
    return frame


def _other_text(delta: _Delta) -> int:
    """UTF-8 bytes of all generated text but `content`; -1 = none (an empty list or string is none)."""
    size, found = 0, False
    reasoning = delta.reasoning_content or delta.reasoning  # two names of one text where a vendor sends both
    if not reasoning and delta.reasoning_details:
        reasoning = "".join(detail.text or "" for detail in delta.reasoning_details)
    if reasoning:
        found = True
        size += len(reasoning.encode())
    if delta.refusal:
        found = True
        size += len(delta.refusal.encode())
    for call in [tool.function for tool in delta.tool_calls or ()] + [delta.function_call]:
        if call is not None and (call.name or call.arguments):
            found = True
            size += len((call.name or "").encode()) + len((call.arguments or "").encode())
    for tool in delta.tool_calls or ():
        if len(tool.custom) > 2:
            found = True
            size += len(tool.custom)
    audio = delta.audio
    if audio is not None and (audio.transcript or len(audio.data) > 2):
        found = True
        size += len((audio.transcript or "").encode())
    return size if found else -1


def _text_or_empty(raw: Raw) -> str:
    try:
        return _decode_str(raw)
    except _FAILED:
        return ""
