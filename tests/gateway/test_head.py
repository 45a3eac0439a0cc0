"""Request heads: what is read, and what is refused because another reader could read it differently."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.gateway.head import CHUNKED, BadHead, read_head

HOST = b"host: a\r\n"


def head(*lines: bytes, start: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    return start + b"\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def test_what_a_gateway_needs() -> None:
    found = read_head(
        head(b"Authorization: Bearer  sk-1 ", b"Content-Type: application/json; charset=utf-8", b"CONTENT-LENGTH: 12")
    )
    assert (found.method, found.path, found.key, found.length) == (b"POST", b"/v1/chat/completions", b"sk-1", 12)
    assert found.content_type == b"application/json; charset=utf-8"
    assert found.keep_alive
    assert not found.expect


@pytest.mark.parametrize(
    "line", [b"x-api-key: sk-1", b"api-key:sk-1", b"AUTHORIZATION: bearer sk-1", b"authorization: sk-1"]
)
def test_every_place_a_client_puts_its_key(line: bytes) -> None:
    assert read_head(head(line)).key == b"sk-1"


@pytest.mark.parametrize("line", [b"Content-Length: 12", b"Accept: */*"])
def test_a_head_can_be_read_again_as_it_came(line: bytes) -> None:
    whole = head(b"X-Baseload-Lossless: true", line, b"Anthropic-Beta: One")
    found = read_head(whole)
    assert found.raw == whole
    assert found.low == whole.lower()


def test_query_is_no_part_of_the_path() -> None:
    found = read_head(head(start=b"POST /v1/messages?beta=true HTTP/1.1"))
    assert (found.path, found.query) == (b"/v1/messages", b"beta=true")


def test_versions_and_keep_alive() -> None:
    assert not read_head(head(b"connection: close")).keep_alive
    assert not read_head(b"GET / HTTP/1.0\r\n\r\n").keep_alive
    assert read_head(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").keep_alive


def test_a_name_inside_another_header_is_not_that_header() -> None:
    found = read_head(head(b"x-note: content-length: 9", b"x-authorization: Bearer no", b"content-length: 3"))
    assert (found.length, found.key) == (3, b"")


HOSTILE = {
    "both framings": [b"content-length: 3", b"transfer-encoding: chunked"],
    "both framings, other order": [b"transfer-encoding: chunked", b"content-length: 3"],
    "two lengths": [b"content-length: 3", b"content-length: 4"],
    "two equal lengths": [b"content-length: 3", b"content-length: 3"],
    "list of lengths": [b"content-length: 3, 3"],
    "signed length": [b"content-length: +3"],
    "hex length": [b"content-length: 0x3"],
    "negative length": [b"content-length: -1"],
    "no digits": [b"content-length: "],
    "overflow": [b"content-length: 99999999999999999999999999"],
    "chunked not last": [b"transfer-encoding: chunked, identity"],
    "chunked twice": [b"transfer-encoding: chunked", b"transfer-encoding: chunked"],
    "unknown coding": [b"transfer-encoding: gzip, chunked"],
    "looks like chunked": [b"transfer-encoding: xchunked"],
    "vertical tab": [b"transfer-encoding: \x0bchunked"],
    "space before colon": [b"content-length : 3"],
    "folded": [b"x: a\r\n b"],
    "bare CR": [b"x: a\rcontent-length: 3"],
    "bare LF": [b"x: a\ncontent-length: 3"],
    "NUL": [b"x: a\x00b"],
    "no name": [b": 3"],
    "two hosts": [b"host: b"],
    "unknown expectation": [b"expect: 200-ok"],
}


@pytest.mark.parametrize("lines", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_heads_are_refused(lines: list[bytes]) -> None:
    with pytest.raises(BadHead) as refused:
        read_head(head(*lines))
    assert refused.value.status in (400, 417, 501)


@pytest.mark.parametrize(
    "start",
    [
        b"POST /x",
        b"POST /x HTTP/2.0",
        b"POST /x HTTP/1.1 ",
        b"PO ST /x HTTP/1.1",
        b"CONNECT a:1 HTTP/1.1",
    ],
)
def test_hostile_request_lines_are_refused(start: bytes) -> None:
    with pytest.raises(BadHead):
        read_head(head(start=start))


def test_an_upgrade_is_ignored() -> None:
    found = read_head(head(b"upgrade: h2c", b"connection: upgrade, http2-settings", b"content-length: 3"))
    assert (found.path, found.length) == (b"/v1/chat/completions", 3)


def test_absolute_form() -> None:
    found = read_head(head(start=b"POST http://gateway:8400/v1/embeddings?a=b HTTP/1.1"))
    assert (found.path, found.query) == (b"/v1/embeddings", b"a=b")


def test_missing_host_is_refused() -> None:
    with pytest.raises(BadHead):
        read_head(b"GET / HTTP/1.1\r\n\r\n")


def test_chunked() -> None:
    assert read_head(head(b"Transfer-Encoding: chunked")).length == CHUNKED


def test_a_length_nobody_sends_is_larger_than_every_limit() -> None:
    assert read_head(head(b"content-length: 9999999999999999")).length >= 1 << 62


@given(st.binary(max_size=300))
def test_any_bytes_give_a_head_or_a_refusal(noise: bytes) -> None:
    for data in (noise, b"POST /x HTTP/1.1\r\nhost: a\r\n" + noise + b"\r\n\r\n"):
        with contextlib.suppress(BadHead):
            assert read_head(data).length >= CHUNKED


@given(
    st.lists(
        st.tuples(st.from_regex(r"x-[a-z]{1,8}", fullmatch=True), st.from_regex(r"[ -~]{0,30}", fullmatch=True)),
        max_size=8,
    )
)
def test_other_headers_never_change_what_is_read(others: list[tuple[str, str]]) -> None:
    lines = [f"{name}: {value}".encode() for name, value in others]
    found = read_head(head(*lines, b"authorization: Bearer k", b"content-length: 5"))
    assert (found.key, found.length) == (b"k", 5)
