"""The catalogue of providers: facts by name, loaded when first asked for.

In:     a vendor's name, or the base URL of any OpenAI-compatible server.
Out:    `Vendor`; price rows of its list. A name nobody knows is a refusal with the nearest names.
Reads only files of this package. Importing it parses nothing: a gateway starts without touching a TOML file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from baseload.errors import Defect, Refusal
from baseload.providers.vendor import ErrorRule, Host, Vendor

if TYPE_CHECKING:
    from baseload.money.price import PriceRow

__all__ = [
    "COMPATIBLE",
    "UnknownVendor",
    "calendars",
    "check_base_url",
    "common_errors",
    "custom",
    "names",
    "price_names",
    "price_rows",
    "vendor",
]

COMPATIBLE = "compatible"  # the dialect of a server about which nothing more is known
_DATA = Path(__file__).with_name("data")
_ABORT = ("stops", "continues", "unknown")
_ENDPOINTS = (
    "/chat/completions", "/completions", "/embeddings", "/models", "/responses", "/messages", "/rerank",
    "/images/generations", "/audio/speech", "/audio/transcriptions",
)  # fmt: skip


class UnknownVendor(Refusal):
    """No vendor of that name in the catalogue."""

    code = "unknown_provider"
    status = 404


@cache
def names() -> tuple[str, ...]:
    """Every dialect of the catalogue, sorted. "compatible" stands for any OpenAI-compatible server."""
    return tuple(sorted(path.stem for path in (_DATA / "vendors").glob("*.toml")))


@cache
def price_names() -> tuple[str, ...]:
    """Every vendor with a price list here, sorted; some have no dialect yet."""
    return tuple(sorted(path.stem for path in (_DATA / "prices").glob("*.toml")))


@cache
def vendor(name: str) -> Vendor:
    """The facts of a vendor, by its name or one of its other names. Raises UnknownVendor."""
    if name in names():
        return _load(name)
    every = [_load(known) for known in names()]  # only on a name that is not a file's: costs a few ms
    for found in every:
        if name.lower() in found.also or name.lower() == found.name:
            return found
    raise _unknown(name, [word for found in every for word in (found.name, *found.also)])


@cache
def price_rows(name: str) -> tuple[PriceRow, ...]:
    """The cost rows of a vendor's list, as shipped (book "cost:<vendor>"). Raises UnknownVendor.

    Facts with a date, not advice: each row says where and when it was read. The gateway never calls this.
    """
    from baseload.money.book import load_book, load_calendars

    if name not in price_names():
        raise _unknown(name, price_names())
    return tuple(load_book(_DATA / "prices" / f"{name}.toml", load_calendars(_DATA / "calendars.toml")))


def calendars() -> dict[str, tuple[str, ...]]:
    """The holiday calendars that ship with the catalogue: name -> local dates. For `load_book` of one's own files."""
    from baseload.money.book import load_calendars

    return load_calendars(_DATA / "calendars.toml")


@cache
def common_errors() -> tuple[ErrorRule, ...]:
    """Error rules that hold for any OpenAI-compatible server, asked after a vendor's own."""
    return msgspec.toml.decode((_DATA / "common_errors.toml").read_bytes(), type=_Common).error


class _Common(msgspec.Struct, forbid_unknown_fields=True):
    error: tuple[ErrorRule, ...]


def custom(
    base_url: str,
    *,
    name: str = COMPATIBLE,
    title: str = "",
    like: str = COMPATIBLE,
    header: str = "",
    scheme: str | None = None,
    key_required: bool | None = None,
    abort: str = "",
    cache_write_ttl: str = "",
) -> Vendor:
    """A provider the catalogue does not know: any OpenAI-compatible server, by base URL (with its version prefix).

    `like` names the dialect whose error table and quirks fit best. Raises Refusal for a URL that cannot be right.
    """
    base = vendor(like)
    if abort and abort not in _ABORT:
        raise Refusal(f'abort is "{abort}".', f"Use one of {', '.join(_ABORT)}.", code="bad_provider", param="abort")
    auth = msgspec.structs.replace(
        base.auth,
        header=(header or base.auth.header).lower(),
        scheme=base.auth.scheme if scheme is None else scheme,
        required=base.auth.required if key_required is None else key_required,
    )
    usage = base.usage
    if cache_write_ttl:
        usage = msgspec.structs.replace(usage, cache_write_ttl=cache_write_ttl)
    return msgspec.structs.replace(
        base,
        name=name,
        title=title or name,
        also=(),
        scope="global",
        hosts=(Host(base_url=check_base_url(base_url)),),
        auth=auth,
        usage=usage,
        abort=abort or base.abort,
    )


def check_base_url(text: str) -> str:
    """Returns the base URL without a slash at its end. Raises Refusal with the URL that was probably meant."""

    def wrong(say: str, fix: str) -> Refusal:
        return Refusal(say, fix, code="bad_base_url", param="base_url")

    try:
        parts = urlsplit(text.strip())
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_ok = urlsplit(""), False
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not port_ok
        or set(text.strip()) & set(" \\\t\r\n")
    ):
        raise wrong(f'"{text}" is no base URL.', 'Write it like "https://api.example.com/v1".')
    if parts.username is not None or parts.password is not None:
        raise wrong("The base URL holds a user name or password.", "Give the credential as env:NAME or file:PATH.")
    if parts.query or parts.fragment:
        raise wrong("The base URL has a query or fragment.", f'Write "{parts.scheme}://{parts.netloc}{parts.path}".')
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        if path.endswith(endpoint):
            meant = f"{parts.scheme}://{parts.netloc}{path.removesuffix(endpoint)}"
            raise wrong(f'The base URL ends in "{endpoint}", which Baseload adds itself.', f'Write "{meant}".')
    return f"{parts.scheme}://{parts.netloc}{path}"


@cache
def _load(name: str) -> Vendor:
    path = _DATA / "vendors" / f"{name}.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Vendor)
    except msgspec.ValidationError as error:  # our own file: a test loads them all
        raise Defect(f"{path}: {error}") from error


def _unknown(name: str, known: list[str] | tuple[str, ...]) -> UnknownVendor:
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), known, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(sorted(known))}."
    return UnknownVendor(
        f'The catalogue has no provider "{name}".',
        f"{hint} Any OpenAI-compatible server works by its base URL.",
    )
