"""Gemini's generateContent family, at Google AI and at Vertex (protocols.md, section 5).

A thinking model signs the first function call of a turn, or the end of its text (a last part with empty text), and
wants the signatures of the current turn's calls back: MISSING_THOUGHT_SIGNATURE without, 400 where one was altered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

from tests.vendors import counts
from tests.vendors.answers import Answer, Call, embedding
from tests.vendors.failures_shapes import google
from tests.vendors.heard import Heard, Media, Tool, as_bytes, names, text_of
from tests.vendors.proofs import call_text, sign, signed
from tests.vendors.visit import JSON, SSE, Made, Refused, Visit, dump, frame, whole

STOPS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "context": "MAX_TOKENS",
}
SKIPS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
"""What Google documents for calls whose signature is not known: they are not looked at."""
RATINGS = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"}]


def camel(value: Any) -> Any:
    """Member names in camelCase: the API takes the other spelling too, and Google's own client mixes them."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub("_([a-z])", lambda found: found[1].upper(), name): item for name, item in value.items()}
    return {name: item if name in FREE else camel(item) for name, item in named.items()}


FREE = names("args response parameters parametersJsonSchema responseSchema responseJsonSchema labels")
"""Members whose content is the user's own."""


def hear(body: dict[str, Any], model: str = "") -> Heard:
    body = camel(body)
    heard = Heard(model)
    system = (body.get("systemInstruction") or {}).get("parts")
    if system:
        heard.turn("system")
        heard.say(" ".join(part.get("text", "") for part in system), "system")
    for content in body.get("contents", ()):
        role = content.get("role", "user")
        heard.turn(role)
        texts = [part["text"] for part in content["parts"] if part.get("text") and not part.get("thought")]
        if texts:
            heard.say(" ".join(texts), role)
        for part in content["parts"]:
            _part(heard, part)
    for group in body.get("tools") or ():
        for tool in group.get("functionDeclarations") or ():
            heard.tools.append(Tool(tool["name"], tool.get("parametersJsonSchema") or tool.get("parameters") or {}))
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames") or []
    heard.choice = {"ANY": "required", "NONE": "none"}.get(calling.get("mode", "AUTO"), "auto")
    if allowed:
        heard.tools = [tool for tool in heard.tools if tool.name in allowed]
    config = body.get("generationConfig") or {}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    heard.json_only = config.get("responseMimeType") == "application/json" and not schema
    heard.schema = schema
    thinking = config.get("thinkingConfig") or {}
    heard.think = (thinking.get("thinkingBudget") or 0) != 0 or bool(thinking.get("thinkingLevel"))
    heard.show = bool(thinking.get("includeThoughts"))
    heard.stop = tuple(config.get("stopSequences") or ())
    heard.limit = config.get("maxOutputTokens")
    heard.n = config.get("candidateCount") or 1
    heard.logprobs = bool(config.get("responseLogprobs"))
    return heard


def _part(heard: Heard, part: dict[str, Any]) -> None:
    if "inlineData" in part:
        data = part["inlineData"]
        # bytes in JSON: either alphabet is read (protobuf's JSON mapping), Google's own client sends the URL-safe one
        size = as_bytes(data["data"].translate(str.maketrans("-_", "+/")))
        heard.see(Media(_kind(data["mimeType"]), data["mimeType"], size))
    elif "fileData" in part:
        heard.see(Media(_kind(part["fileData"].get("mimeType", "image/")), url=part["fileData"]["fileUri"]))
    elif "functionCall" in part:
        heard.calls += 1
    elif "functionResponse" in part:
        response = part["functionResponse"].get("response")
        heard.result(text_of(response), isinstance(response, dict) and "error" in response)


def _kind(mime: str) -> str:
    kind = mime.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else "document"


# --- replies


def serve(visit: Visit) -> Made:
    """POST :generateContent and :streamGenerateContent."""
    model = visit.found["model"]
    missing = check(visit, model)
    heard = hear(visit.body, model)
    said = visit.said(heard)
    if missing:
        said = Answer((), said.prompt_tokens, finish="MISSING_THOUGHT_SIGNATURE")
    if visit.found["method"] == "generateContent":
        return whole(_whole(visit, said, heard.show))
    frames = _stream(visit, said, heard.show)
    if visit.query.get("alt") == "sse":
        return Made(SSE, (frame(item, b"\r\n") for item in frames))
    return Made(JSON, _array(frames))


