"""Invoices as files: CSV and Parquet for programs, PDF for people.

In:     documents. Out: bytes. A row of CSV and Parquet is a line of a document, then its net, taxes, rounding and total
        (column `what`), so that a file adds up by itself. DuckDB and typst are loaded when they are needed only; they
        come with the extra `reports`.
The PDF's template is ours (`invoice.typ`); a document enters it as JSON. Texts in it are values, never code.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from baseload.errors import Refusal
from baseload.ledger.documents import Document, Line
from baseload.ledger.parquet import connect, load
from baseload.ledger.rollups import usage_meter

Format = Literal["csv", "parquet", "pdf"]
MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet", "pdf": "application/pdf"}
TEMPLATE = Path(__file__).with_name("invoice.typ")
_METERS = ("input", "cache_read", "cache_write", "output", "media", "tools")
_TEXTS = (
    "number",
    "document",
    "account",
    "currency",
    "start",
    "end",
    "issued",
    "refers_to",
    "what",
    "text",
    "late_for",
)
COLUMNS = {
    "number": "VARCHAR",  # "" = a draft
    "document": "VARCHAR",  # invoice | credit_note
    "refers_to": "VARCHAR",
    "account": "VARCHAR",
    "start": "VARCHAR",
    "end": "VARCHAR",
    "issued": "VARCHAR",
    "line": "BIGINT",  # 0 = a sum
    "what": "VARCHAR",  # usage | adjustment | credit | net | tax | rounding | total
    "text": "VARCHAR",  # the model, the adjustment, the tax with its rate
    "late_for": "VARCHAR",
    "calls": "BIGINT",
    **dict.fromkeys(_METERS, "BIGINT"),
    "currency": "VARCHAR",
    "amount": "DECIMAL(38,9)",
    "nano": "BIGINT",
}
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # control characters; turning of directions
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(documents: Sequence[Document], format: Format) -> bytes:
    """The file. A PDF holds one document; the others any number. Raises Refusal where the extra is missing."""
    if format == "csv":
        return to_csv(documents)
    if format == "parquet":
        return to_parquet(documents)
    if len(documents) != 1:
        raise Refusal(
            f"A PDF holds one document, and these are {len(documents)}.",
            "Name a number or a currency.",
            code="one_document",
        )
    return to_pdf(documents[0])


def rows(documents: Iterable[Document]) -> Iterable[dict[str, Any]]:
    """Lines and sums of documents, one dict a row with all COLUMNS."""
    for document in documents:
        head = {
            "number": document.number, "document": document.kind, "refers_to": document.refers_to,
            "account": document.account_name, "start": document.start, "end": document.end, "issued": document.issued,
            "currency": document.currency, **dict.fromkeys(("line", "calls", *_METERS), 0), "text": "", "late_for": "",
        }  # fmt: skip
        for line in document.all_lines():
            yield head | {
                "line": line.line, "what": line.kind, "text": line.text, "late_for": line.late_for, "calls": line.calls,
                **_meters(line), "amount": line.amount, "nano": line.nano,
            }  # fmt: skip
        yield head | {"what": "net", "amount": document.net, "nano": document.net_nano}
        for tax in document.taxes:
            yield head | {"what": "tax", "text": f"{tax.name} {tax.percent} %", "amount": tax.amount, "nano": tax.nano}
        yield head | {"what": "rounding", "amount": document.rounding, "nano": document.rounding_nano}
        yield head | {"what": "total", "amount": document.total, "nano": document.total_nano}


def _meters(line: Line) -> dict[str, int]:
    """As `usage_hours` adds them up; reasoning is inside output."""
    sums = dict.fromkeys(_METERS, 0)
    for meter, units in line.meters.items():
        if meter != "reasoning":
            sums[usage_meter(meter)] += units
    return sums


def to_csv(documents: Iterable[Document]) -> bytes:
    """UTF-8 with a head line. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    for row in rows(documents):
        writer.writerow({name: _no_formula(value) if name in _TEXTS else value for name, value in row.items()})
    return buffer.getvalue().encode()


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def to_parquet(documents: Iterable[Document]) -> bytes:
    """Amounts as DECIMAL(38, 9), written from their text: exact."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
    marks = ", ".join("?" * len(COLUMNS))
    values = [[row[name] for name in COLUMNS] for row in rows(documents)]
    with tempfile.TemporaryDirectory(prefix="baseload-") as folder:
        path = Path(folder) / "statement.parquet"
        connection = connect()
        try:
            connection.execute(f"CREATE TABLE statement ({columns})")
            if values:
                connection.executemany(f"INSERT INTO statement VALUES ({marks})", values)  # noqa: S608 - our own marks
            connection.table("statement").write_parquet(str(path), compression="zstd")
        finally:
            connection.close()
        return path.read_bytes()


def to_pdf(document: Document, *, format: Literal["pdf", "png"] = "pdf") -> bytes:
    """A4, as many pages as it needs. The same document gives the same bytes on the same machine.

    format: "png" gives the first page as a picture.
    """
    typst = load("typst")
    made: bytes | list[bytes] = typst.compile(
        TEMPLATE.read_bytes(),
        root=str(TEMPLATE.parent),
        format=format,
        sys_inputs={"document": msgspec.json.encode(_printed(document)).decode()},
        timestamp=document.issued_ns // 10**9,
    )
    return made[0] if isinstance(made, list) else made


def _printed(document: Document) -> dict[str, Any]:
    """What the template shows, as texts: no number goes through a float."""
    return {
        "kind": document.kind,
        "number": document.number,
        "issued": document.issued[:10],
        "currency": document.currency,
        "account": document.account_name,
        "seller": msgspec.to_builtins(document.seller),
        "buyer": msgspec.to_builtins(document.buyer),
        "start": _edge(document.start),
        "end": _edge(document.end),
        "refers_to": document.refers_to,
        "reason": _readable(document.reason),
        "lines": [
            {
                "line": str(line.line),
                "text": _readable(line.text),
                "kind": line.kind,
                "late_for": line.late_for,
                "of_line": str(line.of_line or ""),
                "calls": f"{line.calls:,}" if line.kind == "usage" else "",
                "meters": [f"{units:,} {meter.replace('_', ' ')}" for meter, units in sorted(line.meters.items())],
                "at": line.at[:10],
                "amount": line.amount,
            }
            for line in document.all_lines()
        ],
        "net": document.net,
        "taxes": [{"name": tax.name, "percent": tax.percent, "amount": tax.amount} for tax in document.taxes],
        "rounding": document.rounding if document.rounding_nano else "",
        "total": document.total,
    }


def _readable(text: str) -> str:
    """The text as it may be printed: what would print nothing, or other words than it has, becomes a blank."""
    return _UNREADABLE.sub(" ", text)


def _edge(instant: str) -> str:
    """A day where an instant is its begin, else to the second."""
    return instant[:10] if instant[10:] == "T00:00:00.000000000Z" else f"{instant[:10]} {instant[11:19]}"
