"""Invoices and credit notes as documents: their parts, taxes, and the one rounding of a total. Pure.

In:     lines in nano-units of one currency, declared taxes. Out: a `Document` whose sums are exact:

    net      = lines + adjustments
    tax      = net x percent / 100, each tax to the nano-unit, half to even
    rounding = what brings net + taxes to whole minor units of the currency, half to even
    total    = net + taxes + rounding

Amounts of a credit note are negative: a sum over documents is what was asked for in the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from baseload.errors import Refusal
from baseload.ledger.texts import decimal
from baseload.money.amount import NANO, format_decimal, parse_decimal, round_half_even

DECIMALS = {"JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3, "JOD": 3, "OMR": 3, "TND": 3}  # the others have 2
TAXES_MAX, NAME_MAX, ADDRESS_MAX = 10, 200, 1000
NANO_MAX = 2**63 - 1  # of a sum in a document: what a column holds
_SERIES = re.compile(r"(?:[A-Z][A-Z0-9]{0,11})?", re.ASCII)  # a digit in front could be taken for a year
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Party(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Who sends an invoice, or who gets it. `address` may have several lines."""

    name: str = ""
    address: str = ""
    tax_id: str = ""


class Tax(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A declared tax on the net amount. `percent`: decimal text, "8.875"."""

    name: str
    percent: str


class Invoicing(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What stands on every new invoice, and its series ("" = none)."""

    seller: Party = Party()
    taxes: list[Tax] = []
    series: str = ""


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One amount. `kind`: usage (calls of a model), adjustment (a credit or correction), credit (in a credit note).

    late_for: the number of the earlier invoice whose time it belongs to; it was posted after that one was issued.
    of_line: in a credit note, the line of the invoice that is credited.
    """

    line: int = 0
    kind: str
    text: str  # the model, or what was said of an adjustment
    nano: int
    amount: str
    calls: int = 0  # first attempts
    meters: dict[str, int] = {}  # under the names of price rows; reasoning is inside output
    late_for: str = ""
    transaction: int = 0  # of an adjustment
    at: str = ""
    of_line: int = 0


class TaxLine(msgspec.Struct, kw_only=True):
    name: str
    percent: str
    base_nano: int
    base: str
    nano: int
    amount: str


class Document(msgspec.Struct, kw_only=True):
    """An invoice or a credit note, whole. `number` is "" as long as it is a draft."""

    kind: str  # invoice | credit_note
    number: str = ""
    series: str = ""
    issued: str = ""
    issued_ns: int = 0
    currency: str
    seller: Party
    account: int
    account_name: str
    buyer: Party = Party()  # as it was known when the invoice was issued; empty = its account's name alone
    start: str
    end: str  # not included
    start_ns: int
    end_ns: int
    lines: list[Line]
    adjustments: list[Line] = []
    net_nano: int = 0
    net: str = ""
    taxes: list[TaxLine] = []
    rounding_nano: int = 0
    rounding: str = ""
    total_nano: int = 0
    total: str = ""
    last_transaction: int = 0
    refers_to: str = ""  # of a credit note: the invoice's number
    reason: str = ""
    key: str = ""  # what makes a repeat a no-op
    asked: list[tuple[int, int]] | None = None  # of a credit note: (line, nano) as they were asked for; None = all

    def all_lines(self) -> list[Line]:
        """Lines and adjustments, in the order of their numbers."""
        return [*self.lines, *self.adjustments]

    def tax_nano(self) -> int:
        return sum(tax.nano for tax in self.taxes)


def invoicing(value: Any) -> Invoicing:
    """Checks what a person declares. Raises Refusal `invoicing_wrong`."""
    try:
        found = msgspec.convert(value, Invoicing)
    except msgspec.ValidationError as error:
        raise _wrong(
            str(error), 'As in {"seller": {"name": "Acme"}, "taxes": [{"name": "VAT", "percent": "19"}]}.'
        ) from (error)
    if not _SERIES.fullmatch(found.series):
        raise _wrong(
            f"{found.series!r} cannot be a series.", "Use at most 12 capital letters and digits, a letter first."
        )
    check_party(found.seller)
    if len(found.taxes) > TAXES_MAX or len({tax.name for tax in found.taxes}) < len(found.taxes):
        raise _wrong(f"At most {TAXES_MAX} taxes, each with a name of its own.", "Rename or remove some.")
    for tax in found.taxes:
        _check_text(tax.name, NAME_MAX)
        digits, places = parse_decimal(tax.percent)
        if not tax.name.strip() or digits > 100 * 10**places:
            raise _wrong(f"{tax.name!r} at {tax.percent} per cent is no tax.", "Give a name and a rate from 0 to 100.")
    return found


def check_party(party: Party) -> None:
    """Raises Refusal `invoicing_wrong` for texts that are too long or hold control characters."""
    for text, most in ((party.name, NAME_MAX), (party.address, ADDRESS_MAX), (party.tax_id, NAME_MAX)):
        _check_text(text, most)


def _check_text(text: str, most: int) -> None:
    if len(text) > most or _CONTROL.search(text):
        raise _wrong(f"{text[:20]!r}... is too long or has control characters.", f"Use at most {most} characters.")


def _wrong(say: str, fix: str) -> Refusal:
    return Refusal(say, fix, code="invoicing_wrong", status=422)


def minor_unit(currency: str) -> int:
    """The smallest coin in nano-units: 10,000,000 for USD, 10^9 for JPY."""
    return NANO // int(10 ** DECIMALS.get(currency, 2))


def rounded(nano: int, currency: str) -> int:
    """The nearest whole number of minor units, in nano-units; halves to the even one."""
    unit = minor_unit(currency)
    return round_half_even(nano, unit) * unit


def total_text(nano: int, currency: str) -> str:
    """A rounded total with the decimals of its currency: "12.50", "1235" of JPY."""
    return format_decimal(nano, 9, DECIMALS.get(currency, 2))


def tax_on(nano: int, percent: str) -> int:
    """`percent` of an amount, half to even: 0.19 x nano."""
    digits, places = parse_decimal(percent)
    return round_half_even(nano * digits, int(100 * 10**places))


def add_up(document: Document, taxes: Iterable[Tax], before: Sequence[Document] = ()) -> None:
    """Numbers the lines and fills in the sums.

    before: earlier documents of the same matter (credit notes of one invoice). Taxes and total are then what all of
    them together come to, less what the earlier ones have: parts that make a whole never differ from it by a rounding.
    """
    for number, line in enumerate(document.all_lines(), 1):
        line.line = number
    net = sum(line.nano for line in document.all_lines())
    net_before = sum(earlier.net_nano for earlier in before)
    document.taxes = []
    exact = net + net_before
    for tax in taxes:
        whole = tax_on(net + net_before, tax.percent)
        exact += whole
        nano = whole - sum(each.nano for earlier in before for each in earlier.taxes if each.name == tax.name)
        document.taxes.append(
            TaxLine(name=tax.name, percent=tax.percent, base_nano=net, base=decimal(net), nano=nano,
                    amount=decimal(nano))
        )  # fmt: skip
    total = rounded(exact, document.currency) - sum(earlier.total_nano for earlier in before)
    if max(abs(net), abs(total), abs(document.tax_nano())) > NANO_MAX:
        raise Refusal("The total is more than a document can hold.", "Choose a shorter time.", code="invoice_too_large")
    document.net_nano, document.net = net, decimal(net)
    document.total_nano, document.total = total, total_text(total, document.currency)
    document.rounding_nano = total - net - document.tax_nano()
    document.rounding = decimal(document.rounding_nano)


_decoder = msgspec.json.Decoder(Document)


def to_body(document: Document) -> str:
    """The document as it is kept. Decoded again it is the same."""
    return msgspec.json.encode(document).decode()


def from_body(body: str) -> Document:
    return _decoder.decode(body)
