"""One gateway with a provider behind each kind of door, and the official Python libraries pointed at it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import anthropic
import openai
from google import genai
from google.genai import types as genai_types

from baseload.gateway.journal.entries import Reading
from tests.gateway.harness import KEY, Home, Running, gateway
from tests.vendors import AWS_ID, AWS_SECRET, Simulator, start
from tests.vendors.keys import service_account

DOORS = {
    # a name here -> (vendor, its door, upstream model)
    "chat": ("openai", "chat", "gpt-4.1"),
    "deepseek": ("deepseek", "chat", "deepseek-v4-pro"),
    "azure": ("azure", "chat", "gpt-4.1"),
    "responses": ("openai", "responses", "gpt-5-mini"),
    "messages": ("anthropic", "messages", "claude-sonnet-4-5"),
    "gemini": ("gemini", "gemini", "gemini-2.5-flash"),
    "vertex": ("vertex", "gemini", "gemini-2.5-flash"),
    "converse": ("bedrock", "converse", "anthropic.claude-haiku-4-5-20251001-v1:0"),
    "qwen": ("dashscope", "qwen", "qwen-plus"),
}
NAMES = tuple(DOORS)


@dataclass
class Grid:
    running: Running
    home: Home
    vendors: dict[str, Simulator]

    def openai(self, retries: int = 0) -> openai.OpenAI:
        return self._openai.with_options(max_retries=retries)

    def anthropic(self, retries: int = 0) -> anthropic.Anthropic:
        return self._anthropic.with_options(max_retries=retries)

    # One client a library: each one made reads the system's certificates, which takes longer than many calls.

    @cached_property
    def _openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.running.url}/v1", api_key=KEY, timeout=30)

    @cached_property
    def _anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.running.url, api_key=KEY, timeout=30)

    @cached_property
    def google(self) -> genai.Client:
        options = genai_types.HttpOptions(base_url=self.running.url, timeout=30_000)
        return genai.Client(api_key=KEY, http_options=options)

    def reading(self, call_id: str) -> Reading:
        """The one reading of a call, by the id that its reply names."""
        found: list[Reading] = []

        def there() -> bool:
            found[:] = [reading for reading in self.home.readings() if reading.call == call_id]
            return bool(found)

        self.running.wait(there)
        assert len(found) == 1
        return found[0]


@contextlib.contextmanager
def grid(folder: Path) -> Iterator[Grid]:
    with contextlib.ExitStack() as stack:
        home, vendors = Home(folder / "home"), {}
        for name, (dialect, door, upstream) in DOORS.items():
            vendor = vendors[name] = stack.enter_context(start(dialect))
            secret = "sk-provider"
            if dialect == "bedrock":
                secret = f"{AWS_ID}:{AWS_SECRET}"
            elif dialect == "vertex":
                secret = json.dumps(service_account(f"{vendor.url}/token"))
            variable = f"BASELOAD_TEST_{name.upper()}"
            os.environ[variable] = secret
            stack.callback(os.environ.pop, variable, None)
            home.offer(
                vendor.provider_url,
                name,
                dialect=dialect,
                endpoints=(door,),
                upstream_model=upstream,
                credential=f"env:{variable}",
            )
        yield Grid(stack.enter_context(gateway(home)), home, vendors)
