"""The configuration file and the database: what would change, and making it so. The last good state stays in force."""

from __future__ import annotations

import logging
import time

from baseload.control import apply as applying
from baseload.control import lines
from baseload.control.config import ConfigWrong, Finding, dotted, load
from baseload.control.context import Context
from baseload.control.desired import Desired, resolve
from baseload.errors import Refusal

log = logging.getLogger("baseload.control.config")


def read(context: Context) -> Desired:
    """The desired state of the file as it is now. Raises ConfigWrong."""
    return resolve(load(context.home.config), context.home.config, context.engine_options)


def diff(context: Context) -> list[dict[str, str]]:
    """What `apply` would change."""
    try:
        return [change.public() for change in applying.diff(read(context), context.engine)]
    except Refusal as refusal:
        raise _located(context, refusal) from refusal


def apply(context: Context, actor: str) -> list[dict[str, str]]:
    """Applies the file and publishes. A wrong file changes nothing; it is noted for `status` and raised."""
    with context.configuring:
        try:
            changes = applying.apply(read(context), context.engine, actor=actor)
        except Refusal as found:
            refusal = _located(context, found)
            if isinstance(refusal, ConfigWrong):
                _note(context, refusal.findings)
            elif refusal.status != 503:  # a database that is away says nothing about the file
                _note(context, [Finding(str(context.home.config), 1, "", refusal.say, refusal.fix)])
            raise refusal from found
        context.state.config_ok, context.state.config_findings = True, []
        context.state.config_applied_ns = time.time_ns()
    for change in changes:
        log.info("config: %s %s %s", change.action, change.kind, change.name)
    context.changed()
    return [change.public() for change in changes]


def _located(context: Context, refusal: Refusal) -> Refusal:
    """What only the database could tell (an offer's provider is nobody), with the line of the file it is about."""
    path = context.home.config
    if refusal.code != "provider_unknown" or not path.exists():
        return refusal
    offers = load(path).offers
    at = next((("offers", n, "provider") for n, offer in enumerate(offers) if offer.full_name == refusal.param), ())
    line = lines.locate(path.read_text(encoding="utf-8-sig"), at)
    return ConfigWrong([Finding(str(path), line, dotted(at), refusal.say, refusal.fix)])


def _note(context: Context, findings: list[Finding]) -> None:
    context.state.config_ok = False
    context.state.config_findings = [
        {"file": f.file, "line": f.line, "field": f.field, "say": f.say, "fix": f.fix} for f in findings
    ]
