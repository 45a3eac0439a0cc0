"""Payments that are told by their providers, codes, alerts, and the audit log."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from baseload import store
from baseload.control import payhooks
from baseload.control.alerts import Sender
from baseload.control.context import Context
from baseload.control.services import money
from baseload.errors import Refusal
from baseload.ledger import alerts
from baseload.ledger.check import check

SECRET = "whsec_test"


@pytest.fixture
def acme(context: Context, owner: TestClient, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A prepaid account, and hooks whose secret is known."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    assert owner.post("/api/accounts", json={"name": "acme"}).status_code == 201
    assert owner.put("/api/accounts/acme/funding", json={"funding": "prepaid"}).status_code == 200
    for name in ("stripe", "bank"):
        assert owner.put(f"/api/hooks/{name}", json={"secret": "env:HOOK_SECRET"}).status_code == 200
    return context


def signature(body: bytes, at_s: float | None = None, secret: str = SECRET) -> str:
    stamp = int(time.time() if at_s is None else at_s)
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={'0' * 64},v1={mac}"


def stripe(kind: str, number: str, **found: Any) -> bytes:
    members = {"metadata": {"baseload_account": "acme"}, "currency": "usd", **found}
    return json.dumps({"id": number, "type": kind, "data": {"object": members}}).encode()


def funds(context: Context) -> str:
    return str(money.balances(context, "acme")[0]["funds"])


def test_the_signature_is_stripes_documented_one() -> None:
    body, at_s = b'{"id":"evt_1"}', 1_700_000_000
    mac = hmac.new(b"whsec_test", b"1700000000." + body, hashlib.sha256).hexdigest()
    payhooks.verify(b"whsec_test", f"t={at_s},v1={mac},v0=abc", body, at_s + 299)
    for header, content, now in (
        (f"t={at_s},v1={mac}", body, at_s + 301),
        (f"t={at_s},v1={mac}", body, at_s - 301),
        (f"t={at_s + 1},v1={mac}", body, at_s),
        (f"t={at_s},v1={mac}", body + b" ", at_s),
        (f"t={at_s},v1={mac[:-1]}", body, at_s),
        (f"v1={mac}", body, at_s),
        (f"t={at_s}", body, at_s),
        (f"t=,v1={mac}", body, at_s),
        ("", body, at_s),
        ("t=\u0663,v1=\u00e9", body, at_s),
    ):
        with pytest.raises(Refusal, match="not valid"):
            payhooks.verify(b"whsec_test", header, content, now)


def test_lesson_46_both_events_of_one_payment_and_their_replays_post_once(acme: Context, outside: TestClient) -> None:
    session = stripe("checkout.session.completed", "evt_1", id="cs_1", payment_intent="pi_1", amount_total=1250,
                     payment_status="paid")  # fmt: skip
    intent = stripe("payment_intent.succeeded", "evt_2", id="pi_1", amount_received=1250)
    for body in (session, intent, session, intent):
        reply = outside.post("/hooks/stripe", content=body, headers={"stripe-signature": signature(body)})
        assert reply.status_code == 200, reply.text
    assert funds(acme) == "12.50"
    unpaid = stripe("checkout.session.completed", "evt_3", id="cs_2", amount_total=999, payment_status="unpaid")
    reply = outside.post("/hooks/stripe", content=unpaid, headers={"stripe-signature": signature(unpaid)})
    assert reply.json() == {"received": True, "outcome": "ignored"}
    assert funds(acme) == "12.50"


def test_a_refund_takes_what_is_there_and_tells_of_the_rest(acme: Context) -> None:
    body = stripe("payment_intent.succeeded", "evt_1", id="pi_1", amount_received=1000)
    payhooks.receive(acme, "stripe", signature(body), body)
    money.pay(acme, "t", account="acme", kind="debit", amount="4", currency="USD", key="d", memo="")
    body = stripe("charge.refunded", "evt_2", id="ch_1", amount_refunded=1000)
    assert payhooks.receive(acme, "stripe", signature(body), body)["outcome"] == "refund_short"
    assert funds(acme) == "0.00"
    told = alerts.latest(acme.engine, 5)[0]
    assert (told["kind"], told["body"]["missing_nano"]) == ("refund_short", 4 * 10**9)


def test_other_providers_and_what_cannot_be_posted(acme: Context, outside: TestClient) -> None:
    said = {"id": "b1", "account": "acme", "amount": "3.5", "currency": "USD"}
    body = json.dumps(said).encode()
    header = {"x-baseload-signature": signature(body)}
    assert outside.post("/hooks/payment/bank", content=body, headers=header).json()["outcome"] == "posted"
    assert funds(acme) == "3.50"
    assert outside.post("/hooks/payment/nobody", content=body, headers=header).status_code == 400
    assert outside.post("/hooks/payment/bank", content=b"{", headers=header).status_code == 400
    body = json.dumps({**said, "id": "b2", "account": "nobody"}).encode()
    header = {"x-baseload-signature": signature(body)}
    assert outside.post("/hooks/payment/bank", content=body, headers=header).json()["outcome"] == "not_posted"
    assert alerts.latest(acme.engine, 5)[0]["kind"] == "payment_not_posted"
    body = json.dumps({"id": "b3"}).encode()
    header = {"x-baseload-signature": signature(body)}
    assert outside.post("/hooks/payment/bank", content=body, headers=header).status_code == 422


def test_a_yen_has_no_hundredth(context: Context) -> None:
    body = stripe("payment_intent.succeeded", "evt_1", id="pi_1", amount_received=500, currency="jpy")
    told = payhooks._of_stripe(json.loads(body))
    assert told is not None
    assert (told.nano, told.currency) == (500 * 10**9, "JPY")


def test_lesson_46_a_code_is_redeemed_once_however_many_try(acme: Context) -> None:
    code, other = money.make_codes(acme, "t", count=2, amount="5", currency="USD", expires_days=0, memo="")
    results: list[str] = []

    def redeem(given: str) -> None:
        try:
            money.redeem_code(acme, "t", code=given, account="acme")
            results.append("paid")
        except Refusal as refusal:
            results.append(str(refusal.code))

    threads = [threading.Thread(target=redeem, args=(code.lower().replace("-", " "),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["code_used"] * 19 + ["paid"]
    assert funds(acme) == "5.00"
    redeem("BL-" + "2" * 26)
    assert results[-1] == "code_wrong"
    assert money.revoke_code(acme, "t", number=2)
    redeem(other)
    assert results[-1] == "code_wrong"


def test_a_code_that_has_expired_is_worth_nothing(acme: Context) -> None:
    [code] = money.make_codes(acme, "t", count=1, amount="5", currency="USD", expires_days=1, memo="")
    from baseload.ledger import codes

    with pytest.raises(Refusal, match="not valid"):
        codes.redeem(acme.engine, code, "acme", actor="t", now_ns=time.time_ns() + 2 * 86_400 * 10**9)


def test_alerts_are_sent_signed_until_they_are_taken(acme: Context) -> None:
    heard: list[tuple[str, bytes]] = []
    statuses = [500, 200]

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append((self.headers["x-baseload-signature"], body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        money.set_hook(acme, "t", name="alerts", secret="env:HOOK_SECRET", url=url)
        with store.writing(acme.engine) as connection:
            for _ in range(2):
                alerts.raise_alert(connection, "k", "budget", {"percent": 80}, 1)
        sender = Sender(acme)
        assert not sender.round()
        assert sender.round()
        assert sender.round()
        assert len(heard) == 2
        payhooks.verify(SECRET.encode(), heard[1][0], heard[1][1], time.time())
        assert json.loads(heard[1][1])["body"] == {"percent": 80}
    finally:
        server.shutdown()
        server.server_close()


def test_every_administrative_act_is_in_a_chain_that_shows_a_change(acme: Context) -> None:
    def broken() -> list[str]:
        return [one.check for one in check(acme.engine) if one.check == "audit_chain"]

    assert broken() == []
    with acme.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit WHERE hash IS NOT NULL")).scalar_one() > 3
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET subject = 'someone' WHERE id = 3"))
    assert broken() == ["audit_chain"]


def test_a_missing_act_shows(acme: Context) -> None:
    with acme.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_delete"))
        connection.execute(text("DELETE FROM audit WHERE id = 3"))
    assert [one.check for one in check(acme.engine) if one.severity == "error"] == ["audit_chain"]


def test_a_purse_needs_one_currency(owner: TestClient) -> None:
    owner.post("/api/accounts", json={"name": "top"})
    owner.post("/api/accounts", json={"name": "low", "parent": "top", "currency": "CNY"})
    reply = owner.put("/api/accounts/top/funding", json={"funding": "prepaid"})
    assert reply.status_code == 422
    assert reply.json()["error"]["code"] == "currency_mixed"
