"""Forms: the model's value is found and replaced, every other byte stays; what can be read two ways is refused."""

from __future__ import annotations

import contextlib
import email
import email.policy

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseload.errors import Refusal
from baseload.wire.media import multipart
from baseload.wire.media.multipart import InvalidForm, boundary_of, read_form

TYPE = "multipart/form-data; boundary=b1"


def part(name: str, value: bytes, extra: str = "", headers: str = "") -> bytes:
    return b'--b1\r\nContent-Disposition: form-data; name="%b"%b\r\n%b\r\n%b\r\n' % (
        name.encode(),
        extra.encode(),
        headers.encode(),
        value,
    )


FILE = part("file", b"RIFF\r\n\r\n--b\0\xff", '; filename="a.wav"', "Content-Type: audio/wav\r\n")
WHOLE = part("model", b"whisper-1") + FILE + part("stream", b"true") + b"--b1--\r\n"


def test_only_the_model_changes():
    form = read_form(WHOLE, TYPE)
    field = form.one("model")
    assert field is not None
    assert form.replaced(field, b"whisper-large-v3") == WHOLE.replace(b"whisper-1", b"whisper-large-v3")
    assert form.text("stream") == "true"
    assert form.text("language") is None
    assert [(field.name, field.file) for field in form.fields] == [("model", False), ("file", True), ("stream", False)]


def test_a_form_as_a_client_library_writes_it():
    request = httpx.Request(
        "POST",
        "http://h/",
        data={"model": "a model", "temperature": "0.5", "timestamp_granularities[]": ["word", "segment"]},
        files={"file": ("ü.mp3", b"\xff\xfb--\r\n--x", "audio/mpeg")},
    )
    body = request.read()
    form = read_form(body, request.headers["content-type"])
    assert form.text("model") == "a model"
    field = form.one("model")
    assert field is not None
    changed = form.replaced(field, b"other")
    assert changed == body.replace(b"a model", b"other")
    file = form.one("file")
    assert file is not None
    assert body[file.start : file.end] == b"\xff\xfb--\r\n--x"


def test_a_part_s_own_length_follows_its_value():
    body = part("model", b"whisper-1", headers="Content-Length: 9\r\n") + FILE + b"--b1--\r\n"
    form = read_form(body, TYPE)
    field = form.one("model")
    assert field is not None
    changed = form.replaced(field, b"large-whisper")
    assert changed == body.replace(b"Content-Length: 9", b"Content-Length: 13").replace(b"whisper-1", b"large-whisper")
    assert read_form(changed, TYPE).text("model") == "large-whisper"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b1--",
        b"\r\n" + WHOLE,
        WHOLE.removesuffix(b"\r\n"),
        WHOLE.replace(b"--b1\r\n", b"--b1 \t\r\n"),
        part("a", b"") + b"--b1--\r\n",
    ],
)
def test_what_a_form_may_be(body):
    if not body:
        with pytest.raises(InvalidForm):
            read_form(body, TYPE)
        return
    form = read_form(body, TYPE)
    assert form.one("model") is None or form.text("model") == "whisper-1"


@pytest.mark.parametrize(
    "body",
    [
        b"preamble\r\n" + WHOLE,
        WHOLE + b"epilogue",
        WHOLE.replace(b"--b1--\r\n", b""),
        WHOLE.replace(b"\r\n", b"\n"),
        WHOLE.replace(b"--b1\r\n", b"--b1x\r\n", 1),
        part("a", b"x\r\n--b1y\r\nz") + b"--b1--",
        part("a", b"x").replace(b"form-data", b"attachment") + b"--b1--",
        part("a", b"x").replace(b'; name="a"', b"") + b"--b1--",
        part("a", b"x").replace(b'name="a"', b'name="a"; name="b"') + b"--b1--",
        part("a", b"x").replace(b'name="a"', b"name=\"a\"; name*=utf-8''model") + b"--b1--",
        part("a", b"x").replace(b'name="a"', b'name="a') + b"--b1--",
        part("a", b"x", headers="no colon\r\n") + b"--b1--",
        part("a", b"x", headers=" folded: 1\r\n") + b"--b1--",
        part("a", b"x", headers="a: b\nc: d\r\n") + b"--b1--",
        part("a", b"x", headers='Content-Disposition: form-data; name="model"\r\n') + b"--b1--",
        part("a", b"x", headers="Content-Transfer-Encoding: base64\r\n") + b"--b1--",
        part("a", b"x", headers="Content-Length: 2\r\n") + b"--b1--",
        part("a", b"x", headers="X: " + "y" * multipart.HEAD_MAX + "\r\n") + b"--b1--",
        part("a", b"x") * (multipart.PARTS_MAX + 1) + b"--b1--",
        b"--b1\r\n\r\nvalue\r\n--b1--",
        b"--b1\r\n",
        b"--b1",
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(body):
    with pytest.raises(InvalidForm):
        read_form(body, TYPE)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; Boundary="a b:c"', b"a b:c"),
        ("multipart/form-data;boundary=----WebKitFormBoundaryX", b"----WebKitFormBoundaryX"),
        ("multipart/form-data; boundary=abc;", b"abc"),
    ],
)
def test_boundaries(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="a\x00"',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=" + "a" * 71,
        'multipart/form-data; boundary="a ',
        "multipart/form-data; boundary=ä",
    ],
)
def test_content_types_without_a_boundary(content_type):
    with pytest.raises(InvalidForm):
        boundary_of(content_type)


def test_a_field_that_comes_twice_is_refused_by_its_name():
    form = read_form(part("model", b"a") + part("model", b"b") + b"--b1--", TYPE)
    with pytest.raises(InvalidForm) as refusal:
        form.text("model")
    assert refusal.value.param == "model"


@pytest.mark.parametrize("value", [b"\xff", b"x" * 5000])
def test_a_value_that_is_no_text_is_refused_by_its_name(value):
    form = read_form(part("model", value) + b"--b1--", TYPE)
    with pytest.raises(InvalidForm) as refusal:
        form.text("model")
    assert refusal.value.param == "model"


def test_a_model_that_is_a_file_is_refused():
    form = read_form(part("model", b"a", '; filename="x"') + b"--b1--", TYPE)
    with pytest.raises(InvalidForm):
        form.text("model")


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters='"\\'), min_size=1), st.binary()
        ),
        max_size=6,
    ),
    st.binary(max_size=20),
)
def test_any_form_is_read_as_the_standard_library_reads_it(fields, model):
    parts = [*fields, ("model", model)]
    if any(b"--b1" in value for _, value in parts):
        return
    body = b"".join(part(name, value) for name, value in parts) + b"--b1--\r\n"
    form = read_form(body, TYPE)
    assert [(field.name, body[field.start : field.end]) for field in form.fields] == parts
    message = email.message_from_bytes(b"Content-Type: " + TYPE.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP)
    assert [found.get_param("name", header="content-disposition") for found in message.iter_parts()] == [
        name for name, _ in parts
    ]


@given(st.binary(max_size=300), st.sampled_from([TYPE, "multipart/form-data", 'multipart/form-data; boundary="']))
def test_strangers_bytes_raise_nothing_but_a_refusal(body, content_type):
    for candidate in (body, b"--b1\r\n" + body, part("model", body), WHOLE[: len(body)] + body):
        with contextlib.suppress(Refusal):
            read_form(candidate, content_type)


def test_a_form_cut_anywhere_is_refused():
    end = WHOLE.rindex(b"--b1--") + len(b"--b1--")
    for cut in range(end):
        with pytest.raises(InvalidForm):
            read_form(WHOLE[:cut], TYPE)
