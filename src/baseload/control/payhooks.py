"""Payment providers that tell of payments: each event authentic by its signature, each payment posted once.

In:     POST /hooks/stripe and /hooks/payment/NAME, the raw body and its signature header.
Out:    a top-up or refund, or nothing: a replay, an event of no interest. A bad signature is told nothing.

Signature (Stripe's documented scheme, used for every name): the header says `t=UNIX_SECONDS,v1=HEX[,v1=HEX]`; HEX is
HMAC-SHA256 of "t.BODY" by the endpoint's secret. Older than TOLERANCE_S is refused, so that a copied message cannot be
replayed later. Secrets are references in the setting `payment_hooks`: {"stripe": "env:STRIPE_WEBHOOK_SECRET"}.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from baseload import store
from baseload.control import audit
from baseload.control.apply import setting
from baseload.control.context import Context
from baseload.errors import Refusal
from baseload.ledger import payments
from baseload.ledger.alerts import raise_alert
from baseload.ledger.purses import available_of_account, balance_nano
from baseload.ledger.settled import account_id
from baseload.money.amount import Amount
from baseload.store import tables

TOLERANCE_S = 300
HOOKS = "payment_hooks"
# Currencies whose smallest unit is the unit itself, and those of three decimals (docs.stripe.com/currencies).
ZERO = ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
THREE = ("BHD", "JOD", "KWD", "OMR", "TND")


def verify(secret: bytes, header: str, body: bytes, now_s: float) -> None:
    """Raises Refusal 400 unless the signature is right and fresh."""
    stamp, given = "", list[str]()
    for item in header.split(","):
        name, _, value = item.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1":
            given.append(value)
    wanted = hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    right = any(hmac.compare_digest(wanted.encode(), one.encode()) for one in given)
    if not right or not stamp.isascii() or not stamp.isdecimal() or abs(now_s - int(stamp)) > TOLERANCE_S:
        raise Refusal("The signature is not valid.", code="signature_wrong", status=400)


def receive(context: Context, name: str, header: str, body: bytes, *, now_s: float | None = None) -> dict[str, Any]:
    """One event. Returns what became of it; raises Refusal where it could not be posted, so that it is sent again."""
    now_s = time.time() if now_s is None else now_s
    with store.reading(context.engine) as connection:
        reference = setting(connection, HOOKS, {}).get(name, "")
    secret = context.vault.resolve(reference) if reference else ""
    if not secret:
        raise Refusal("The signature is not valid.", code="signature_wrong", status=400)
    verify(secret.encode(), header, body, now_s)
    try:
        event = msgspec.json.decode(body)
        number = str(event["id"])
        payment = _of_stripe(event) if name == "stripe" else _generic(event, name)
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refusal("The event cannot be read.", code="event_wrong", status=422) from error
    with store.writing(context.engine) as connection:
        table = tables.webhook_events
        query = select(table.c.outcome).where(table.c.source == name, table.c.event == number)
        known = connection.execute(query).scalar()
        if known is not None:
            return {"received": True, "outcome": known}
        outcome = _post(connection, payment, name, time.time_ns()) if payment is not None else "ignored"
        connection.execute(table.insert().values(source=name, event=number, at_ns=time.time_ns(), outcome=outcome))
    return {"received": True, "outcome": outcome}


class Told(msgspec.Struct, frozen=True):
    """A payment as its provider tells it."""

    kind: str  # topup | refund
    key: str
    account: str
    nano: int
    currency: str


def _of_stripe(event: dict[str, Any]) -> Told | None:
    kind, found = event["type"], event["data"]["object"]
    if kind == "checkout.session.completed":
        if found.get("payment_status") != "paid":
            return None
        return _told("topup", found, found.get("payment_intent") or found["id"], found["amount_total"])
    if kind == "payment_intent.succeeded":
        return _told("topup", found, found["id"], found["amount_received"])
    if kind == "charge.refunded":
        refunded = int(found["amount_refunded"])
        return _told("refund", found, f"{found['id']}:{refunded}", refunded - _before(event))
    return None


def _before(event: dict[str, Any]) -> int:
    """A charge tells the sum of its refunds; what it was before stands beside it."""
    return int((event["data"].get("previous_attributes") or {}).get("amount_refunded", 0))


def _told(kind: str, found: dict[str, Any], number: str, amount: int) -> Told | None:
    account = (found.get("metadata") or {}).get("baseload_account", "")
    if not account:
        return None
    currency = str(found["currency"]).upper()
    places = 0 if currency in ZERO else 3 if currency in THREE else 2
    return Told(kind, f"stripe:{number}", str(account), int(amount) * 10 ** (9 - places), currency)


def _generic(event: dict[str, Any], name: str) -> Told:
    kind = event.get("kind", "topup")
    if kind not in ("topup", "refund"):
        raise ValueError(kind)
    amount = Amount.from_decimal(str(event["amount"]), str(event["currency"]))
    return Told(kind, f"{name}:{event['id']}", str(event["account"]), amount.nano, amount.currency)


def _post(connection: Connection, told: Told, name: str, now_ns: int) -> str:
    actor = f"hook:{name}"
    nano, outcome = told.nano, "posted"
    try:
        number = account_id(connection, told.account)
        if told.kind == "refund":  # the provider has paid it out already: what is not there any more is a person's
            left = available_of_account(connection, number)
            paid = -balance_nano(connection, f"prepaid:{number}:{told.currency}")
            nano = max(min(nano, paid, paid if left is None else left), 0)
        if nano:
            payments.move(
                connection, number, told.kind, nano, told.currency, key=told.key, actor=actor, at_ns=now_ns,
                record=audit.recorder(actor),
            )  # fmt: skip
        if nano < told.nano:
            outcome = "refund_short"
            detail = {"account": told.account, "missing_nano": told.nano - nano, "currency": told.currency}
            raise_alert(connection, f"payment:{told.key}", "refund_short", detail, now_ns)
    except Refusal as refusal:
        raise_alert(connection, f"payment:{told.key}", "payment_not_posted",
                    {"account": told.account, "nano": told.nano, "currency": told.currency, "why": str(refusal)},
                    now_ns)  # fmt: skip
        outcome = "not_posted"
    return outcome
