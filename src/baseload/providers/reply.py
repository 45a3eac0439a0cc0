"""Reads what a failed reply says, in any of the shapes that vendors use. Bytes in, `Said` out; never raises.

Shapes (vendors.md 3): {"error": {...}} or {"error": "text"}; flat {"code", "message"}; {"object": "error", ...};
{"base_resp": {"status_code", "status_msg"}}; {"Response": {"Error": {"Code", "Message"}}}; {"error_code", "error_msg"};
{"detail": ...}; {"errors": [...]}; a one-element array around one of them; a bare JSON string; one SSE frame of any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

BODY_MAX = 2**20  # an error that is longer is no error message; it is judged by its status
TEXT_MAX = 4000


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the body says. Empty fields where it does not."""

    code: str = ""
    type: str = ""
    message: str = ""
    param: str = ""
    retry_delay: str = ""  # Gemini's RetryInfo, "37s"
    finish: tuple[str, ...] = ()  # finish reasons, where it is a reply after all
    is_json: bool = False
    is_error: bool = False  # the body itself says that it failed


def read_error(body: bytes) -> Said:
    """The error in a body. Not JSON: an empty `Said`, since a proxy's HTML page tells nothing a person needs."""
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
    choice = _first(data.get("choices"))
    error = data.get("error")
    if error is None and isinstance(choice, Mapping):
        error = choice.get("error")  # OpenRouter, after generation has begun
    if error is None:
        error = _first(data.get("errors"))
    if error is None and isinstance(data.get("Response"), Mapping):
        error = data["Response"].get("Error")
    finish = _finish(data)
    if error:
        return _from_error(error, data, finish)
    base = data.get("base_resp")
    if isinstance(base, Mapping) and base.get("status_code") not in (0, "0", None):
        return Said(
            code=_line(base.get("status_code")),
            message=_line(base.get("status_msg")),
            finish=finish,
            is_json=True,
            is_error=True,
        )
    if data.get("error_code"):
        return Said(code=_line(data["error_code"]), message=_line(data.get("error_msg")), is_json=True, is_error=True)
    if "detail" in data and "choices" not in data:
        return Said(message=_detail(data["detail"]), is_json=True, is_error=True)
    if "choices" not in data and "message" in data and ("code" in data or data.get("object") == "error"):
        return _from_error(data, data, finish)
    return Said(finish=finish, is_json=True)


def _from_error(error: Any, data: Mapping[str, Any], finish: tuple[str, ...]) -> Said:
    if not isinstance(error, Mapping):
        return Said(code=_line(data.get("code")), message=_line(error), finish=finish, is_json=True, is_error=True)
    error = {key.lower(): value for key, value in error.items()}  # Tencent's native door says Code and Message
    details = error.get("details")
    code, message = _line(error.get("code")), _line(error.get("message"))
    word = _line(error.get("type")) or _line(error.get("status"))
    if isinstance(details, Mapping) and details.get("error_code"):
        code = _line(details["error_code"])  # Anthropic: more exact than its type
    metadata = error.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("raw"), str):  # OpenRouter quotes its upstream
        message = f"{message}: {_line(metadata['raw'])}"
    return Said(
        code=code,
        type=word,
        message=message,
        param=_line(error.get("param")),
        retry_delay=_retry_delay(details),
        finish=finish,
        is_json=True,
        is_error=True,
    )


def _finish(data: Mapping[str, Any]) -> tuple[str, ...]:
    choices = data.get("choices")
    if not isinstance(choices, list):
        return ()
    reasons = (choice.get("finish_reason") for choice in choices if isinstance(choice, Mapping))
    return tuple(reason for reason in reasons if isinstance(reason, str))


def _retry_delay(details: Any) -> str:
    if not isinstance(details, list):
        return ""
    delays = (item.get("retryDelay") for item in details if isinstance(item, Mapping))
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


def _line(value: Any) -> str:
    """Text or number -> one line of bounded length; anything else says nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return " ".join(text[: 2 * TEXT_MAX].split())[:TEXT_MAX]
