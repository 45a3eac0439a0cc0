"""What the database should hold, as the configuration says: names, values and price rows, all resolved. No database.

In:    `Config`, the catalogue, price files on disk. Out: `Desired`, or ConfigWrong with file, line and field.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from baseload.control import books, lines
from baseload.control.config import (
    AccountConf,
    Config,
    ConfigWrong,
    Fault,
    Finding,
    OfferConf,
    PriceConf,
    ProviderConf,
    dotted,
)
from baseload.control.endpoints import check_endpoints, default_endpoints
from baseload.control.rules import ENGINE_PROVIDER, account_wishes, margin_ppm, tariff_rules
from baseload.engines import cards
from baseload.errors import Refusal
from baseload.ledger.limits import Wish
from baseload.money.book import check_overlaps
from baseload.money.price import PriceRow
from baseload.providers import catalogue
from baseload.providers.vendor import Vendor

DEFAULT_TIMEOUT_S = 120.0  # longer where the vendor is known to stay silent longer
DEFAULT = "default"  # the tariff and the account that are always there


class EngineOptions(msgspec.Struct, frozen=True):
    """How this run was started: the embedded engine's port, 0 = it was told not to run."""

    port: int = 0


class Desired(msgspec.Struct):
    """By name. Values are the columns of `store.tables`; prices are rows that have no id yet."""

    providers: dict[str, dict[str, Any]] = {}
    offers: dict[str, dict[str, Any]] = {}  # with "provider" (a name) and "prices" (list[PriceRow])
    tariffs: dict[str, dict[str, Any]] = {}  # with "prices" (model -> list[PriceRow])
    accounts: dict[str, dict[str, Any]] = {}  # with "tariff" and "parent" (names)
    wishes: dict[str, list[Wish]] = {}  # account -> its purses
    policies: dict[str, dict[str, Any]] = {}
    groups: dict[str, dict[str, Any]] = {}
    model_policies: dict[str, str] = {}
    fx: dict[str, str] = {}


def resolve(config: Config, path: Path, engine: EngineOptions) -> Desired:
    """The desired state. `path` is the configuration file: relative paths in it start from its folder."""
    faults: list[Fault] = []
    local = _local_books(config, path.parent, faults)
    desired = Desired(fx=dict(config.fx), model_policies=dict(config.model_policies))
    for policy in config.policies:
        desired.policies[policy.name] = {"policy": said(policy, "name")}
    for group in config.groups:
        desired.groups[group.name] = {"models": list(group.models), "policy": group.policy}
    if config.engine.enabled and engine.port:
        _engine(config, engine, desired, faults)
    for n, provider in enumerate(config.providers):
        attempt(faults, ("providers", n), _provider, provider, path.parent, desired)
    for n, offer in enumerate(config.offers):
        attempt(faults, ("offers", n), _offer, offer, local, desired)
    for n, tariff in enumerate(config.tariffs):
        prices = {}
        for model, price in tariff.prices.items():
            at = ("tariffs", n, "prices", model)
            prices[model] = attempt(faults, at, books.tariff_rows, tariff.name, model, price) or []
        desired.tariffs[tariff.name] = {
            "margin_ppm": margin_ppm(tariff.margin_percent),
            "prices": prices,
            "rules": msgspec.to_builtins(tariff_rules(tariff)),
        }
    for account in _parents_first(config.accounts):
        desired.accounts[account.name] = {
            "tariff": account.tariff,
            "parent": account.parent,
            "currency": account.currency,
            "extra": said(account, "name", "tariff", "parent", "currency"),
        }
        desired.wishes[account.name] = account_wishes(account)
    if faults:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
        raise ConfigWrong([Finding(str(path), lines.locate(text, at), dotted(at), say, fix) for at, say, fix in faults])
    return desired


