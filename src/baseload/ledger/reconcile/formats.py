"""Vendors' files as lines: day, model, credential, request, tokens by kind, money. Pure.

In:     the bytes of a file, the name of its format; for "custom" a mapping that says which column is what.
Out:    `Line`s, or `BadStatement` that names the place. Numbers are read as decimals, never as floats; money that is
        finer than a nano-unit is rounded half-even, once a line.

Field names: OpenAI's organization costs and usage APIs, Anthropic's usage report, AWS's Cost and Usage Report as their
references document them. DashScope's bill and DeepSeek's usage export are read by the column names of their consoles'
files; where yours differ, use "custom".
"""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from baseload.errors import Refusal

METERS = ("input", "cache_read", "cache_write", "output", "requests")
DAY_NS = 86_400 * 10**9
_NANO = Decimal(10**9)


class BadStatement(Refusal):
    """A file that cannot be read as its format says. Nothing of it was imported."""

    code, status = "statement_wrong", 422


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`nano`: in nano-units of `currency`; None = the line names no money. `meters`: tokens by kind of METERS."""

    day_ns: int
    model: str = ""
    credential: str = ""
    request: str = ""
    currency: str = ""
    nano: int | None = None
    meters: dict[str, int] = {}


class Mapping_(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A declared format of CSV files: names of columns, "" = there is none."""

    day: str
    day_format: str = ""  # as strptime has it; "" = ISO 8601
    model: str = ""
    credential: str = ""
    request: str = ""
    amount: str = ""
    currency: str = ""  # a column, or three capital letters for all lines
    meters: dict[str, str] = {}  # of METERS -> column
    scale: str = "1"  # tokens for one unit of the file: "1000" where it counts thousands


def read(format: str, data: bytes, mapping: bytes = b"") -> list[Line]:
    """The lines of a file. Raises BadStatement."""
    if format == "custom":
        try:
            said = msgspec.convert(tomllib.loads(mapping.decode()), Mapping_)
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise BadStatement(f"The mapping cannot be read ({error}).", "See docs/money/reconcile.md.") from error
        return _csv(data, said)
    reader = FORMATS.get(format)
    if reader is None:
        raise BadStatement(f"There is no format {format!r}.", f"Choose of: {', '.join((*FORMATS, 'custom'))}.")
    return reader(data)


# -- JSON


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, parse_float=Decimal)
    except (ValueError, UnicodeDecodeError) as error:
        raise BadStatement(f"The file is not JSON ({error}).", "Export it again, whole.") from error


def _buckets(data: bytes) -> Iterator[tuple[Any, Any]]:
    """(bucket, result) of a file in pages of buckets; also of a list of pages."""
    found = _json(data)
    pages = found if isinstance(found, list) else [found]
    for number, page in enumerate(pages):
        buckets = page.get("data") if isinstance(page, dict) else None
        if not isinstance(buckets, list):
            raise BadStatement(f"Page {number + 1} has no list `data`.", "Give the API's answers as they came.")
        for bucket in buckets:
            for result in bucket.get("results") or []:
                yield bucket, result


def _lines(data: bytes, make: Callable[[Any, Any], Line]) -> list[Line]:
    lines = []
    for number, (bucket, result) in enumerate(_buckets(data), 1):
        try:
            lines.append(make(bucket, result))
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            raise BadStatement(f"Result {number} cannot be read ({type(error).__name__}: {error}).", "") from error
    return lines


def _openai_costs(data: bytes) -> list[Line]:
    def make(bucket: Any, result: Any) -> Line:
        item = str(result.get("line_item") or "")
        return Line(
            day_ns=_epoch(bucket["start_time"]), model=item.partition(",")[0].strip(),
            credential=str(result.get("project_id") or ""), currency=str(result["amount"]["currency"]).upper(),
            nano=_nano(result["amount"]["value"]),
        )  # fmt: skip

    return _lines(data, make)


def _openai_usage(data: bytes) -> list[Line]:
    def make(bucket: Any, result: Any) -> Line:
        cached = int(result.get("input_cached_tokens") or 0)
        meters = {
            "input": int(result["input_tokens"]) - cached, "cache_read": cached, "output": int(result["output_tokens"]),
            "requests": int(result.get("num_model_requests") or 0),
        }  # fmt: skip
        return Line(
            day_ns=_epoch(bucket["start_time"]), model=str(result.get("model") or ""),
            credential=str(result.get("api_key_id") or ""), meters=meters,
        )  # fmt: skip

    return _lines(data, make)


def _anthropic_usage(data: bytes) -> list[Line]:
    def make(bucket: Any, result: Any) -> Line:
        made = result.get("cache_creation") or {}
        written = sum(int(made.get(f"ephemeral_{life}_input_tokens") or 0) for life in ("5m", "1h"))
        meters = {
            "input": int(result["uncached_input_tokens"]),
            "cache_read": int(result.get("cache_read_input_tokens") or 0),
            "cache_write": written,
            "output": int(result["output_tokens"]),
        }
        return Line(
            day_ns=_day(str(bucket["starting_at"]), ""), model=str(result.get("model") or ""),
            credential=str(result.get("api_key_id") or ""), meters=meters,
        )  # fmt: skip

    return _lines(data, make)


def _anthropic_cost(data: bytes) -> list[Line]:
    def make(bucket: Any, result: Any) -> Line:
        cents = Decimal(str(result["amount"]))  # decimal text, in cents
        return Line(
            day_ns=_day(str(bucket["starting_at"]), ""), model=str(result.get("model") or ""),
            currency=str(result["currency"]).upper(), nano=_nano(cents / 100),
        )  # fmt: skip

    return _lines(data, make)


# -- CSV


