"""Imports applied: the plan's tables become a marked block of baseload.toml, its secrets, keys and balances rows.

In:     a `Plan`, who does it. Out: the report. All or nothing: what fails takes the file and the rows back.
A second import of the same source replaces the block. A block that a person has changed is kept, and the import is
refused, unless it is told to replace it. Keys and balances that are there already stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from baseload import store
from baseload.control import audit
from baseload.control import config as configuration
from baseload.control.apply import id_of, insert_row
from baseload.control.context import Context
from baseload.control.imports import litellm, newapi
from baseload.control.imports.plan import Line, Plan, toml
from baseload.control.rules import amount_nano
from baseload.control.services import config, providers
from baseload.errors import Refusal
from baseload.gateway.vault import key_prefix
from baseload.ledger import limits, payments
from baseload.ledger.limits import Wish
from baseload.providers import catalogue
from baseload.store import tables as t

BEGIN = "# >>> imported from {source}; lines below until <<< are replaced by the next import. sha256 {digest}\n"
END = "# <<< imported from {source}\n"
Json = dict[str, Any]


def run(
    context: Context, actor: str, *, source: str, text: str, tables: dict[str, list[Json]], dry_run: bool,
    with_secrets: bool, replace: bool,
) -> Json:  # fmt: skip
    """Translates and, unless `dry_run`, applies. Returns {report, toml, applied}."""
    plan = litellm.read(text) if source == litellm.SOURCE else newapi.read(tables)
    if not with_secrets:
        _without_secrets(plan)
    path = context.home.config
    before = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    rest, old = split(before, plan.source)
    if old is not None and not old[1] and not replace and not dry_run:
        raise Refusal(
            f"Somebody has changed the lines that {path} has from the last import.",
            "Move them out of the block, or give --replace to lose the changes.", code="import_changed", status=409,
        )  # fmt: skip
    known = _parsed(rest)
    _settle_names(plan, known)
    body = toml(plan, model_policies="model_policies" not in known)
    if plan.model_policies and "model_policies" in known:
        for model, policy in plan.model_policies.items():
            plan.say(
                "not carried", f"model_policies.{model}", policy, "the file has [model_policies]: add the line there"
            )
    after = rest.rstrip("\n") + ("\n\n" if rest.strip() else "") + block(plan.source, body)
    configuration.parse(after, str(path))  # refused with its findings before anything is written
    if not dry_run:
        _apply(context, actor, plan, path, before, after)
    return {"report": msgspec.to_builtins(plan.report), "toml": body, "applied": not dry_run}


def _without_secrets(plan: Plan) -> None:
    for provider in plan.secrets:
        plan.say("not carried", f"(credential of {provider})", "", "secrets: --with-secrets, or baseload providers key")
    for key in plan.keys:
        plan.say("not carried", f"({key.source})", key.name, "keys are secrets: --with-secrets")
    plan.secrets, plan.keys = {}, []


def split(text: str, source: str) -> tuple[str, tuple[str, bool] | None]:
    """(the file without the block of a source, (the block's lines, whether they are as they were written) or None)."""
    begin = re.escape(BEGIN).replace(r"\{source\}", re.escape(source)).replace(r"\{digest\}", "([0-9a-f]{64})")
    match = re.search(f"^{begin}(.*?)^{re.escape(END.format(source=source))}", text, re.M | re.S)
    if match is None:
        return text, None
    lines = match[2]
    return text[: match.start()] + text[match.end() :], (lines, _digest(lines) == match[1])


def block(source: str, body: str) -> str:
    lines = body.rstrip("\n") + "\n"
    return BEGIN.format(source=source, digest=_digest(lines)) + lines + END.format(source=source)


def _digest(lines: str) -> str:
    return hashlib.sha256(lines.encode()).hexdigest()


def _parsed(rest: str) -> Json:
    try:
        return tomllib.loads(rest)
    except tomllib.TOMLDecodeError:
        return {}  # it is refused with its line when the whole is checked


def _settle_names(plan: Plan, raw: Json) -> None:
    """What the file names already stays; what was to have that name gets the source before it."""
    for kind in ("providers", "tariffs", "accounts", "policies", "groups"):
        theirs = {str(one.get("name")) for one in raw.get(kind, []) if isinstance(one, dict)}
        renamed = {}
        for table in getattr(plan, kind):
            if table["name"] in theirs:
                renamed[table["name"]] = table["name"] = f"{plan.source}-{table['name']}"
        if renamed:
            _rename(plan, kind, renamed)


def _rename(plan: Plan, kind: str, names: dict[str, str]) -> None:
    def new(name: str) -> str:
        return names.get(name, name)

    if kind == "providers":
        for offer in plan.offers:
            offer["provider"] = new(offer["provider"])
        plan.secrets = {new(name): value for name, value in plan.secrets.items()}
    if kind == "tariffs":
        for account in plan.accounts:
            account["tariff"] = new(account["tariff"])
    if kind == "accounts":
        plan.keys = [msgspec.structs.replace(one, account=new(one.account)) for one in plan.keys]
        plan.openings = [msgspec.structs.replace(one, account=new(one.account)) for one in plan.openings]
    if kind == "policies":
        plan.model_policies = {model: new(name) for model, name in plan.model_policies.items()}
    for old, name in names.items():
        plan.say("changed", f"{kind}.{old}", name, "the file has one of this name")


def _apply(context: Context, actor: str, plan: Plan, path: Path, before: str, after: str) -> None:
    existed = path.exists()
    _write(path, after)
    try:
        config.apply(context, actor)
        with store.writing(context.engine) as connection:
            _rows(connection, context, actor, plan)
            counts = {"providers": len(plan.providers), "offers": len(plan.offers), "accounts": len(plan.accounts),
                      "keys": len(plan.keys)}  # fmt: skip
            audit.record(connection, actor, f"import.{plan.source}", str(path), counts)
    except Exception:
        if existed:
            _write(path, before)
        else:
            path.unlink(missing_ok=True)
        config.apply(context, actor)
        raise
    context.changed()


def _rows(connection: Connection, context: Context, actor: str, plan: Plan) -> None:
    now_ns = time.time_ns()
    for name, secret in plan.secrets.items():
        row = connection.execute(select(t.providers).where(t.providers.c.name == name)).one()
        providers.check_key(secret, catalogue.vendor(row.dialect))
        change = update(t.providers).where(t.providers.c.id == row.id)
        connection.execute(change.values(credential=context.vault.seal(secret)))
    for key in plan.keys:
        kept = connection.execute(select(t.keys.c.id).where(t.keys.c.hash == context.vault.key_hash(key.text.encode())))
        if kept.scalar() is not None:
            plan.report.append(Line("changed", key.source, key.name, "this key is there already and stays as it is"))
            continue
        account = id_of(connection, t.accounts, key.account)
        made = insert_row(connection, t.keys, {
            "account_id": account, "name": key.name, "hash": context.vault.key_hash(key.text.encode()),
            "prefix": key_prefix(key.text), "models": key.models, "expires_ns": key.expires_ns, "policy": "",
        })  # fmt: skip
        if key.budget:
            wish = Wish(kind="budget", name=f"total of key {made}", limit_nano=amount_nano(key.budget))
            limits.open_purse(connection, account, wish, now_ns, key=made)
    for one in plan.openings:
        known = select(t.payments.c.id).where(t.payments.c.key == one.source)
        if connection.execute(known).scalar() is not None:
            plan.report.append(Line("changed", one.source, one.account, "its balance was brought before and stays"))
            continue
        payments.move(
            connection, one.account, "credit", amount_nano(one.amount), one.currency, key=one.source, actor=actor,
            at_ns=now_ns, memo=f"balance at {plan.source}", record=audit.recorder(actor),
        )  # fmt: skip


def _write(path: Path, text: str) -> None:
    """In one step, with the rights the file had, else for its owner alone."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".baseload-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, path)
