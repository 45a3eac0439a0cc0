"""Reads what a failed reply says, in any of the shapes that vendors use. Bytes in, `Said` out; never raises.

Shapes (vendors.md 3): {"error": {...}} or {"error": "text"}; Anthropic's {"type": "error", "error": {...}}; Google's
{"error": {"code", "status", "details": [...]}}; flat {"code", "message"}; AWS's {"message"} or {"__type", "message"};
{"object": "error", ...}; {"base_resp": {"status_code", "status_msg"}}; {"Response": {"Error": {"Code", "Message"}}};
{"error_code", "error_msg"}; {"detail": ...}; {"errors": [...]}; a one-element array around one of them; a bare JSON
string; one SSE frame of any. A stream's error value comes wrapped as {"error": value}, or flat as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

BODY_MAX = 2**20  # an error that is longer is no error message; it is judged by its status
TEXT_MAX = 4000
WORDS_MAX = 20  # detail words that are read of one error

# Anthropic's envelope has no place for a vendor's own code, and only it tells "no money" from "slow down" on a 429:
# doors in that dialect put it in brackets at the message's beginning or end (not confirmed from a page).
_EDGE_CODE = re.compile(r"^[\[(]([A-Za-z0-9_.]{3,64})[\])]|[\[(]([A-Za-z0-9_.]{3,64})[\])]$")

_REPLY_MEMBERS = ("choices", "candidates", "content", "output", "data")  # a body that has one is a reply after all


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the body says. Empty fields where it does not."""

    code: str = ""
    type: str = ""
    words: tuple[str, ...] = ()  # more exact words of the details: reasons, quota ids, an inner error's code
    message: str = ""
    param: str = ""
    retry_delay: str = ""  # Gemini's RetryInfo, "37s"
    finish: tuple[str, ...] = ()  # finish reasons, where it is a reply after all
    is_json: bool = False
    is_error: bool = False  # the body itself says that it failed


def read_error(body: bytes, header: str = "") -> Said:
    """The error in a body. Not JSON: an empty `Said`, since a proxy's HTML page tells nothing a person needs.

    `header` is the value of the header in which the vendor names the failure (`Vendor.error_headers`), "" = none.
    """
    said = _read(body)
    word = _aws_word(header)
    if not word:
        return said
    if said.type:
        return msgspec.structs.replace(said, words=(word, *said.words))
    return msgspec.structs.replace(said, type=word)


def _read(body: bytes) -> Said:
    try:
        data = _decode(body)
    except (ValueError, RecursionError):  # msgspec.DecodeError and UnicodeDecodeError are ValueErrors
        return Said()
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, str):
        return Said(message=_line(data), is_json=True, is_error=True)
    if not isinstance(data, Mapping):
        return Said(is_json=True)
    return _from_object(data)


