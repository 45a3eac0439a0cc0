"""Google's own library over recorded bytes: what it sends, and what it makes of what we write."""

from __future__ import annotations

import json
from typing import Any

import httpx
from google import genai
from google.genai import types


class Sdk:
    """A client of the official library whose server answers every request with the bytes given."""

    def __init__(self, answer: bytes = b"{}", status: int = 200) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.bodies: list[bytes] = []
        self.answer = answer
        self.status = status
        transport = httpx.MockTransport(self._answer)
        options = types.HttpOptions(
            base_url="http://grid.test",
            httpx_client=httpx.Client(transport=transport),
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        self.client = genai.Client(api_key="key", http_options=options)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        self.bodies.append(body)
        self.sent.append((request.url.path, json.loads(body)))
        return httpx.Response(self.status, content=self.answer, headers={"content-type": "application/json"})

    def stream(self) -> list[types.GenerateContentResponse]:
        return list(self.client.models.generate_content_stream(model="gemini-2.5-pro", contents="hello"))

    def whole(self) -> types.GenerateContentResponse:
        return self.client.models.generate_content(model="gemini-2.5-pro", contents="hello")
