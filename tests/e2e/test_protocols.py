"""The real local model through all four client protocols, by their unmodified Python libraries; one bill for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import anthropic
import httpx
import openai
from google import genai
from google.genai import types

from tests.e2e.grid import Grid
from tests.e2e.test_clients import nano, rate_in_force

MODEL = "smollm2"
PROMPT = "Name three colours."
LIMIT = 12


@dataclass
class Said:
    """What one client saw of one call: text, how it ended, and tokens in the words of chat."""

    call: str
    text: str
    cut: bool
    prompt: int
    cached: int
    output: int

    @property
    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }


class Clients:
    """The four libraries on one gateway. Each call's id is in the head of its response."""

    def __init__(self, grid: Grid, key: str) -> None:
        self._heads: list[Any] = []
        root = grid.base_url.removesuffix("/v1")
        listen = {"response": [lambda response: self._heads.append(response.headers)]}
        self.openai = openai.OpenAI(
            base_url=grid.base_url,
            api_key=key,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(event_hooks=listen),
        )
        self.anthropic = anthropic.Anthropic(
            base_url=root, api_key=key, max_retries=0, http_client=anthropic.DefaultHttpxClient(event_hooks=listen)
        )
        options = types.HttpOptions(base_url=root, httpx_client=httpx.Client(event_hooks=listen, timeout=120))
        self.google = genai.Client(api_key=key, http_options=options)

    def close(self) -> None:
        for client in (self.openai, self.anthropic, self.google):
            client.close()

    def call(self) -> str:
        return self._heads[-1]["x-baseload-call-id"]

    def chat(self, stream: bool) -> Said:
        ask: Any = {"model": MODEL, "max_tokens": LIMIT, "messages": [{"role": "user", "content": PROMPT}]}
        if not stream:
            reply = self.openai.chat.completions.create(**ask)
            (choice,), usage, text = reply.choices, reply.usage, reply.choices[0].message.content
        else:
            # Not the library's own fold: it raises where a limit ends the answer.
            more: Any = {"stream": True, "stream_options": {"include_usage": True}}
            chunks = list(self.openai.chat.completions.create(**ask, **more))
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            choice, usage = next(chunk.choices[0] for chunk in reversed(chunks) if chunk.choices), chunks[-1].usage
        cached = (usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0
        cut = choice.finish_reason == "length"
        return Said(self.call(), text, cut, usage.prompt_tokens, cached, usage.completion_tokens)

    def responses(self, stream: bool) -> Said:
        ask: Any = {"model": MODEL, "max_output_tokens": LIMIT, "input": PROMPT, "store": False}
        if stream:
            *_, last = self.openai.responses.create(**ask, stream=True)
            assert last.type == "response.incomplete"  # the library's own fold knows completed ones only
            reply: Any = last.response
        else:
            reply = self.openai.responses.create(**ask)
        usage, cut = reply.usage, reply.status == "incomplete"
        cached = usage.input_tokens_details.cached_tokens
        return Said(self.call(), reply.output_text, cut, usage.input_tokens, cached, usage.output_tokens)

    def messages(self, stream: bool) -> Said:
        ask: Any = {"model": MODEL, "max_tokens": LIMIT, "messages": [{"role": "user", "content": PROMPT}]}
        if stream:
            with self.anthropic.messages.stream(**ask) as events:
                reply = events.get_final_message()
        else:
            reply = self.anthropic.messages.create(**ask)
        (block,), usage = reply.content, reply.usage
        assert block.type == "text"
        cached = usage.cache_read_input_tokens or 0
        assert not usage.cache_creation_input_tokens
        cut = reply.stop_reason == "max_tokens"
        return Said(self.call(), block.text, cut, usage.input_tokens + cached, cached, usage.output_tokens)

    def gemini(self, stream: bool) -> Said:
        ask: Any = {"model": MODEL, "contents": PROMPT, "config": {"max_output_tokens": LIMIT}}
        models = self.google.models
        parts = list(models.generate_content_stream(**ask)) if stream else [models.generate_content(**ask)]
        text = "".join(part.text or "" for part in parts)
        last = parts[-1]
        usage, (candidate,) = last.usage_metadata, last.candidates or []
        assert usage is not None
        cut = candidate.finish_reason is types.FinishReason.MAX_TOKENS
        prompt, cached = usage.prompt_token_count or 0, usage.cached_content_token_count or 0
        return Said(self.call(), text, cut, prompt, cached, usage.candidates_token_count or 0)


@contextmanager
def clients_of(grid: Grid, key: str) -> Iterator[Clients]:
    clients = Clients(grid, key)
    try:
        yield clients
    finally:
        clients.close()


def test_the_local_model_answers_in_every_protocol_and_the_bill_is_usage_times_price(grid: Grid) -> None:
    said: dict[str, Said] = {}
    with clients_of(grid, grid.new_key("polyglot")) as clients:
        for speak in (clients.chat, clients.responses, clients.messages, clients.gemini):
            for stream in (False, True):
                said[f"{speak.__name__}{', streamed' if stream else ''}"] = speak(stream)
    assert len({one.call for one in said.values()}) == 8
    for name, one in said.items():
        assert one.text.strip(), name
        assert 0 < one.output <= LIMIT, name
        assert not one.cut or one.output == LIMIT, name  # the model may end by itself before the limit
        assert one.prompt == said["chat"].prompt, f"{name}: the same prompt has as many tokens in every protocol"
    rate = rate_in_force(grid, "cost:")
    records = grid.settled([one.call for one in said.values()])
    for (name, one), record in zip(said.items(), records, strict=True):
        (attempt,) = record["attempts"]
        meters = attempt["meters"]
        assert meters["output_total"] == one.output, name
        assert meters["input_uncached"] + meters.get("cache_read", 0) == one.prompt, name
        assert meters.get("cache_read", 0) == one.cached, name
        assert (attempt["input_provenance"], attempt["output_provenance"]) == ("reported", "reported"), name
        assert attempt["cost"]["nano"] == attempt["charge"]["nano"] == nano(one.usage, rate), name
    (total,) = grid.json("bill", "--account", "polyglot")["bill"]["totals"]
    wanted = sum(nano(one.usage, rate) for one in said.values())
    assert wanted > 0
    assert (total["currency"], total["nano"]) == ("USD", wanted)
    assert Fraction(total["amount"]) == Fraction(wanted, 10**9)
    assert grid.json("ledger", "check")["findings"] == []