def _parents_first(accounts: list[AccountConf]) -> list[AccountConf]:
    """The accounts in an order in which every parent comes before its children. There are no circles (`rules.py`)."""
    parents = {account.name: account.parent for account in accounts}

    def depth(name: str) -> int:
        return 1 + depth(parents[name]) if name in parents else 0

    return sorted(accounts, key=lambda account: depth(account.name))


def said(conf: msgspec.Struct, *without: str) -> dict[str, Any]:
    """The fields of a table that say something, as JSON holds them."""
    found = {}
    for field in msgspec.structs.fields(conf):
        value = msgspec.json.decode(msgspec.json.encode(getattr(conf, field.name)))
        if field.name not in without and value not in (field.default, None, "", [], {}):
            found[field.encode_name] = value
    return found


def attempt(faults: list[Fault], at: lines.Path, work: Callable[..., Any], *arguments: Any) -> Any:
    """Runs `work(*arguments)`; a Refusal becomes a fault at this place of the file, and the result is None."""
    try:
        return work(*arguments)
    except Refusal as refusal:
        inner: lines.Path = tuple(refusal.param.split(".")) if refusal.param else ()
        faults.append((at + inner, refusal.say, refusal.fix))
        return None


def provider_values(conf: ProviderConf, folder: Path) -> dict[str, Any]:
    """The columns of a provider: facts of the catalogue where the configuration says nothing."""
    vendor = _vendor(conf)
    base_url = catalogue.check_base_url(conf.base_url or _public_url(vendor, conf.scope))
    silence_s = max(DEFAULT_TIMEOUT_S, float(vendor.silence_s))
    credential = conf.credential
    credential, *further = (_reference(one, folder) for one in (credential, *conf.credentials))
    return {
        "kind": vendor.kind,
        "dialect": vendor.name,
        "base_url": base_url,
        "credential": credential,
        "abort": conf.abort or vendor.abort,
        "timeouts": {
            "connect_timeout_s": conf.connect_timeout_s,
            "first_byte_timeout_s": conf.first_byte_timeout_s or silence_s,
            "idle_timeout_s": conf.idle_timeout_s or silence_s,
        },
        "extra": {
            "connections_max": conf.connections_max,
            "ca_file": str(folder / Path(conf.ca_file).expanduser()) if conf.ca_file else "",
            "cache_ttl": conf.cache_ttl,
            "scope": conf.scope or vendor.scope,
            **said(conf, *_PROVIDER_COLUMNS),
            **({"credentials": further} if further else {}),
        },
    }


_PROVIDER_COLUMNS = (  # those that stand elsewhere in its row
    "name", "from_", "base_url", "scope", "credential", "abort", "connect_timeout_s", "first_byte_timeout_s",
    "idle_timeout_s", "connections_max", "ca_file", "cache_ttl", "credentials",
)  # fmt: skip
_OFFER_COLUMNS = (
    "model", "provider", "name", "upstream_model", "endpoints", "price", "context_max", "output_max", "bytes_per_token",
    "quality",
)  # fmt: skip


def _reference(credential: str, folder: Path) -> str:
    """A gateway's working folder is not this file's folder."""
    if not credential.startswith("file:"):
        return credential
    return f"file:{folder / Path(credential.removeprefix('file:')).expanduser()}"


def _vendor(conf: ProviderConf) -> Vendor:
    try:
        return catalogue.vendor(conf.from_ or conf.name)
    except Refusal as refusal:
        refusal.param = "from" if conf.from_ else "name"
        raise


def _public_url(vendor: Vendor, scope: str) -> str:
    if host := vendor.host(scope):
        return host.base_url
    if not vendor.hosts:
        raise Refusal(
            f"{vendor.title} has no public address: say where yours answers.",
            f'Add: base_url = "{vendor.address}" (by command: --base-url).',
            code="base_url_missing",
            param="base_url",
        )
    scopes = ", ".join(dict.fromkeys(host.scope for host in vendor.hosts))
    raise Refusal(f"{vendor.title} has no scope {scope!r}.", f"Known: {scopes}.", code="scope_unknown", param="scope")


