"""`status` and the checks of `doctor` that need the database. A check is {check, state, say, fix}."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import func, select

from baseload import __version__, store
from baseload.control.config import ConfigWrong, load
from baseload.control.context import Context
from baseload.control.rules import ENGINE_PROVIDER
from baseload.control.services import prices
from baseload.control.services.times import iso
from baseload.engines import cards
from baseload.errors import Refusal
from baseload.store import tables as t

LAG_MAX_S = 30.0
SECOND = 10**9


def status(context: Context) -> dict[str, Any]:
    """The state of this control plane, for people and scrapers."""
    state, current = context.state, context.publisher.current()
    now = time.time_ns()
    return {
        "version": __version__,
        "started": iso(state.started_ns),
        "control_url": context.control_url,
        "home": str(context.home.path),
        "database": context.engine.dialect.name,
        "snapshot": current.version if current else None,
        "snapshot_made": iso(current.made_ns) if current else "",
        "models": len({offer.model for offer in current.offers}) if current else 0,
        "offers": len(current.offers) if current else 0,
        "keys": len(current.keys) if current else 0,
        "config_ok": state.config_ok,
        "config_findings": state.config_findings,
        "config_applied": iso(state.config_applied_ns),
        "settled": iso(state.settled_ns),
        "settlement_lag_s": round(lag_s(context, now), 1),
        "settlement_error": state.settle_error,
        "journals": dict(state.journals),
    }


def lag_s(context: Context, now_ns: int) -> float:
    """Seconds since every journal was last settled to its end."""
    return (now_ns - (context.state.settled_ns or context.state.started_ns)) / SECOND


def engine(context: Context) -> dict[str, Any]:
    """What the supervisor starts as the embedded engine."""
    conf = load(context.home.config).engine
    return {
        "enabled": conf.enabled and context.engine_options.port > 0,
        "model": conf.model,
        "file": conf.file,
        "threads": conf.threads,
        "context": conf.context or cards.SMOLLM2.context_max,
        "port": context.engine_options.port,
    }


def doctor(context: Context) -> list[dict[str, Any]]:
    """Every check, in the order a person would look."""
    checks = [_database(context), _config(context), _snapshot(context), _settlement(context), _clock(context)]
    return [*checks, *_credentials(context), _prices(context), *_engine(context)]


def _ok(check: str, say: str) -> dict[str, Any]:
    return {"check": check, "state": "ok", "say": say, "fix": ""}


def _wrong(check: str, say: str, fix: str) -> dict[str, Any]:
    return {"check": check, "state": "wrong", "say": say, "fix": fix}


def _database(context: Context) -> dict[str, Any]:
    try:
        revision = store.revision(context.engine)
        with store.reading(context.engine) as connection:
            readings = connection.execute(select(func.count()).select_from(t.accounts)).scalar()
    except Refusal as refusal:
        return _wrong("database", refusal.say, refusal.fix)
    return _ok("database", f"{context.engine.dialect.name} answers, schema {revision}, {readings} accounts.")


def _config(context: Context) -> dict[str, Any]:
    try:
        load(context.home.config)
    except ConfigWrong as wrong:
        return _wrong("config in force", f"The last good state is in force. {wrong.say}", f"Edit {context.home.config}")
    if not context.state.config_ok:
        say = "; ".join(str(finding["say"]) for finding in context.state.config_findings)
        return _wrong("config in force", f"The last good state is in force. {say}", f"Edit {context.home.config}")
    return _ok("config in force", f"Applied at {iso(context.state.config_applied_ns)}.")


def _snapshot(context: Context) -> dict[str, Any]:
    current = context.publisher.current()
    if current is None:
        return _wrong("snapshot", f"{context.home.snapshot} is missing or unreadable.", "Restart the control plane.")
    return _ok("snapshot", f"Version {current.version} of {iso(current.made_ns)}, {len(current.offers)} offers.")


def _settlement(context: Context) -> dict[str, Any]:
    lag = lag_s(context, time.time_ns())
    if context.state.settle_error:
        return _wrong(
            "settlement", context.state.settle_error, "Nothing is lost: the journal keeps it. See control.log."
        )
    if behind := [name for name, journal in context.state.journals.items() if _ends_early(context, name, journal)]:
        return _wrong(
            "settlement",
            f"The journal of {', '.join(behind)} ends before where it was settled to: its new calls are not settled.",
            "Stop, put the journal folder back that belongs to this database, start: docs/rooms/control.md.",
        )
    if lag > LAG_MAX_S:
        return _wrong("settlement", f"{lag:.0f} s behind.", f"Look at {context.home.logs}/control.log")
    return _ok("settlement", f"{lag:.1f} s behind.")


def _ends_early(context: Context, name: str, journal: dict[str, Any]) -> bool:
    """Whether a database was restored without its journal: segments begin again at 1, far before the cursor."""
    segment = str(journal.get("settled_to", "")).partition(":")[0]
    numbers = [int(path.stem) for path in (context.home.journal / name).glob("*.seg") if path.stem.isdigit()]
    return segment.isdigit() and max(numbers, default=int(segment)) < int(segment)


def _clock(context: Context) -> dict[str, Any]:
    """Prices are decided by the clock: it must not be behind what it wrote itself."""
    try:
        with store.reading(context.engine) as connection:
            newest = connection.execute(select(func.max(t.journal_cursor.c.moved_ns))).scalar() or 0
    except Refusal as refusal:
        return _wrong("clock", f"Not checked: {refusal.say}", refusal.fix)
    ahead = (newest - time.time_ns()) / SECOND
    if ahead > 5:
        return _wrong("clock", f"The clock is {ahead:.0f} s behind the newest settlement.", "Set the clock (NTP).")
    return _ok("clock", f"{iso(time.time_ns())} UTC.")


def _credentials(context: Context) -> list[dict[str, Any]]:
    """Whether every credential can be resolved here; gateways of this home share the environment of `up`."""
    checks = []
    try:
        with store.reading(context.engine) as connection:
            rows = connection.execute(select(t.providers).where(~t.providers.c.disabled)).all()
    except Refusal as refusal:
        return [_wrong("credentials", f"Not checked: {refusal.say}", refusal.fix)]
    for row in rows:
        if not row.credential:
            continue
        try:
            context.vault.resolve(row.credential)
        except Refusal as refusal:
            checks.append(_wrong(f"credential of {row.name}", refusal.say, refusal.fix or "Give it again."))
    return checks or [_ok("credentials", "Every credential can be resolved.")]


def _prices(context: Context) -> dict[str, Any]:
    try:
        findings = prices.check(context)
    except Refusal as refusal:
        return _wrong("prices", f"Not checked: {refusal.say}", refusal.fix)
    if findings:
        names = ", ".join(finding["offer"] for finding in findings[:5])
        return _wrong("prices", f"{len(findings)} offers without a price: {names}.", "baseload prices check")
    return _ok("prices", "Every offer has a price.")


def _engine(context: Context) -> list[dict[str, Any]]:
    port = context.engine_options.port
    current = context.publisher.current()
    if not port or not current or not any(provider.name == ENGINE_PROVIDER for provider in current.providers):
        return []
    import httpx  # a quarter second that a start need not wait for

    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=3.0, trust_env=False)
    except httpx.TransportError:
        return [_wrong("engine", f"The embedded engine does not answer on port {port}.", "Look at logs/engine.log")]
    if answer.status_code != 200:
        return [_wrong("engine", f"The embedded engine answers {answer.status_code}.", "Look at logs/engine.log")]
    return [_ok("engine", f"The embedded engine is ready on port {port}.")]
