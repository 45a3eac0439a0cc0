"""Images and documents by the official Python libraries: as data everywhere, by URL where the target fetches it.

Where it does not, the refusal names the part in the client's own words.
"""

from __future__ import annotations

import base64
from typing import Any

import anthropic
import openai
import pytest
from google.genai import errors as google
from google.genai import types

from tests.clients.grid import NAMES, Grid

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
PICTURE, PAPER = "https://pictures.invalid/cat.png", "https://pictures.invalid/paper.pdf"
REFUSALS = (openai.BadRequestError, anthropic.BadRequestError, google.ClientError)


def data_url(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def chat(grid: Grid, name: str, part: dict[str, Any]) -> str:
    content: Any = [part, {"type": "text", "text": "what is"}]
    reply = grid.openai().chat.completions.create(model=name, messages=[{"role": "user", "content": content}])
    return reply.choices[0].message.content or ""


def responses(grid: Grid, name: str, part: dict[str, Any]) -> str:
    content: Any = [part, {"type": "input_text", "text": "what is"}]
    return grid.openai().responses.create(model=name, input=[{"role": "user", "content": content}]).output_text


def messages(grid: Grid, name: str, part: dict[str, Any]) -> str:
    content: Any = [part, {"type": "text", "text": "what is"}]
    reply = grid.anthropic().messages.create(
        model=name, max_tokens=100, messages=[{"role": "user", "content": content}]
    )
    return "".join(getattr(block, "text", "") for block in reply.content)


def gemini(grid: Grid, name: str, part: types.Part) -> str:
    content = types.Content(role="user", parts=[part, types.Part(text="what is")])
    return grid.google.models.generate_content(model=name, contents=content).text or ""


def said(grid: Grid, name: str, client: str, kind: str) -> str:
    """What the model says of a picture or a paper, as data or by URL, sent by a client."""
    mime, data, url = ("image/png", PNG, PICTURE) if kind.startswith("picture") else ("application/pdf", PDF, PAPER)
    by_url, image = kind.endswith("by url"), kind.startswith("picture")
    if client == "chat":
        if image:
            shown = url if by_url else data_url(mime, data)
            return chat(grid, name, {"type": "image_url", "image_url": {"url": shown}})
        return chat(grid, name, {"type": "file", "file": {"filename": "a.pdf", "file_data": data_url(mime, data)}})
    if client == "responses":
        if image:
            return responses(
                grid,
                name,
                {"type": "input_image", "detail": "auto", "image_url": url if by_url else data_url(mime, data)},
            )
        source = {"file_url": url} if by_url else {"filename": "a.pdf", "file_data": data_url(mime, data)}
        return responses(grid, name, {"type": "input_file", **source})
    if client == "messages":
        source = {"type": "base64", "media_type": mime, "data": base64.b64encode(data).decode()}
        shape = {"type": "url", "url": url} if by_url else source
        return messages(grid, name, {"type": "image" if image else "document", "source": shape})
    made = (
        types.Part.from_uri(file_uri=url, mime_type=mime)
        if by_url
        else types.Part.from_bytes(data=data, mime_type=mime)
    )
    return gemini(grid, name, made)


CLIENTS = ("chat", "responses", "messages", "gemini")
PARAMS = {  # how a client calls the part that is refused
    "chat": "messages.0.content.0",
    "responses": "input[0].content[0]",
    "messages": "messages.0.content.0",
    "gemini": "contents.0.parts.0",
}


def refused(grid: Grid, name: str, client: str, kind: str) -> None:
    before = len(grid.vendors[name].requests)
    with pytest.raises(REFUSALS) as told:
        said(grid, name, client, kind)
    assert PARAMS[client] in str(told.value)
    if isinstance(told.value, openai.BadRequestError):
        assert told.value.param == PARAMS[client]
    assert len(grid.vendors[name].requests) == before  # nothing was sent, so nothing is paid for


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", NAMES)
def test_images_as_data(grid: Grid, name: str, client: str):
    assert f"saw image image/png of {len(PNG)} bytes" in said(grid, name, client, "picture")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", NAMES)
def test_images_by_url_reach_who_fetches_them(grid: Grid, name: str, client: str):
    if name == "converse":
        refused(grid, name, client, "picture by url")
    else:
        assert f"saw image {PICTURE}" in said(grid, name, client, "picture by url")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", NAMES)
def test_documents_as_data(grid: Grid, name: str, client: str):
    if name == "qwen":
        refused(grid, name, client, "paper")
    else:
        assert f"saw document application/pdf of {len(PDF)} bytes" in said(grid, name, client, "paper")


BY_URL = ("responses", "messages", "gemini", "vertex")


@pytest.mark.parametrize("client", [client for client in CLIENTS if client != "chat"])  # chat has no such part
@pytest.mark.parametrize("name", NAMES)
def test_documents_by_url_reach_who_fetches_them(grid: Grid, name: str, client: str):
    if name in BY_URL:
        assert f"saw document {PAPER}" in said(grid, name, client, "paper by url")
    else:
        refused(grid, name, client, "paper by url")
