"""Providers: where tokens come from. A key that is given here is sealed before it reaches the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update

from baseload import store
from baseload.control import audit, books
from baseload.control.apply import insert_row
from baseload.control.config import ProviderConf
from baseload.control.context import Context
from baseload.control.desired import provider_values
from baseload.control.rules import NAME
from baseload.control.services.offers import insert_offer, list_offers
from baseload.errors import Refusal
from baseload.providers import catalogue, google_auth
from baseload.providers.vendor import Vendor
from baseload.store import tables as t


def list_providers(context: Context) -> list[dict[str, Any]]:
    """Every provider; of the credential only where it comes from."""
    counts = select(t.offers.c.provider_id, func.count().label("offers")).group_by(t.offers.c.provider_id).subquery()
    query = (
        select(t.providers, func.coalesce(counts.c.offers, 0).label("offers"))
        .outerjoin(counts, counts.c.provider_id == t.providers.c.id)
        .order_by(t.providers.c.id)
    )
    with store.reading(context.engine) as connection:
        return [
            {
                "id": row.id,
                "name": row.name,
                "kind": row.kind,
                "dialect": row.dialect,
                "base_url": row.base_url,
                "scope": row.extra.get("scope", ""),
                "credential": shown_credential(row.credential),
                "abort": row.abort,
                "offers": row.offers,
                "declared": row.declared,
                "disabled": row.disabled,
            }
            for row in connection.execute(query)
        ]


def shown_credential(reference: str) -> str:
    """What may be shown of a credential: the reference, never a sealed text."""
    return "stored" if reference.startswith("sealed:") else reference or "none"


def vendors() -> list[dict[str, Any]]:
    """What `providers add` knows by name."""
    rows = []
    for name in catalogue.names():
        vendor = catalogue.vendor(name)
        rows.append(
            {
                "name": name,
                "title": vendor.title,
                "kind": vendor.kind,
                "scopes": list(dict.fromkeys(host.scope for host in vendor.hosts)),
                "needs_base_url": not vendor.hosts,
                "needs_key": vendor.auth.required,
                "models": len(books.priced_models(name, vendor.scope)),
            }
        )
    return rows


def add(
    context: Context,
    actor: str,
    *,
    vendor: str,
    name: str,
    base_url: str,
    scope: str,
    models: list[str],
    key: str,
) -> dict[str, Any]:
    """A provider with its offers: those named, else every model of the vendor's price list in this scope."""
    name = name or vendor
    if not NAME.match(name):
        raise Refusal(
            f"{name!r} cannot be a name.", "Use small letters, digits and -.", code="name_wrong", param="name"
        )
    values = provider_values(ProviderConf(name=name, from_=vendor, base_url=base_url, scope=scope), context.home.path)
    facts = catalogue.vendor(vendor)
    if facts.auth.required and not key:
        raise Refusal(
            f"{facts.title} needs a key.", "Give it on stdin, by --key-env or --key-file.", code="key_missing"
        )
    check_key(key, facts)
    values["credential"] = context.vault.seal(key) if key else ""
    chosen = models or books.priced_models(facts.name, values["extra"]["scope"])
    # an engine's models complete as well; vendors' chat models rarely do, so there each model gets its default
    endpoints: list[str] = []
    if facts.kind == "engine":
        endpoints += [word for word in ("chat", "completions") if word in facts.paths]
    with store.writing(context.engine) as connection:
        if connection.execute(select(t.providers.c.id).where(t.providers.c.name == name)).scalar() is not None:
            raise Refusal(
                f"There is a provider {name!r} already.",
                f"Store another key for it: baseload providers key {name}; or give another --name.",
                code="provider_exists",
                status=409,
            )
        insert_row(connection, t.providers, {"name": name, **values})
        offers = [
            insert_offer(
                connection, model=model, provider=name, name="", upstream_model="", endpoints=endpoints,
                price="catalogue", context_max=0,
            )
            for model in chosen
        ]  # fmt: skip
        audit.record(connection, actor, "provider.create", name, {"dialect": facts.name, "offers": offers})
    context.changed()
    provider = next(row for row in list_providers(context) if row["name"] == name)
    return {"provider": provider, "offers": [row for row in list_offers(context) if row["name"] in offers]}


def check_key(key: str, vendor: Vendor) -> None:
    """Refuses what no key of this vendor can be; "" is no key."""
    if vendor.auth.kind == "google" and key.startswith("{"):
        google_auth.read_account(key)  # a service account's file, which no header has to carry
        return
    if any(ord(char) <= 32 or ord(char) > 126 for char in key):
        raise Refusal("The key holds characters that no key has.", "Was more than the key pasted?", code="key_wrong")


def store_key(context: Context, actor: str, name: str, *, key: str) -> dict[str, Any]:
    """Seals a key for a provider that is there, in place of the one it had. A reference in the file stays."""
    if not key:
        raise Refusal("No key was given.", "Give it on stdin, by --key-env or --key-file.", code="key_wrong")
    row = find(context, name)
    check_key(key, catalogue.vendor(row.dialect))
    if row.declared and not row.credential.startswith("sealed:") and row.credential:
        raise Refusal(
            f"The credential of {name!r} is {row.credential}, by baseload.toml.",
            "Change it there; or take `credential` out of the file first.",
            code="provider_declared",
            status=409,
        )
    with store.writing(context.engine) as connection:
        connection.execute(
            update(t.providers).where(t.providers.c.id == row.id).values(credential=context.vault.seal(key))
        )
        audit.record(connection, actor, "provider.key", name)
    context.changed()
    return next(provider for provider in list_providers(context) if provider["name"] == name)


def find(context: Context, name: str) -> Any:
    """The row of a provider; Refusal 404 when there is none."""
    with store.reading(context.engine) as connection:
        row = connection.execute(select(t.providers).where(t.providers.c.name == name)).first()
    if row is None:
        raise Refusal(
            f"There is no provider {name!r}.", "baseload providers list", code="provider_not_found", status=404
        )
    return row