def _rows(data: bytes, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadStatement(f"The file is not UTF-8 (byte {error.start}).", "Save it as UTF-8.") from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise BadStatement(
            f"The columns {', '.join(missing)} are missing.", f"There are: {', '.join(reader.fieldnames or ())}."
        )
    try:
        for row in reader:
            yield reader.line_num, {key: value or "" for key, value in row.items() if key is not None}
    except csv.Error as error:
        raise BadStatement(f"Line {reader.line_num}: {error}.", "") from error


def _csv(data: bytes, said: Mapping_) -> list[Line]:
    fixed = len(said.currency) == 3 and said.currency.isupper()
    columns = [said.day, said.model, said.credential, said.request, said.amount, *said.meters.values()]
    wrong = [name for name in said.meters if name not in METERS]
    if wrong:
        raise BadStatement(f"There is no kind of tokens {wrong[0]!r}.", f"Choose of: {', '.join(METERS)}.")
    if not fixed and said.amount:
        columns.append(said.currency)
    lines = []
    scale = Decimal(said.scale)
    for number, row in _rows(data, tuple(name for name in columns if name)):
        try:
            lines.append(
                Line(
                    day_ns=_day(row[said.day], said.day_format), model=row.get(said.model, ""),
                    credential=row.get(said.credential, ""), request=row.get(said.request, ""),
                    currency=(said.currency if fixed else row[said.currency].upper()) if said.amount else "",
                    nano=_nano(row[said.amount]) if said.amount and row[said.amount].strip() else None,
                    meters={name: _count(row[column], scale) for name, column in said.meters.items()},
                )
            )  # fmt: skip
        except (ValueError, ArithmeticError) as error:
            raise BadStatement(f"Line {number}: {error}.", "Mend the line, or the mapping.") from error
    return lines


def _deepseek(data: bytes) -> list[Line]:
    """One row a day, model, key and kind of tokens."""
    kinds = {"input_cache_hit_tokens": "cache_read", "input_cache_miss_tokens": "input", "output_tokens": "output",
             "request_count": "requests"}  # fmt: skip
    needed = ("utc_date", "model", "api_key_name", "type", "price", "amount")
    lines = []
    for number, row in _rows(data, needed):
        try:
            kind, count = kinds.get(row["type"], ""), _count(row["amount"], Decimal(1))
            price = Decimal(row["price"] or 0)  # of one token
            lines.append(
                Line(
                    day_ns=_day(row["utc_date"], ""), model=row["model"], credential=row["api_key_name"],
                    currency=row.get("currency", "CNY") or "CNY",
                    nano=None if kind == "requests" else _nano(price * count), meters={kind: count} if kind else {},
                )
            )  # fmt: skip
        except (ValueError, ArithmeticError) as error:
            raise BadStatement(f"Line {number}: {error}.", "") from error
    return lines


def _aws(data: bytes) -> list[Line]:
    """Bedrock's lines of a Cost and Usage Report; others are passed over."""
    needed = ("lineItem/UsageStartDate", "lineItem/ProductCode", "lineItem/UsageType", "lineItem/UsageAmount",
              "lineItem/UnblendedCost", "lineItem/CurrencyCode")  # fmt: skip
    lines = []
    for number, row in _rows(data, needed):
        if "bedrock" not in row["lineItem/ProductCode"].lower():
            continue
        kind, used = row["lineItem/UsageType"], row["lineItem/UsageAmount"]
        low = kind.lower()
        meter = next((name for word, name in (("cache-read", "cache_read"), ("cacheread", "cache_read"),
                      ("cache-write", "cache_write"), ("cachewrite", "cache_write"), ("output", "output"),
                      ("input", "input")) if word in low), "")  # fmt: skip
        try:
            lines.append(
                Line(
                    day_ns=_day(row["lineItem/UsageStartDate"], ""), model=row.get("product/model") or kind,
                    currency=row["lineItem/CurrencyCode"].upper(), nano=_nano(row["lineItem/UnblendedCost"]),
                    meters={meter: _count(used, Decimal(1000))} if meter else {},  # it counts thousands of tokens
                )
            )  # fmt: skip
        except (ValueError, ArithmeticError) as error:
            raise BadStatement(f"Line {number}: {error}.", "") from error
    return lines


_DASHSCOPE = Mapping_(
    day="usage_date", model="model", credential="api_key_id", request="request_id", amount="amount",
    currency="currency", meters={"input": "input_tokens", "output": "output_tokens", "cache_read": "cached_tokens"},
)  # fmt: skip

FORMATS: Mapping[str, Callable[[bytes], list[Line]]] = {
    "openai-costs": _openai_costs,
    "openai-usage": _openai_usage,
    "anthropic-usage": _anthropic_usage,
    "anthropic-cost": _anthropic_cost,
    "deepseek-usage": _deepseek,
    "dashscope-bill": lambda data: _csv(data, _DASHSCOPE),
    "aws-cur": _aws,
}


def _epoch(seconds: Any) -> int:
    at_ns = int(seconds) * 10**9
    return at_ns - at_ns % DAY_NS


def _day(text: str, format: str) -> int:
    text = text.strip()
    found = datetime.strptime(text, format) if format else datetime.fromisoformat(text.replace("Z", "+00:00"))
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return _epoch(found.timestamp())


def _nano(value: Any) -> int:
    try:
        return int((Decimal(str(value).strip()) * _NANO).to_integral_value(rounding="ROUND_HALF_EVEN"))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is no amount") from error


def _count(text: str, scale: Decimal) -> int:
    try:
        return int((Decimal(text.strip() or "0") * scale).to_integral_value(rounding="ROUND_HALF_EVEN"))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no number") from error
