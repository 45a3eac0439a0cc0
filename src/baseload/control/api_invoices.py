"""The part of the admin API about invoices: drafts, issuing, credit notes, files, and what stands on them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import Field

from baseload.control.api import Actor, Body, Ctx, Json, of
from baseload.control.services import invoices, money
from baseload.ledger.invoice_files import MEDIA, Format

router = APIRouter(prefix="/api/invoices")


class Party(Body):
    name: str = ""
    address: str = ""
    tax_id: str = ""


class Tax(Body):
    name: str
    percent: str


class Settings(Body):
    seller: Party = Party()
    taxes: list[Tax] = Field(default_factory=list)
    series: str = ""


class NewInvoice(Body):
    account: str = ""
    all: bool = False
    month: str = ""
    since: str = ""
    until: str = ""
    currency: str = ""  # none = each that the account was charged in
    series: str | None = None  # none = the declared one
    key: str = ""
    early: bool = False


class CreditLine(Body):
    line: int = Field(ge=1)
    amount: str = ""  # net; none = all that is left of it


class NewCreditNote(Body):
    lines: list[CreditLine] = Field(default_factory=list)
    whole: bool = False
    reason: str
    key: str


class Paid(Body):
    amount: str
    memo: str = Field(default="", max_length=500)


@router.get("")
def list_invoices(ctx: Ctx, account: str = "", month: str = "", since: str = "", until: str = "") -> Json:
    return {"invoices": invoices.list_invoices(ctx, account=account, since=since, until=until, month=month)}


@router.post("", status_code=201)
def issue(ctx: Ctx, actor: Actor, body: NewInvoice) -> Json:
    return invoices.issue(ctx, actor, **body.model_dump())


@router.get("/settings")
def settings(ctx: Ctx) -> Json:
    return {"settings": invoices.settings(ctx)}


@router.put("/settings")
def set_settings(ctx: Ctx, actor: Actor, body: Settings) -> Json:
    return {"settings": invoices.set_settings(ctx, actor, body.model_dump())}


@router.get("/buyers/{account}")
def buyer(ctx: Ctx, account: str) -> Json:
    return {"buyer": invoices.buyer(ctx, account)}


@router.put("/buyers/{account}")
def set_buyer(ctx: Ctx, actor: Actor, account: str, body: Party) -> Json:
    return {"buyer": invoices.set_buyer(ctx, actor, account, body.model_dump())}


@router.get("/preview")
def preview(ctx: Ctx, account: str, month: str = "", since: str = "", until: str = "", currency: str = "") -> Json:
    return invoices.preview(ctx, account=account, since=since, until=until, month=month, currency=currency)


@router.get("/statement", response_class=Response, responses=of(*MEDIA.values()))
def statement(
    ctx: Ctx,
    account: str,
    format: Annotated[Format, Query()] = "csv",
    month: str = "",
    since: str = "",
    until: str = "",
    currency: str = "",
) -> Response:
    content = invoices.statement(
        ctx, account=account, since=since, until=until, month=month, currency=currency, format=format
    )
    return _file(content, f"statement-{month}" if month else "statement", format)


@router.get("/{number}")
def show(ctx: Ctx, number: str) -> Json:
    return invoices.show(ctx, number)


@router.get("/{number}/file", response_class=Response, responses=of(*MEDIA.values()))
def file(ctx: Ctx, number: str, format: Annotated[Format, Query()] = "pdf") -> Response:
    return _file(invoices.file(ctx, number, format), f"invoice-{number}", format)  # a number that is there is plain


@router.post("/{number}/credit", status_code=201)
def credit(ctx: Ctx, actor: Actor, number: str, body: NewCreditNote) -> Json:
    return {"credit_note": invoices.credit(ctx, actor, number, **body.model_dump())}


@router.post("/{number}/paid", status_code=201)
def paid(ctx: Ctx, actor: Actor, number: str, body: Paid) -> Json:
    return {"payment": money.pay_invoice(ctx, actor, number=number, **body.model_dump())}


def _file(content: bytes, name: str, format: Format) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.{format}"'}
    return Response(content, media_type=MEDIA[format], headers=headers)
