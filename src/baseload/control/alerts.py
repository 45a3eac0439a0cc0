"""Sends alerts to a webhook of the operator's, signed, until it takes them.

The setting `alert_webhook` is {"url": ..., "secret": a reference}. A message is JSON {"id", "at", "kind", "body"}; its
header `X-Baseload-Signature` is made as in `payhooks.py`. Any 2xx is a yes; else it is tried again, 20 times at most.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time

import httpx
import msgspec

from baseload import store
from baseload.control.apply import setting
from baseload.control.context import Context
from baseload.errors import Refusal
from baseload.ledger import alerts
from baseload.ledger.texts import instant

log = logging.getLogger("baseload.control.alerts")
WEBHOOK = "alert_webhook"
EVERY_S = 2.0
PATIENCE_S = 10.0


def sign(secret: bytes, body: bytes, now_s: int) -> str:
    """The header's value."""
    mac = hmac.new(secret, str(now_s).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={mac}"


class Sender(threading.Thread):
    def __init__(self, context: Context) -> None:
        super().__init__(name="alerts", daemon=True)
        self._context = context
        self._failures = 0

    def run(self) -> None:
        while not self._context.stopping.wait(min(EVERY_S * 2**self._failures, 300.0)):
            try:
                self._failures = 0 if self.round() else min(self._failures + 1, 8)
            except store.DatabaseAway:
                self._failures = min(self._failures + 1, 8)
            except Exception:
                log.exception("alerts could not be sent")
                self._failures = min(self._failures + 1, 8)

    def round(self) -> bool:
        """Sends what is unsent. False where one was not taken."""
        context = self._context
        with store.reading(context.engine) as connection:
            where = setting(connection, WEBHOOK, {})
        if not where.get("url"):
            return True
        for row in alerts.unsent(context.engine):
            message = {"id": row.id, "at": instant(row.at_ns), "kind": row.kind, "body": msgspec.json.decode(row.body)}
            trouble = self._send(where, msgspec.json.encode(message))
            alerts.tried(context.engine, row.id, time.time_ns(), trouble)
            if trouble:
                log.warning("alert %d was not taken: %s", row.id, trouble)
                return False
        return True

    def _send(self, where: dict[str, str], body: bytes) -> str:
        try:
            secret = self._context.vault.resolve(where["secret"]) if where.get("secret") else ""
            headers = {"content-type": "application/json"}
            if secret:
                headers["x-baseload-signature"] = sign(secret.encode(), body, int(time.time()))
            reply = httpx.post(where["url"], content=body, headers=headers, timeout=PATIENCE_S)
        except (httpx.HTTPError, httpx.InvalidURL, Refusal) as error:
            return str(error)[:200] or type(error).__name__
        return "" if reply.is_success else f"status {reply.status_code}"
