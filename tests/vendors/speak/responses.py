"""OpenAI Responses: requests, kept replies, and whole replies (protocols.md, 3). The stream: `responses_stream.py`.

State is kept in `visit.state.responses`: the items of a conversation under the id of its last reply.
"""

from __future__ import annotations

from typing import Any, NoReturn

from tests.vendors import counts
from tests.vendors.answers import Answer, Call, respond
from tests.vendors.dialects import CREATED
from tests.vendors.failures_shapes import dump, openai
from tests.vendors.heard import Heard, Media, Tool, as_bytes, by_data_url, names
from tests.vendors.proofs import hide, reveal
from tests.vendors.speak.chat import model_of, token
from tests.vendors.speak.responses_stream import stream
from tests.vendors.visit import SSE, Made, Refused, Visit, whole

KEPT_MAX = 10_000  # replies; the oldest is forgotten


def hear(body: dict[str, Any], before: list[dict[str, Any]] | None = None) -> Heard:
    """`before`: the items of the conversation so far, from the previous response."""
    heard = Heard(str(body.get("model", "")))
    if body.get("instructions"):
        heard.turn("system")
        heard.say(body["instructions"], "system")
    role = ""
    for item in [*(before or ()), *items(body)]:
        speaker = _speaker(item)
        if speaker != role or item.get("type", "message") == "message":
            heard.turn(speaker)
        role = speaker
        _item(heard, item, speaker)
    heard.tools = [
        Tool(tool["name"], tool.get("parameters") or {})
        for tool in body.get("tools") or ()
        if tool.get("type") == "function"
    ]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        heard.choice = f"={choice['name']}" if "name" in choice else choice.get("mode", "auto")
    else:
        heard.choice = choice or "auto"
    heard.parallel = body.get("parallel_tool_calls") is not False
    form = (body.get("text") or {}).get("format") or {}
    heard.json_only = form.get("type") == "json_object"
    heard.schema = form.get("schema") if form.get("type") == "json_schema" else None
    reasoning = body.get("reasoning") or {}
    heard.think = reasoning.get("effort") not in (None, "none") or bool(reasoning.get("summary"))
    heard.show = bool(reasoning.get("summary"))
    heard.limit = body.get("max_output_tokens")
    heard.logprobs = "message.output_text.logprobs" in (body.get("include") or ())
    return heard


