"""Forms with files (multipart/form-data, RFC 7578): where each value stands, so that one of them can be replaced.

In:     the body and its content type. Out: `Form`: names and places; `replaced` gives the body with one value changed
        and every other byte as it came. No part is copied or decoded.
Refused: whatever two readers could read in two ways: a boundary that is not closed or has something around it, lines
        that end in a bare LF, headers that are not understood, a field that comes twice where it decides route or
        bill. Bounded: PARTS_MAX parts, HEAD_MAX bytes of headers each.
"""

from __future__ import annotations

import re

import msgspec

from baseload.errors import Refusal

PARTS_MAX = 1000
HEAD_MAX = 16 * 1024
VALUE_MAX = 4096  # bytes of a value that we read ourselves

_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")  # RFC 2046, 5.1.1
_PARAMETER = re.compile(r';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^ \t;"]+))[ \t]*')
_ENCODINGS = ("", "7bit", "8bit", "binary")


class InvalidForm(Refusal):
    """The body is not one form that every reader reads alike."""

    code, status = "invalid_form", 400

    def __init__(self, say: str, param: str | None = None) -> None:
        super().__init__(say, "Send multipart/form-data as RFC 7578 describes it.", param=param)


class Field(msgspec.Struct, frozen=True, gc=False):
    """One part of a form; its value is body[start:end]."""

    name: str
    start: int
    end: int
    file: bool = False  # it has a file name
    length: tuple[int, int] = (0, 0)  # where the digits of its own Content-Length stand (OkHttp sends one)


class Form(msgspec.Struct, gc=False):
    body: bytes
    fields: list[Field]

    def one(self, name: str) -> Field | None:
        """The only field of that name; refused where there are several, of which readers pick different ones."""
        found = [field for field in self.fields if field.name == name]
        if len(found) > 1:
            raise InvalidForm(f"The form has {len(found)} fields {name}.", name)
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """The value of a plain field; None where there is none."""
        field = self.one(name)
        if field is None:
            return None
        if field.file:
            raise InvalidForm(f"The field {name} is a file; it must be text.", name)
        if field.end - field.start > VALUE_MAX:
            raise InvalidForm(f"The field {name} is longer than {VALUE_MAX} bytes.", name)
        try:
            return self.body[field.start : field.end].decode()
        except UnicodeDecodeError:
            raise InvalidForm(f"The field {name} is not UTF-8.", name) from None

    def replaced(self, field: Field, value: bytes) -> bytes:
        """The body with another value in the place of this field's."""
        body, (at, until) = self.body, field.length
        if not until:
            return b"".join((body[: field.start], value, body[field.end :]))
        return b"".join((body[:at], b"%d" % len(value), body[until : field.start], value, body[field.end :]))


def read_form(body: bytes | bytearray, content_type: str) -> Form:
    body = bytes(body)
    mark = b"--" + boundary_of(content_type)
    first = 2 if body.startswith(b"\r\n") else 0
    if not body.startswith(mark, first):
        raise InvalidForm("The form does not begin with its boundary.")
    mark = b"\r\n" + mark
    fields: list[Field] = []
    at = first + len(mark) - 2
    while True:
        if body.startswith(b"--", at):
            if body[at + 2 :].strip(b" \t\r\n"):
                raise InvalidForm("Something follows the end of the form.")
            return Form(body, fields)
        begin = _line_end(body, at)
        if len(fields) == PARTS_MAX:
            raise InvalidForm(f"The form has more than {PARTS_MAX} parts.")
        head_end = body.find(b"\r\n\r\n", begin, begin + HEAD_MAX)
        if head_end < 0:
            raise InvalidForm(f"Part {len(fields) + 1} of the form has no end of its headers within {HEAD_MAX} bytes.")
        start = head_end + 4
        end = body.find(mark, start - 2)  # an empty value: the line end after the headers begins the boundary
        if end < 0:
            raise InvalidForm("The form is not closed by its boundary.")
        fields.append(_field(body, begin, head_end, start, max(start, end), len(fields) + 1))
        at = end + len(mark)


def boundary_of(content_type: str) -> bytes:
    kind, _, _ = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise InvalidForm(f"The content type is {kind.strip()[:100]!a}, not multipart/form-data.")
    found = [value for name, value in _parameters(content_type[len(kind) :]) if name == "boundary"]
    boundary = found[0].encode("utf-8", "replace") if len(found) == 1 else b""
    if not _BOUNDARY.match(boundary):
        raise InvalidForm("The content type names no boundary, or not one that a form may have.")
    return boundary


def _line_end(body: bytes, at: int) -> int:
    """Where the line after a boundary begins: blanks may follow the boundary, nothing else."""
    end = body.find(b"\r\n", at, at + 1024)
    if end < 0 or body[at:end].strip(b" \t"):
        raise InvalidForm("A line of the form begins like its boundary and goes on.")
    return end + 2


def _field(body: bytes, begin: int, head_end: int, start: int, end: int, number: int) -> Field:
    name: str | None = None
    file = False
    length = (0, 0)
    at = begin
    for line in body[begin:head_end].split(b"\r\n"):
        header, colon, value = line.partition(b":")
        if not colon or b"\n" in line or b"\r" in line or b"\0" in line or not header.strip() or line[:1] in b" \t":
            raise InvalidForm(f"Part {number} of the form has a header that is not understood.")
        key, text = header.strip().lower(), value.strip(b" \t")
        if key == b"content-disposition":
            if name is not None:
                raise InvalidForm(f"Part {number} of the form is named twice.")
            name, file = _named(text, number)
        elif key == b"content-transfer-encoding" and text.lower().decode("latin-1") not in _ENCODINGS:
            raise InvalidForm(f"Part {number} of the form is encoded; send its value as it is.")
        elif key == b"content-length":
            if length[1] or not text.isdigit() or len(text) > 12 or int(text) != end - start:
                raise InvalidForm(f"Part {number} of the form has a Content-Length that is not its length.")
            digits = at + line.rindex(text)
            length = (digits, digits + len(text))
        at += len(line) + 2
    if name is None:
        raise InvalidForm(f"Part {number} of the form has no name.")
    return Field(name, start, end, file, length)


def _named(value: bytes, number: int) -> tuple[str, bool]:
    """(name, is it a file) of a Content-Disposition."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")  # old clients; of a file name, mostly
    kind, _, _ = text.partition(";")
    found = _parameters(text[len(kind) :])
    names = [value for name, value in found if name == "name"]
    keys = [name for name, _ in found]
    if kind.strip().lower() != "form-data" or len(names) != 1 or "name*" in keys:
        raise InvalidForm(f"Part {number} of the form has no name, or one that is not understood.")
    return names[0], "filename" in keys or "filename*" in keys


def _parameters(text: str) -> list[tuple[str, str]]:
    """`; name=value; name="value"`; refused where something else stands between."""
    found: list[tuple[str, str]] = []
    at = 0
    text = text.rstrip(" \t;")
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise InvalidForm(f"A header of the form is not understood near {text[at : at + 40]!a}.")
        quoted, plain = match.group(2), match.group(3)
        found.append((match.group(1).lower(), plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))
        at = match.end()
    return found
