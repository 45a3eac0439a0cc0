"""Which route a request line means: overlapping paths, odd names, wrong methods, keys in every place, three lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.gateway.harness import KEY, Home, Reply, Running, exchange, gateway, get, post
from tests.gateway.through import CLIENTS, offer
from tests.vendors import Simulator, start

NAMES = ("m", "org/model-1", "llama3:8b", "llama3:latest", "ünï", "a b")
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "words=3"}]}]}


class Grid:
    def __init__(self, running: Running, vendors: dict[str, Simulator]) -> None:
        self.running, self.vendors = running, vendors

    def send(self, request: bytes) -> Reply:
        return exchange(self.running, request)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    home = Home(tmp_path_factory.mktemp("routes"))
    with start("openai") as chat, start("anthropic") as messages:
        for name in NAMES:
            offer(home, chat, "chat", model=name)
        offer(home, messages, "messages", model="claude")
        with gateway(home) as running:
            yield Grid(running, {"chat": chat, "messages": messages})


@pytest.mark.parametrize("prefix", ["/v1", "/v1beta", "/v1alpha"])
@pytest.mark.parametrize("name", NAMES)
def test_models_of_any_name_in_a_path(name: str, prefix: str, grid: Grid) -> None:
    """google-genai sends slashes as they are; a colon of a name is none of a method."""
    spellings = {quote(name, safe=""), quote(name, safe="/:")}
    for spelled in spellings:
        reply = grid.send(post(f"{prefix}/models/{spelled}:generateContent", CONTENTS))
        assert reply.status == 200, reply.body
        assert reply.json()["modelVersion"] == name
        stream = grid.send(post(f"{prefix}/models/{spelled}:streamGenerateContent?alt=sse", CONTENTS))
        assert CLIENTS["gemini"].read(stream.body).text == "w0 w1 w2"
        one = grid.send(get(f"{prefix}/models/{spelled}"))
        assert one.status == 200
        assert one.json() == (one.json() | ({"id": name} if prefix == "/v1" else {"name": f"models/{name}"}))


def test_the_forms_of_a_gemini_stream(grid: Grid) -> None:
    path = "/v1beta/models/m:streamGenerateContent"
    for query, kind in (("?alt=sse", "text/event-stream"), ("?alt=json", "application/json"), ("", "application/json")):
        reply = grid.send(post(path + query, CONTENTS))
        assert reply.headers["content-type"].startswith(kind)
        reader = CLIENTS["gemini" if kind.startswith("text") else "array"]
        assert reader.read(reply.body).text == "w0 w1 w2"
    reply = grid.send(post("/v1beta/models/m:streamGenerateContent?$alt=json;enum-encoding=int&alt=sse", CONTENTS))
    assert CLIENTS["gemini"].read(reply.body).ended


def test_keys_wherever_clients_put_them(grid: Grid) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    for line in (f"authorization: Bearer {KEY}", f"x-api-key: {KEY}", f"x-goog-api-key: {KEY}", f"api-key: {KEY}"):
        for path, sent in (
            ("/v1/chat/completions", body),
            ("/v1/messages", body),
            ("/v1/responses", {"model": "m", "input": "hi"}),
            ("/v1beta/models/m:generateContent", CONTENTS),
        ):
            assert grid.send(post(path, sent, key="", extra=f"{line}\r\n")).status == 200, (line, path)
    for path in (f"/v1beta/models/m:generateContent?key={KEY}", f"/v1/models/m:generateContent?x=1&key={KEY}"):
        assert grid.send(post(path, CONTENTS, key="")).status == 200
    for path in ("/v1beta/models/m:generateContent", "/v1/chat/completions", "/v1beta/models/m:generateContent?key=no"):
        reply = grid.send(post(path, CONTENTS, key=""))
        assert reply.status == 401
        assert ("status" in reply.json()["error"]) == path.startswith("/v1beta")


def test_queries_and_headers_of_anthropics_clients_go_to_anthropics_doors_only(grid: Grid) -> None:
    body = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    extra = "anthropic-version: 2023-01-01\r\nAnthropic-Beta: one,two\r\nanthropic-beta: three\r\nx-secret: no\r\n"
    path = f"/v1/messages?beta=true&key={KEY}&ke%79={KEY}"
    assert grid.send(post(path, body, key="", extra=f"x-api-key: {KEY}\r\n{extra}")).status == 200
    seen = grid.vendors["messages"].requests[-1]
    assert seen.path == "/v1/messages?beta=true"
    assert seen.headers["anthropic-version"] == "2023-01-01"
    assert "three" in seen.headers["anthropic-beta"]
    assert "x-secret" not in seen.headers
    assert KEY.encode() not in seen.head + seen.body
    assert grid.send(post(path, {**body, "model": "m"}, key="", extra=f"x-api-key: {KEY}\r\n{extra}")).status == 200
    seen = grid.vendors["chat"].requests[-1]
    assert seen.path.endswith("/chat/completions")
    assert not any(name.startswith("anthropic") for name in seen.headers)
    counted = grid.send(post("/v1/messages/count_tokens?beta=true", body, extra=extra))
    assert counted.status == 200
    seen = grid.vendors["messages"].requests[-1]
    assert (seen.path, seen.headers["anthropic-version"]) == ("/v1/messages/count_tokens?beta=true", "2023-01-01")


@pytest.mark.parametrize(
    ("method", "path", "status", "shape"),
    [
        ("GET", "/v1beta/models/m:generateContent", 405, "gemini"),
        ("GET", "/v1/models/m:streamGenerateContent", 405, "gemini"),
        ("POST", "/v1beta/models/m:predictLongRunning", 404, "gemini"),
        ("POST", "/v1beta/models/m", 405, "gemini"),
        ("POST", "/v1beta/cachedContents", 404, "gemini"),
        ("GET", "/v1/messages", 405, "anthropic"),
        ("PUT", "/v1/messages/count_tokens", 405, "anthropic"),
        ("POST", "/v1/messages/batches", 404, "anthropic"),
        ("GET", "/v1/responses", 405, "openai"),
        ("PATCH", "/v1/responses/resp_1", 405, "openai"),
        ("POST", "/v1/responses/resp_1/input_items", 405, "openai"),
        ("GET", "/v1/responses/resp_1/nothing", 404, "openai"),
        ("GET", "/v1/responses/input_tokens", 405, "openai"),
        ("DELETE", "/v1/models/m", 405, "openai"),
        ("POST", "/v1/models/m", 405, "openai"),
        ("GET", "/v1/chat/completions", 405, "openai"),
        ("GET", "/v1/models/none", 404, "openai"),
        ("GET", "/v1/models/none:latest", 404, "openai"),
        ("GET", "/v1beta/models/none", 404, "gemini"),
    ],
)
def test_wrong_methods_and_unknown_routes(method: str, path: str, status: int, shape: str, grid: Grid) -> None:
    request = post(path, b"{}") if method in ("POST", "PUT", "PATCH") else get(path, method=method)
    reply = grid.send(request.replace(b"POST", method.encode(), 1))
    assert reply.status == status, reply.body
    error = reply.json()["error"]
    assert {"gemini": "status" in error, "anthropic": reply.json().get("type") == "error", "openai": "code" in error}[
        shape
    ], reply.body
    if status == 405:
        assert path.partition("?")[0] in error["message"]


def pages(grid: Grid, path: str, extra: str = "") -> Any:
    line = get(path).replace(b"\r\n\r\n", f"\r\n{extra}\r\n".encode()) if extra else get(path)
    return grid.send(line).json()


def test_three_lists_of_models_with_their_paging(grid: Grid) -> None:
    names = sorted((*NAMES, "claude"))
    openai = pages(grid, "/v1/models")
    assert (openai["object"], [each["id"] for each in openai["data"]]) == ("list", names)
    version = "anthropic-version: 2023-06-01\r\n"
    found: list[str] = []
    after = ""
    while True:
        page = pages(grid, f"/v1/models?limit=3{after}", version)
        found += [each["id"] for each in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        if not page["has_more"]:
            break
        after = f"&after_id={quote(page['last_id'], safe='')}"
    assert found == names
    back = pages(grid, f"/v1/models?limit=2&before_id={quote(names[-1], safe='')}", version)
    assert [each["id"] for each in back["data"]] == names[-3:-1]
    found, token = [], ""
    while True:
        page = pages(grid, f"/v1beta/models?pageSize=2{token}")
        found += [each["name"].removeprefix("models/") for each in page["models"]]
        assert "generateContent" in page["models"][0]["supportedGenerationMethods"]
        if "nextPageToken" not in page:
            break
        token = f"&pageToken={quote(page['nextPageToken'], safe='')}"
    assert found == names
    assert pages(grid, f"/v1/models?key={KEY}", "x-goog-api-key: no\r\n").keys() == {"models"}
    for path, extra, param in (
        ("/v1/models?limit=no", version, "limit"),
        ("/v1/models?after_id=nobody", version, "after_id"),
        ("/v1beta/models?pageSize=-1", "", "pageSize"),
        ("/v1beta/models?pageToken=!!", "", "pageToken"),
    ):
        reply = pages(grid, path, extra)
        assert param in json.dumps(reply["error"])