def _array(frames: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    first = True
    for item in frames:
        yield (b"[" if first else b",\r\n") + dump(item)
        first = False
    yield b"]"


def _base(visit: Visit, usage: Any) -> dict[str, Any]:
    if usage is not None and visit.dialect.name == "vertex":
        usage = {**usage, "trafficType": "ON_DEMAND"}
    base = {} if usage is None else {"usageMetadata": usage}
    return {**base, "modelVersion": visit.found["model"], "responseId": f"resp-{visit.number}"}


def _whole(visit: Visit, said: Answer, show: bool) -> dict[str, Any]:
    usage = visit.report(counts.gemini(said))
    if visit.fault.failure == "filtered":
        return {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": RATINGS}, **_base(visit, usage)}
    parts = []
    if said.reasoning and show:
        parts.append({"text": said.thought, "thought": True})
    if said.content:
        parts.append({"text": said.content})
        if said.reasoning and not said.calls:
            parts[-1]["thoughtSignature"] = _sign(visit, said.content)
    parts += [_call(visit, said, call, at) for at, call in enumerate(said.calls)]
    return {
        "candidates": [_candidate(said, index, parts, True) for index in range(said.choices)],
        **_base(visit, usage),
    }


def _candidate(said: Answer, index: int, parts: list[Any], last: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": index}
    if last:
        made |= {"finishReason": STOPS.get(said.finish, said.finish), "safetyRatings": RATINGS}
        if not parts:
            made["content"] = {"role": "model"}
    texts = [part["text"] for part in parts if part.get("text") and not part.get("thought")]
    if said.logprobs and texts:
        chosen = [{"token": text, "tokenId": 1, "logProbability": -0.5} for text in texts]
        made["logprobsResult"] = {"chosenCandidates": chosen, "topCandidates": []}
    if said.cited and last:
        source = {"startIndex": 0, "endIndex": len(said.text), "uri": "https://example.com/a"}
        made["citationMetadata"] = {"citationSources": [source]}
    return made


def _call(visit: Visit, said: Answer, call: Call, at: int) -> dict[str, Any]:
    ident = {"id": f"fc-sim{call.number}"} if said.ids else {}
    part: dict[str, Any] = {"functionCall": {**ident, "name": call.name, "args": call.value}}
    if said.reasoning and at == 0:
        part["thoughtSignature"] = _sign(visit, call_text(call.name, call.value))
    return part


def _sign(visit: Visit, text: str) -> str:
    return sign(visit.dialect.name, visit.found["model"], text)


def _stream(visit: Visit, said: Answer, show: bool) -> Iterator[dict[str, Any]]:
    """Objects of the stream: partial parts, running totals; calls come whole."""
    text, thoughts = 0, 0

    def chunk(parts: list[Any], last: bool = False) -> dict[str, Any]:
        running = counts.gemini(said) if last else counts.gemini(said, text * said.choices, thoughts * said.choices)
        made = [_candidate(said, index, parts, last) for index in range(said.choices)]
        return {"candidates": made, **_base(visit, visit.report(running))}

    if visit.fault.failure == "filtered":
        yield _whole(visit, said, show)
        return
    for step in visit.steps(said):
        match step.kind:
            case "error":
                yield {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
                return
            case "think":
                thoughts += 1
                if show:
                    yield chunk([{"text": step.text, "thought": True}])
            case "text":
                text += 1
                yield chunk([{"text": step.text}])
            case "call":
                yield chunk([_call(visit, said, said.calls[step.at], step.at)])
            case "args":
                text += 1
    if visit.fault.no_done:
        return
    signs = said.reasoning and said.content and not said.calls
    yield chunk([{"text": "", "thoughtSignature": _sign(visit, said.content)}] if signs else [], last=True)


# --- what is refused

FOREIGN = names("messages system max_tokens temperature stop n seed tool_choice stream model response_format")
ROLES = ("user", "model", "function")
KNOWN = names(
    "text thought thoughtSignature inlineData fileData functionCall functionResponse executableCode "
    "codeExecutionResult videoMetadata mediaResolution toolCall toolResponse"
)


def check(visit: Visit, model: str) -> bool:
    """Raises Refused; True where a function call of the current turn has no signature although the model thinks."""
    body = visit.body
    for name in sorted(FOREIGN & set(body)):
        _refuse(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    body = camel(body)
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        _refuse("* GenerateContentRequest.contents: contents is not specified")
    for number, content in enumerate(contents):
        if content.get("role", "user") not in ROLES:
            _refuse("Please use a valid role: user, model.")
        if not content.get("parts"):
            _refuse(f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty.")
        for part in content["parts"]:
            if unknown := set(part) - KNOWN:
                _refuse(f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.')
            if not set(part) - {"thought", "thoughtSignature"}:
                _refuse(f"* GenerateContentRequest.contents[{number}].parts: required oneof field 'data' must be set")
            if isinstance(part.get("functionResponse", {}).get("response", {}), str | list):
                _refuse("Proto field is not repeating, cannot start list: functionResponse.response must be an object")
    _counted(contents)
    return _signatures(visit, model, contents)


def _counted(contents: list[dict[str, Any]]) -> None:
    """As many function responses as calls in the turn before, right behind it."""
    waiting: list[Any] = []
    for content in contents:
        answers = [part["functionResponse"].get("id") for part in content["parts"] if "functionResponse" in part]
        if (waiting or answers) and len(answers) != len(waiting):
            _refuse(
                "Please ensure that the number of function response parts equals the number of function call parts "
                "of the function call turn."
            )
        if unknown := {ident for ident in answers if ident} - set(waiting):
            _refuse(f"Function response id {min(unknown)} matches no function call of the turn before.")
        waiting = [part["functionCall"].get("id") for part in content["parts"] if "functionCall" in part]


def _signatures(visit: Visit, model: str, contents: list[dict[str, Any]]) -> bool:
    heard = hear(visit.body, model)
    thinks = heard.think or "think" in model or any("think" in text.split() for text in heard.texts)
    spoken = [
        number
        for number, content in enumerate(contents)
        if content.get("role", "user") != "model" and any(part.get("text") for part in content["parts"])
    ]
    missing = False
    for number, content in enumerate(contents):
        if content.get("role") != "model":
            continue
        text = "".join(part.get("text", "") for part in content["parts"] if not part.get("thought"))
        calls = [part for part in content["parts"] if "functionCall" in part]
        for part in content["parts"]:
            signature = part.get("thoughtSignature")
            if signature is None or part.get("thought"):
                continue
            call = part.get("functionCall")
            if call and signature in SKIPS:
                continue
            proven = call_text(call["name"], call.get("args") or {}) if call else text
            if not signed(visit.dialect.name, model, proven, signature):
                _refuse("Corrupted thought signature.")
        current = not spoken or number > spoken[-1]
        missing = missing or bool(thinks and current and calls and "thoughtSignature" not in calls[0])
    return missing


def _refuse(message: str) -> NoReturn:
    raise Refused(google(400, message))


# --- counting and embedding


def count(visit: Visit) -> Made:
    """POST :countTokens, with `contents` or a whole `generateContentRequest`."""
    body = camel(visit.body).get("generateContentRequest") or visit.body
    said = visit.said(hear(body, visit.found["model"]))
    reply = {"totalTokens": said.prompt_tokens}
    return whole(reply | ({"cachedContentTokenCount": said.cached_tokens} if said.cached_tokens else {}))


def embed(visit: Visit) -> Made:
    """POST :embedContent, :batchEmbedContents, and Vertex's :predict."""
    body = camel(visit.body)
    if visit.found["method"] == "predict":
        made = [_embedding(item["content"], body.get("parameters") or {}) for item in body["instances"]]
        count = [len(item["content"].split()) for item in body["instances"]]
        return whole(
            {
                "predictions": [
                    {"embeddings": {"values": values, "statistics": {"token_count": tokens, "truncated": False}}}
                    for values, tokens in zip(made, count, strict=True)
                ]
            }
        )
    if visit.found["method"] == "batchEmbedContents":
        if not all(str(item.get("model", "")).startswith("models/") for item in body["requests"]):
            _refuse("* BatchEmbedContentsRequest.requests[0].model: unexpected model name format")
        return whole({"embeddings": [{"values": _embedding(_text(item), item)} for item in body["requests"]]})
    return whole({"embedding": {"values": _embedding(_text(body), body)}})


def _text(item: dict[str, Any]) -> str:
    return " ".join(part.get("text", "") for part in item["content"]["parts"])


def _embedding(text: str, options: dict[str, Any]) -> list[float]:
    return embedding(text, options.get("outputDimensionality") or 8)