def _decode(body: bytes) -> Any:
    if len(body) > BODY_MAX:
        raise ValueError("too long to be an error")
    body = body.strip()
    if body.startswith((b"data:", b"event:", b"id:", b":")):  # a stream that begins with its failure
        frames = [line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")]
        body = frames[0] if frames else b""
    return msgspec.json.decode(body)


def _from_object(data: Mapping[str, Any]) -> Said:
    finish = tuple(_finish(data))
    error = _error_of(data)
    if error:
        return _from_error(error, data, finish)
    base = data.get("base_resp")
    if isinstance(base, Mapping) and base.get("status_code") not in (0, "0", None):
        code, message = _line(base.get("status_code")), _line(base.get("status_msg"))
        return Said(code=code, message=message, finish=finish, is_json=True, is_error=True)
    if data.get("error_code"):
        return Said(code=_line(data["error_code"]), message=_line(data.get("error_msg")), is_json=True, is_error=True)
    if "detail" in data and "choices" not in data:
        return Said(message=_detail(data["detail"]), is_json=True, is_error=True)
    if _is_flat(data):
        return _from_error(data, data, finish)
    return Said(finish=finish, is_json=True)


def _error_of(data: Mapping[str, Any]) -> Any:
    """The value that tells the failure, where it has a member of its own."""
    error = data.get("error")
    choice = _first(data.get("choices"))
    if error is None and isinstance(choice, Mapping):
        error = choice.get("error")  # OpenRouter, after generation has begun
    if error is None:
        error = _first(data.get("errors"))
    if error is None:
        for member, inner in (("Response", "Error"), ("response", "error")):  # Tencent; a response.failed event
            holder = data.get(member)
            if error is None and isinstance(holder, Mapping):
                error = holder.get(inner)
    return error


def _is_flat(data: Mapping[str, Any]) -> bool:
    """Is the object itself the error? Native DashScope, SiliconFlow, SGLang, AWS, an `error` event of Responses.

    A good reply of DashScope's native door may have an empty `code` and `message` beside its output.
    """
    if any(data.get(member) is not None for member in _REPLY_MEMBERS):
        return bool(data.get("code")) and isinstance(data.get("message"), str) and "choices" not in data
    if "__type" in data or data.get("object") == "error" or data.get("type") == "error":
        return True
    message = data.get("message", data.get("Message"))
    return isinstance(message, str) and bool(message or data.get("code"))


def _from_error(error: Any, data: Mapping[str, Any], finish: tuple[str, ...]) -> Said:
    if not isinstance(error, Mapping):
        return Said(code=_line(data.get("code")), message=_line(error), finish=finish, is_json=True, is_error=True)
    error = {key.lower(): value for key, value in error.items()}  # Tencent and AWS: Code and Message
    details = error.get("details")
    code, message = _line(error.get("code")), _line(error.get("message"))
    word = _line(error.get("type")) or _line(error.get("status")) or _aws_word(_line(error.get("__type")))
    if word == "error":  # of an `error` event: says nothing
        word = ""
    if isinstance(details, Mapping) and details.get("error_code"):
        code = _line(details["error_code"])  # Anthropic: more exact than its type
    metadata = error.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("raw"), str):  # OpenRouter quotes its upstream
        message = f"{message}: {_line(metadata['raw'])}"
    words = [found for found in _words(error) if found]
    if not code and word.endswith("_error"):
        words += [begin or end for begin, end in _EDGE_CODE.findall(message)]
    return Said(
        code=code,
        type=word,
        words=tuple(words[:WORDS_MAX]),
        message=message,
        param=_line(error.get("param")),
        retry_delay=_retry_delay(details),
        finish=finish,
        is_json=True,
        is_error=True,
    )


def _words(error: Mapping[str, Any]) -> Iterator[str]:
    inner = error.get("innererror")  # Azure
    if isinstance(inner, Mapping):
        yield _line(inner.get("code"))
    status = error.get("status")
    if isinstance(status, str):
        yield _line(status)
    for item in _mappings(error.get("details")):  # Google: ErrorInfo and QuotaFailure
        yield _line(item.get("reason"))
        for violation in _mappings(item.get("violations")):
            yield _line(violation.get("quotaId"))


def _aws_word(text: str) -> str:
    """`ThrottlingException` of "ThrottlingException:http://...", "com.aws#ThrottlingException", "throttlingException".

    A stream names the exception in camel case, the header and the rest in Pascal case.
    """
    word = text.split(",")[0].split(":")[0].rpartition("#")[2].strip()[:200]
    return word[:1].upper() + word[1:]


def _finish(data: Mapping[str, Any]) -> Iterator[str]:
    """Why it ended, in any protocol's words."""
    for choice in _mappings(data.get("choices")):
        yield from _texts(choice.get("finish_reason"))
    for candidate in _mappings(data.get("candidates")):
        yield from _texts(candidate.get("finishReason"))
    feedback = data.get("promptFeedback")
    if isinstance(feedback, Mapping) and feedback.get("blockReason"):
        yield "SAFETY"  # a blocked prompt, whatever word says why (OTHER is one)
    yield from _texts(data.get("stop_reason"))
    yield from _texts(data.get("stopReason"))
    incomplete = data.get("incomplete_details")
    if isinstance(incomplete, Mapping):
        yield from _texts(incomplete.get("reason"))
    output = data.get("output")
    if isinstance(output, Mapping):  # DashScope's native door
        yield from _texts(output.get("finish_reason"))
        for choice in _mappings(output.get("choices")):
            yield from _texts(choice.get("finish_reason"))


def _retry_delay(details: Any) -> str:
    delays = (item.get("retryDelay") for item in _mappings(details))
    return next((delay for delay in delays if isinstance(delay, str)), "")


def _detail(detail: Any) -> str:
    """FastAPI's `detail`: text, or a list of {"loc", "msg"}."""
    first = _first(detail)
    if isinstance(first, Mapping):
        where = first.get("loc")
        place = ".".join(str(part) for part in where) if isinstance(where, list) else ""
        return _line(f"{place}: {first.get('msg')}" if place else first.get("msg"))
    return _line(detail)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value


def _line(value: Any) -> str:
    """Text or number -> one line of bounded length; anything else says nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return " ".join(text[: 2 * TEXT_MAX].split())[:TEXT_MAX]