def _provider(conf: ProviderConf, folder: Path, desired: Desired) -> None:
    values = desired.providers[conf.name] = provider_values(conf, folder)
    if roots := values["extra"]["ca_file"]:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(roots)
        except OSError as error:  # ssl.SSLError is one
            raise Refusal(
                f"{roots} cannot be used as a trust root ({error.strerror or error}).",
                "Give the path of a file with certificates in PEM, which gateways can read.",
                code="ca_file_wrong",
                param="ca_file",
            ) from error


def _offer(conf: OfferConf, local: list[PriceRow], desired: Desired) -> None:
    upstream = conf.upstream_model or conf.model
    known = desired.providers.get(conf.provider)
    if isinstance(conf.price, PriceConf):
        rows = books.offer_rows(conf.provider, upstream, conf.price)
    elif known:
        rows = books.catalogue_rows(known["dialect"], upstream, known["extra"]["scope"], local)
    else:
        rows = []  # its provider was made by the command; `apply` completes it from the database
    endpoints: list[str] = list(conf.endpoints or [])
    if known:
        endpoints = endpoints_of(known["dialect"], endpoints, rows)
    ranks = conf.quality if isinstance(conf.quality, dict) else {"": conf.quality} if conf.quality else {}
    desired.offers[conf.full_name] = {
        "model": conf.model,
        "provider": conf.provider,
        "upstream_model": upstream,
        "endpoints": endpoints,
        "prices": rows,
        "extra": {
            "context_max": conf.context_max,
            "output_max": conf.output_max,
            "bytes_per_token": conf.bytes_per_token,
            "price": "catalogue" if isinstance(conf.price, str) else "own",
            **said(conf, *_OFFER_COLUMNS),
            **({"quality": ranks} if ranks else {}),
        },
    }


def endpoints_of(dialect: str, said: list[str], rows: list[PriceRow]) -> list[str]:
    """What an offer serves: as it was said, if the vendor has those doors, else the vendor's default."""
    vendor = catalogue.vendor(dialect)
    check_endpoints(vendor, said)
    return list(dict.fromkeys(said)) or default_endpoints(vendor, rows)


def _engine(config: Config, engine: EngineOptions, desired: Desired, faults: list[Fault]) -> None:
    conf, card = config.engine, cards.SMOLLM2
    rows = attempt(faults, ("engine", "price"), books.offer_rows, ENGINE_PROVIDER, conf.model, conf.price)
    desired.providers[ENGINE_PROVIDER] = {
        "kind": "engine",
        "dialect": "llamacpp",
        "base_url": f"http://127.0.0.1:{engine.port}/v1",
        "credential": "",
        "abort": "stops",
        "timeouts": {"connect_timeout_s": 5.0, "first_byte_timeout_s": 600.0, "idle_timeout_s": 120.0},
        "extra": {"connections_max": 1024, "ca_file": "", "cache_ttl": "", "scope": "global"},
    }
    context = conf.context or card.context_max
    desired.offers[f"{conf.model}@{ENGINE_PROVIDER}"] = {
        "model": conf.model,
        "provider": ENGINE_PROVIDER,
        "upstream_model": conf.model,
        "endpoints": list(card.endpoints),
        "prices": rows or [],
        "extra": {
            "context_max": context,
            "output_max": context,
            "bytes_per_token": card.bytes_per_token if not conf.file else 4.0,
            "price": "own",
        },
    }


def _local_books(config: Config, folder: Path, faults: list[Fault]) -> list[PriceRow]:
    """Rows of `price_files` and `[[prices]]`."""
    rows: list[PriceRow] = []
    for n, name in enumerate(config.price_files):
        rows += attempt(faults, ("price_files", n), books.load_file, folder / name) or []
    for n, row in enumerate(config.prices):
        rows += attempt(faults, ("prices", n), books.load_row, row) or []
    if not faults:
        attempt(faults, ("prices",), check_overlaps, rows)
    return rows