def items(body: dict[str, Any]) -> list[dict[str, Any]]:
    given = body.get("input") or []
    return [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else given


def _speaker(item: dict[str, Any]) -> str:
    kind = item.get("type", "message")
    if kind == "message":
        return str(item.get("role", "user"))
    return "assistant" if kind in ("function_call", "reasoning") else "tool"


def _item(heard: Heard, item: dict[str, Any], speaker: str) -> None:
    match item.get("type", "message"):
        case "message":
            content = item.get("content") or ""
            parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
            heard.marks += ["30m" for part in parts if part.get("prompt_cache_breakpoint")]
            texts = [part.get("text") or part.get("refusal") or "" for part in parts if not _media(part)]
            if texts:
                heard.say(" ".join(texts), speaker)
            for media in filter(None, map(_media, parts)):
                heard.see(media)
        case "function_call":
            heard.calls += 1
        case "function_call_output":
            output = item.get("output") or ""
            parts = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
            heard.result(" ".join(part["text"] for part in parts if not _media(part)))
            for media in filter(None, map(_media, parts)):
                heard.see(media)


def _media(part: dict[str, Any]) -> Media | None:
    match part.get("type"):
        case "input_image":
            return by_data_url("image", part.get("image_url") or part.get("file_id", ""))
        case "input_file":
            return by_data_url("document", part.get("file_data") or part.get("file_url") or part.get("file_id", ""))
        case "input_audio":
            return Media("audio", f"audio/{part['input_audio']['format']}", as_bytes(part["input_audio"]["data"]))
    return None


# --- replies


def serve(visit: Visit) -> Made:
    """POST responses."""
    body = visit.body
    before = _previous(visit)
    check(visit, before)
    said = visit.said(hear(body, before))
    reply = whole_reply(visit, said)
    if body.get("store", True):
        history = [*before, *items(body), *reply["output"]]
        if len(visit.state.responses) >= KEPT_MAX:
            del visit.state.responses[next(iter(visit.state.responses))]
        visit.state.responses[reply["id"]] = {"reply": reply, "items": history, "input": items(body)}
    if body.get("stream"):
        return Made(SSE, stream(visit, said, reply))
    if body.get("background"):
        return whole({**reply, "status": "queued", "output": [], "usage": None})
    return whole(reply)


def count(visit: Visit) -> Made:
    """POST responses/input_tokens."""
    tokens = respond(hear(visit.body, _previous(visit))).prompt_tokens
    return whole({"object": "response.input_tokens", "input_tokens": tokens})


def kept(visit: Visit) -> Made:
    """GET and DELETE of a response, POST cancel, GET input_items."""
    ident = visit.found["id"]
    if ident not in visit.state.responses:
        raise Refused(openai(404, None, "invalid_request_error", f"Response with id '{ident}' not found."))
    record = visit.state.responses[ident]
    if visit.method == "DELETE":
        del visit.state.responses[ident]
        return whole({"id": ident, "object": "response", "deleted": True})
    if visit.path.endswith("/cancel"):
        if not record["reply"]["background"]:
            _refuse("Only responses created with background=true can be cancelled.", "response_id")
        record["reply"] = {**record["reply"], "status": "cancelled", "output": []}
    if visit.path.endswith("/input_items"):
        return whole({"object": "list", "data": record["input"], "has_more": False})
    return whole(record["reply"])


def whole_reply(visit: Visit, said: Answer) -> dict[str, Any]:
    """The final response object."""
    body = visit.body
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(said.finish, "")
    cut = "" if said.refused and not visit.fault.failure else cut
    return {
        "id": f"resp_{visit.number}",
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if cut else "completed",
        "background": bool(body.get("background")),
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": model_of(visit),
        "output": output(visit, said),
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": visit.report(counts.responses(said)),
        "metadata": body.get("metadata") or {},
    }


def output(visit: Visit, said: Answer) -> list[dict[str, Any]]:
    """The output items, complete."""
    made: list[dict[str, Any]] = []
    if said.reasoning:
        made.append(_reasoning(visit, said))
    if said.refused:
        made.append(_message(visit, [{"type": "refusal", "refusal": said.text}]))
    elif said.content:
        notes = [_citation(said)] if said.cited else []
        logprobs = [token(piece) for piece in said.pieces] if said.logprobs else []
        made.append(
            _message(visit, [{"type": "output_text", "text": said.text, "annotations": notes, "logprobs": logprobs}])
        )
    return made + [_function_call(visit, said, call) for call in said.calls]


def _message(visit: Visit, content: list[Any]) -> dict[str, Any]:
    ident = f"msg_{visit.number}"
    return {"id": ident, "type": "message", "status": "completed", "role": "assistant", "content": content}


def _reasoning(visit: Visit, said: Answer) -> dict[str, Any]:
    body = visit.body
    shown = bool((body.get("reasoning") or {}).get("summary"))
    item: dict[str, Any] = {
        "id": f"rs_{visit.number}",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": said.thought}] if shown else [],
    }
    if "reasoning.encrypted_content" in (body.get("include") or ()):
        item["encrypted_content"] = hide(visit.dialect.name, str(body.get("model", "")), said.thought)
    return item


def _function_call(visit: Visit, said: Answer, call: Call) -> dict[str, Any]:
    """Its id tells that reasoning belongs to it, as the vendor's records do."""
    ident = f"fc_{'r' if said.reasoning else ''}{visit.number}_{call.number}"
    return {
        "id": ident,
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{call.number}",
        "name": call.name,
        "arguments": call.arguments,
    }


def _citation(said: Answer) -> dict[str, Any]:
    end = len(said.text)
    return {
        "type": "url_citation",
        "start_index": 0,
        "end_index": end,
        "title": "A page",
        "url": "https://example.com/a",
    }


# --- what is refused

FOREIGN = names("messages stop n seed logit_bias max_tokens max_completion_tokens reasoning_effort response_format")


def _previous(visit: Visit) -> list[dict[str, Any]]:
    ident = visit.body.get("previous_response_id")
    if not ident:
        return []
    if ident not in visit.state.responses:
        say = f"Previous response with id '{ident}' not found."
        raise Refused(openai(400, "previous_response_not_found", "invalid_request_error", say))
    found: list[dict[str, Any]] = visit.state.responses[ident]["items"]
    return found


def check(visit: Visit, before: list[dict[str, Any]]) -> None:
    """Raises Refused."""
    body = visit.body
    for name in sorted(FOREIGN & set(body)):
        _refuse(f"Unsupported parameter: '{name}'.", name, "unsupported_parameter")
    if not body.get("model"):
        _refuse("Missing required parameter: 'model'.", "model", "missing_required_parameter")
    if not isinstance(body.get("input", ""), str | list):
        _refuse("Invalid type for 'input'.", "input")
    calls: set[str] = set()
    answered: set[str] = set()
    thought = False
    for number, item in enumerate([*before, *items(body)]):
        kind = item.get("type", "message")
        if kind == "reasoning":
            _proof(visit, item, f"input[{number}]")
            thought = True
        elif kind == "function_call":
            if str(item.get("id", "")).startswith("fc_r") and not thought:
                say = f"Item '{item['id']}' of type 'function_call' was provided without its required 'reasoning' item."
                _refuse(say, "input")
            calls.add(item.get("call_id", ""))
        elif kind == "function_call_output":
            if item.get("call_id") not in calls:
                _refuse(f"No tool call found for function call output with call_id {item.get('call_id')}.", "input")
            answered.add(item["call_id"])
        elif kind == "message":
            _parts(item, number)
            thought = thought and item.get("role") == "assistant"
    if missing := calls - answered:
        _refuse(f"No tool output found for function call {min(missing)}.", "input")


def _parts(item: dict[str, Any], number: int) -> None:
    wanted = ("output_text", "refusal") if item.get("role") == "assistant" else (
        "input_text", "input_image", "input_file", "input_audio",
    )  # fmt: skip
    for at, part in enumerate(item["content"] if isinstance(item.get("content"), list) else ()):
        if part.get("type") not in wanted:
            name = f"input[{number}].content[{at}]"
            _refuse(f"Invalid value: '{part.get('type')}'. Supported values are: {wanted}.", name, "invalid_value")


def _proof(visit: Visit, item: dict[str, Any], param: str) -> None:
    hidden = item.get("encrypted_content")
    if hidden is None:
        if not any(
            item.get("id") == old.get("id") for record in visit.state.responses.values() for old in record["items"]
        ):
            say = f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false."
            raise Refused(openai(404, None, "invalid_request_error", say))
    elif reveal(visit.dialect.name, str(visit.body.get("model", "")), hidden) is None:
        _refuse("The encrypted content could not be verified.", param, "invalid_encrypted_content")


def _refuse(message: str, param: str, code: str | None = None) -> NoReturn:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    raise Refused((400, dump({"error": error}), ()))
