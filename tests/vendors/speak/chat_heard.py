"""How chat, completions and embeddings requests are heard, and what a dialect refuses."""

from __future__ import annotations

from typing import Any, NoReturn

from tests.vendors.failures_shapes import openai
from tests.vendors.heard import Heard, Media, Tool, as_bytes, by_data_url, words_of
from tests.vendors.visit import Refused, Visit


def hear(body: dict[str, Any]) -> Heard:
    heard = Heard(str(body.get("model", "")))
    for message in body.get("messages", ()):
        role = message.get("role", "user")
        heard.turn(role)
        if role == "tool":
            _parts(heard, role, message.get("content"), as_result=True)
            continue
        _parts(heard, role, message.get("content"))
        heard.calls += len(message.get("tool_calls") or ())
    heard.tools = [
        Tool(tool["function"]["name"], tool["function"].get("parameters") or {})
        for tool in body.get("tools") or ()
        if tool.get("type", "function") == "function"
    ]
    heard.choice = _choice(body.get("tool_choice"))
    heard.parallel = body.get("parallel_tool_calls") is not False
    form = body.get("response_format") or {}
    heard.json_only = form.get("type") == "json_object"
    if form.get("type") == "json_schema":
        heard.schema = form["json_schema"].get("schema") or {}
    heard.think = _thinks(body)
    heard.stop = words_of(body.get("stop"))
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    heard.limit = limit if isinstance(limit, int) else None
    heard.n = body.get("n") or 1
    heard.logprobs = body.get("logprobs") is True
    return heard


def hear_prompt(body: dict[str, Any]) -> Heard:
    """Of /completions."""
    heard = Heard(str(body.get("model", "")))
    prompt = body.get("prompt", "")
    for text in [prompt] if isinstance(prompt, str) else prompt:
        heard.last = []
        heard.say(str(text))
    heard.stop = words_of(body.get("stop"))
    heard.limit = body.get("max_tokens")
    heard.n = body.get("n") or 1
    return heard


def hear_inputs(body: dict[str, Any]) -> Heard:
    """Of /embeddings."""
    heard = Heard(str(body.get("model", "")))
    for text in inputs(body):
        heard.say(text)
    heard.limit = 0
    return heard


def inputs(body: dict[str, Any]) -> list[str]:
    """What an embeddings request asks for, as texts (token ids become words)."""
    given = body.get("input", "")
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [item if isinstance(item, str) else " ".join(map(str, item)) for item in given]


def _parts(heard: Heard, role: str, content: Any, as_result: bool = False) -> None:
    if isinstance(content, str) or content is None:
        if as_result:
            heard.result(content or "")
        elif content is not None:
            heard.say(content, role)
        return
    texts = []
    for part in content:
        if "cache_control" in part:
            heard.marks.append(part["cache_control"].get("ttl", "5m"))
        if part.get("prompt_cache_breakpoint"):
            heard.marks.append("30m")
        match part.get("type"):
            case "image_url":
                heard.see(_image(part["image_url"]))
            case "input_audio":
                heard.see(
                    Media("audio", f"audio/{part['input_audio']['format']}", as_bytes(part["input_audio"]["data"]))
                )
            case "file":
                heard.see(by_data_url("document", part["file"].get("file_data") or part["file"].get("file_id", "")))
            case "refusal":
                texts.append(part["refusal"])
            case _:
                texts.append(part.get("text", ""))
    text = " ".join(texts)
    if as_result:
        heard.result(text)
    else:
        heard.say(text, role)


def _image(given: Any) -> Media:
    url = given if isinstance(given, str) else given.get("url", "")
    if not url.startswith(("data:", "http")) and as_bytes(url) >= 0:  # raw base64, as Zhipu wants it
        return Media("image", "image/unnamed", as_bytes(url))
    return by_data_url("image", url)


def _choice(given: Any) -> str:
    if isinstance(given, dict):
        function = given.get("function") or {}
        return f"={function['name']}" if "name" in function else (given.get("allowed_tools") or {}).get("mode", "auto")
    return given or "auto"


def _thinks(body: dict[str, Any]) -> bool:
    """The vendors' switches: effort, toggle, budget."""
    kind = (body.get("thinking") or {}).get("type")
    template = body.get("chat_template_kwargs") or {}
    reasoning = body.get("reasoning") or {}
    if kind == "disabled" or body.get("enable_thinking") is False or template.get("enable_thinking") is False:
        return False
    effort = body.get("reasoning_effort") or reasoning.get("effort")
    return bool(
        kind
        or body.get("enable_thinking")
        or template.get("enable_thinking")
        or reasoning.get("enabled")
        or effort not in (None, "none")
    )


# --- what is refused

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def check(visit: Visit) -> None:
    """Raises Refused where the dialect does not take the body."""
    body, dialect = visit.body, visit.dialect
    if not body.get("model") and not visit.found.get("model"):
        _refuse("you must provide a model parameter")
    if not body.get("messages"):
        _refuse("Missing required parameter: 'messages'.", "missing_required_parameter")
    if dialect.choices_max and (body.get("n") or 1) > dialect.choices_max:
        _refuse(f"n must be {dialect.choices_max}")
    if dialect.open_temperature and body.get("temperature") in (0, 1):
        _refuse("temperature must lie between 0 and 1", "1214")
    thinks = visit.state.reasoning_back and (hear(body).think or "think" in str(body.get("model", "")))
    for number, message in enumerate(body.get("messages", ())):
        parts = message.get("content") if isinstance(message.get("content"), list) else ()
        if message.get("role") not in ROLES:
            _refuse(
                f"Invalid value: '{message.get('role')}'. Supported values are: {', '.join(ROLES)}.", "invalid_value"
            )
        if message.get("role") == "developer" and not dialect.developer:
            _refuse(f"messages[{number}].role: unknown variant `developer`")
        for part in parts or ():
            if "cache_control" in part and not dialect.cache_marks:
                _refuse(f"Unknown parameter: 'messages[{number}].content[0].cache_control'.")
            url = (part.get("image_url") or {}).get("url", "") if part.get("type") == "image_url" else ""
            if dialect.bare_images and url.startswith("data:"):
                _refuse(f"messages[{number}]: the image has a data: prefix", "1210")
        if thinks and message.get("tool_calls") and not message.get("reasoning_content"):
            say = (
                f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {number}"
            )
            _refuse(say)
    answered = {message.get("tool_call_id") for message in body.get("messages", ()) if message.get("role") == "tool"}
    for message in body.get("messages", ()):
        for call in message.get("tool_calls") or ():
            if call.get("id") not in answered:
                say = "An assistant message with 'tool_calls' must be followed by tool messages for each tool_call_id."
                _refuse(say)


def _refuse(message: str, code: str = "invalid_request_error") -> NoReturn:
    raise Refused(openai(400, code, "invalid_request_error", message))
