"""What a simulated model answers: a function of what it hears alone, so that a test can compute what comes out. Pure.

A word is a token. The prompt has the words of all texts, 3 more a turn and 10 for each image or document. The answer
repeats the last turn after "echo", cut by a stop sequence and by the limit; images and documents are named after it.
Tool results are quoted in order ("results A and error B"); a JSON schema is answered by an instance of it.

Words in the prompt switch things on:

    cached      half of the prompt is a cache hit; with cache marks, a quarter of it is written
    think       (or a model of that name, or thinking switched on in the request) three words of reasoning
    redacted    with thinking: it is a redacted block where the protocol has them
    refuse      the model refuses, or the answer is filtered, as the protocol says it
    halves      (streamed) an emoji beyond 16 bits comes as two halves of its surrogate pair, in two deltas
    cite        the answer carries a citation where the protocol has them
    words=N     N words instead of the echo

With tools, in the last turn, unless it brings tool results:

    tool        the first tool is called; `use A and B`: the tools named are called, in this order, in one turn
    narrate     text before the call
    ids         Gemini gives its calls ids
    interleave  where a dialect may mix fragments of two calls, it does
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.vendors.heard import Heard, Tool
from tests.vendors.schemas import instance

REASONING = ("let", "me", "see")
EMBEDDING_SIZE = 8


@dataclass(frozen=True)
class Call:
    """A tool call. `number` counts from 1 over the whole conversation."""

    number: int
    name: str
    arguments: str  # JSON text

    @property
    def fragments(self) -> list[str]:
        """The arguments as a stream brings them."""
        return re.findall(r" ?[^ ]+| ", self.arguments)

    @property
    def value(self) -> Any:
        return json.loads(self.arguments)


@dataclass(frozen=True)
class Answer:
    """`words` of text, one token and (streamed) one frame each; `choices` times the same."""

    words: tuple[str, ...]
    prompt_tokens: int
    cached_tokens: int = 0
    reasoning: tuple[str, ...] = ()
    finish: str = "stop"  # stop | length | tool_calls | content_filter, or a vendor's own word
    choices: int = 1
    calls: tuple[Call, ...] = ()
    narrated: bool = True  # the text is said (beside the calls, if any)
    written: tuple[tuple[str, int], ...] = ()  # cache writes: lifetime, tokens
    stop_sequence: str = ""  # the one that ended the text
    refused: bool = False
    redacted: bool = False
    interleave: bool = False
    ids: bool = False
    halves: bool = False
    cited: bool = False
    logprobs: bool = False

    @property
    def tool(self) -> str:
        return self.calls[0].name if self.calls else ""

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def content(self) -> str:
        """What is said as text."""
        return self.text if self.narrated and not self.refused else ""

    @property
    def thought(self) -> str:
        return " ".join(self.reasoning)

    @property
    def text_tokens(self) -> int:
        """Of one choice, without reasoning."""
        return (len(self.words) if self.narrated else 0) + sum(len(call.fragments) for call in self.calls)

    @property
    def reasoning_tokens(self) -> int:
        return len(self.reasoning) * self.choices

    @property
    def completion_tokens(self) -> int:
        return self.text_tokens * self.choices + self.reasoning_tokens

    @property
    def written_tokens(self) -> int:
        return sum(tokens for _, tokens in self.written)

    @property
    def fresh_tokens(self) -> int:
        """Of the prompt: neither read from the cache nor written to it."""
        return self.prompt_tokens - self.cached_tokens - self.written_tokens

    @property
    def pieces(self) -> list[str]:
        """The text as a stream brings it: a word each; an emoji of several code points comes in several pieces."""
        if not self.content:
            return []
        words = [word if not index else f" {word}" for index, word in enumerate(self.words)]
        pieces = [piece for word in words for piece in _split(word)]
        return [half for piece in pieces for half in _halves(piece)] if self.halves else pieces

    @property
    def thoughts(self) -> list[str]:
        return [word if not index else f" {word}" for index, word in enumerate(self.reasoning)]


def respond(heard: Heard, words: int | None = None) -> Answer:
    """The model's answer. `words`: so many instead of an echo."""
    prompt = " ".join(heard.texts).split()
    tokens = len(prompt) + 3 * heard.turns + 10 * heard.media_count
    last = " ".join(heard.last) if heard.last or heard.results or heard.media or not heard.texts else heard.texts[-1]
    said = _said(heard, last, words)
    called = _called(heard, last, prompt)
    text, stop_sequence = _stopped(" ".join(said), heard.stop)
    said = text.split(" ") if text else []
    cut = not called and heard.limit is not None and heard.limit < len(said)
    finish = "tool_calls" if called else "length" if cut else "stop"
    refused = "refuse" in prompt and not called
    thinks = "think" in prompt or "think" in heard.model or heard.think
    cached = tokens // 2 if "cached" in prompt else 0
    spoken = " ".join(("echo", *last.split()))
    return Answer(
        words=tuple(said[: heard.limit] if cut else said),
        prompt_tokens=tokens,
        cached_tokens=cached,
        reasoning=REASONING if thinks else (),
        finish="content_filter" if refused else finish,
        choices=heard.n,
        calls=tuple(
            Call(heard.calls + index, tool.name, _arguments(tool, spoken)) for index, tool in enumerate(called, 1)
        ),
        narrated=not called or "narrate" in prompt,
        written=_written(heard.marks, tokens // 4),
        stop_sequence="" if cut or called or refused else stop_sequence,
        refused=refused,
        redacted="redacted" in prompt,
        interleave="interleave" in prompt,
        ids="ids" in prompt,
        halves="halves" in prompt,
        cited="cite" in prompt,
        logprobs=heard.logprobs,
    )


def answer(body: dict[str, Any], endpoint: str = "chat", words: int | None = None, **more: Any) -> Answer:
    """The answer to a body of an endpoint: chat, completions, embeddings, responses, messages, gemini, converse, qwen.
    `more` as its reader takes it (gemini and converse: `model`)."""
    from tests.vendors.speak import hear  # the readers need this module

    return respond(hear(endpoint, body, **more), words)


def embedding(text: str, size: int = EMBEDDING_SIZE) -> list[float]:
    """A vector that depends on the text only; the numbers are exact in float32."""
    data = text.encode()
    return [sum(data[index::size]) / 256 for index in range(size)]


def _said(heard: Heard, last: str, words: int | None) -> list[str]:
    asked = re.search(r"\bwords=(\d+)\b", last)
    if words is None and asked:
        words = int(asked[1])
    if words is not None:
        return [f"w{number}" for number in range(words)]
    if heard.schema is not None:
        return json.dumps(instance(heard.schema, f"echo {last}"), ensure_ascii=False).split(" ")
    if heard.json_only:
        return json.dumps({"text": f"echo {last}"}, ensure_ascii=False).split(" ")
    parts = []
    if heard.results:
        quoted = [f"{'error ' if result.error else ''}{result.text}" for result in heard.results]
        parts.append(f"results {' and '.join(quoted)}")
    if last or not heard.results:
        parts.append(f"echo {last}")
    parts += [f"saw {media.words}" for media in heard.media]
    return " ".join(parts).split()


def _called(heard: Heard, last: str, prompt: list[str]) -> list[Tool]:
    if not heard.tools or heard.choice == "none" or heard.results:
        return []
    if heard.choice.startswith("="):
        return [tool for tool in heard.tools if tool.name == heard.choice[1:]]
    words = re.findall(r"[\w.-]+", last)
    behind = words[words.index("use") + 1 :] if "use" in words else []
    known = {tool.name: tool for tool in heard.tools}
    named = [known[word] for word in dict.fromkeys(behind) if word in known]
    if not named and ("tool" in prompt or heard.choice == "required"):
        named = heard.tools[:1]
    return named if heard.parallel else named[:1]


def _arguments(tool: Tool, text: str) -> str:
    if tool.schema.get("properties"):
        return json.dumps(instance(tool.schema, text), ensure_ascii=False)
    return "{}" if "properties" in tool.schema else json.dumps({"text": text}, ensure_ascii=False)


def _stopped(text: str, stop: tuple[str, ...]) -> tuple[str, str]:
    found = [(at, word) for word in stop if word and (at := text.find(word)) >= 0]
    if not found:
        return text, ""
    at, word = min(found)
    return text[:at].rstrip(), word


def _written(marks: list[str], tokens: int) -> tuple[tuple[str, int], ...]:
    lifetimes = list(dict.fromkeys(marks))
    share, rest = divmod(tokens, len(lifetimes)) if lifetimes else (0, 0)
    return tuple((ttl, share + (rest if not index else 0)) for index, ttl in enumerate(lifetimes))


def _split(word: str) -> Iterator[str]:
    if word.isascii() or (max(word) < "\U00010000" and "\u200d" not in word):  # quick: a word may have 20 MB
        yield word
        return
    start = 0
    for at in range(1, len(word)):
        if ord(word[at]) >= 0x10000 or word[at] == "\u200d":
            yield word[start:at]
            start = at
    yield word[start:]


def _halves(piece: str) -> list[str]:
    """A piece that begins with a character beyond 16 bits, cut through that character; any other as it is."""
    if not piece or ord(piece[0]) < 0x10000:
        return [piece]
    code = ord(piece[0]) - 0x10000
    return [chr(0xD800 + (code >> 10)), chr(0xDC00 + (code & 0x3FF)) + piece[1:]]
