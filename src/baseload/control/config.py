"""`baseload.toml`: what it may say. A wrong file is refused with file, line, field and what would be right.

In:    the text of the file. Out: `Config`, or `ConfigWrong` that lists every finding, not only the first.
Knows no database: whether a name exists there is `apply.py`'s business. References within
the file are `rules.py`'s.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from baseload.control import lines
from baseload.control.endpoints import ENDPOINTS, Endpoint
from baseload.dispatch.policy import CAPABILITIES, Limits, Policy
from baseload.errors import Refusal

# What the embedded engine's tokens cost us, for a start: about the electricity of two laptop cores at 70 tokens/s.
ENGINE_RATE = {"input": "0.02", "cache_read": "0.002", "output": "0.08"}


Capability = Literal[
    "tools", "vision", "audio", "video", "documents", "schema", "json", "thinking", "logprobs", "search"
]


class _Table(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class PriceConf(_Table):
    """A price by hand. Rates are decimal strings in the meters' units; `from`/`to` are instants with a zone."""

    rate: dict[str, str]
    currency: str = "USD"
    from_: Any = msgspec.field(name="from", default=None)
    to: Any = None
    rule: list[dict[str, Any]] = []
    note: str = ""


class ProviderConf(_Table):
    name: str
    from_: str = msgspec.field(
        name="from", default=""
    )  # a vendor of the catalogue or a dialect; default: the name itself
    base_url: str = ""
    scope: str = ""  # which of the vendor's price lists and hosts ("cn", "intl"); "" = the vendor's first
    credential: str = ""
    abort: Literal["stops", "continues", "unknown"] | None = None
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 0.0  # 0 = 120 s, or longer where the vendor is known to stay silent longer
    idle_timeout_s: float = 0.0
    connections_max: int = 1024
    ca_file: str = ""
    cache_ttl: str = ""
    credentials: list[str] = []  # further ones; calls go to whichever is in service
    region: str = ""  # where its machines are
    residency: str = ""  # whose law holds the data
    limits: Limits = Limits()  # of each credential


class OfferConf(_Table):
    model: str
    provider: str
    name: str = ""  # default: model@provider
    upstream_model: str = ""  # default: the model's name
    endpoints: list[Endpoint] | None = None  # the doors its provider has upstream; None = the vendor's default
    price: PriceConf | str = "catalogue"
    context_max: int = 0  # tokens, 0 = not known
    output_max: int = 0
    bytes_per_token: float = 4.0
    capabilities: list[Capability] | None = None  # None = not said, all are presumed
    region: str = ""  # "" = its provider's
    residency: str = ""
    supply: Literal["", "base", "contract", "spot"] = ""
    limits: Limits = Limits()
    quality: int | dict[str, int] = 0  # declared rank, 0 to 1000; by kind of work where it differs
    certificates: dict[str, str] = {}  # kind of work -> certificate id

    @property
    def full_name(self) -> str:
        return self.name or f"{self.model}@{self.provider}"


class DiscountConf(_Table):
    from_: str = msgspec.field(name="from")  # volume of the month, in the charge's currency
    percent: str


class TariffConf(_Table):
    name: str
    margin_percent: str = "0"
    prices: dict[str, PriceConf] = {}
    currency: str = ""  # charges are made in it; "" = in the price's
    minimum: str = "0"  # of a call that is charged at all
    discounts: list[DiscountConf] = []
    allowance: str = "0"  # included in a month
    floor: Literal["", "warn", "refuse"] = ""  # where an offer would cost more than the account pays
    floor_margin_percent: str = "0"


class BudgetConf(_Table):
    period: Literal["total", "day", "week", "month"]
    amount: str  # in the account's currency
    name: str = ""  # default: the period
    soft: bool = False  # it warns and stops nobody
    warn: list[int] = msgspec.field(default_factory=lambda: [80, 100])  # per cent


class AccountConf(_Table):
    name: str
    tariff: str = "default"
    parent: str = ""
    currency: str = "USD"
    policy: str = ""
    priority: Literal["interactive", "standard", "batch"] = "standard"
    weight: int = 1
    funding: Literal["", "prepaid", "credit"] = ""  # "" = its parent pays; without one, postpaid
    credit: str = "0"  # the credit line of `funding = "credit"`
    budgets: list[BudgetConf] = []
    zone: str = "UTC"  # where its days begin
    limits: Limits = Limits()  # of all its calls and those below it
    content_days: int = 0  # keep prompts and answers, sealed, for so many days; 0 = never


class PolicyConf(Policy, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A policy with a name: docs/dispatch/policies.md."""

    name: str


class GroupConf(_Table):
    """A name that stands for several models; dispatch chooses among them."""

    name: str
    models: list[str]
    policy: str = ""


class EngineConf(_Table):
    enabled: bool = True
    model: str = "smollm2"
    file: str = ""  # a GGUF of your own; "" = the one that comes with the `local` extra
    threads: int = 0  # 0 = the engine chooses
    context: int = 0  # tokens, 0 = the engine's default
    price: PriceConf = msgspec.field(default_factory=lambda: PriceConf(rate=dict(ENGINE_RATE)))


class TelemetryConf(_Table):
    """Traces by OTLP over HTTP, from settled readings. Off as long as `otlp_url` is empty."""

    otlp_url: str = ""
    service: str = "baseload"
    headers: dict[str, str] = {}  # name -> env:NAME or file:PATH


class OidcConf(_Table):
    """An identity provider people may sign in by (OpenID Connect)."""

    name: str  # in the address and on the button
    issuer: str
    client_id: str
    client_secret: str = ""  # env:NAME or file:PATH; "" = a public client
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "profile", "email"])
    name_claim: str = "preferred_username"
    role_claim: str = "groups"
    roles: dict[str, str] = {}  # a value of the claim -> a role
    role: str = ""  # of who has none of those values; "" = not let in
    account: str = ""  # of members


class Config(_Table):
    oidc: list[OidcConf] = []
    telemetry: TelemetryConf = msgspec.field(default_factory=TelemetryConf)
    engine: EngineConf = msgspec.field(default_factory=EngineConf)
    providers: list[ProviderConf] = []
    offers: list[OfferConf] = []
    tariffs: list[TariffConf] = []
    accounts: list[AccountConf] = []
    policies: list[PolicyConf] = []
    groups: list[GroupConf] = []
    model_policies: dict[str, str] = {}  # model -> policy
    prices: list[dict[str, Any]] = []  # rows in the shape of a vendor's price file (docs/prices.md)
    price_files: list[str] = []
    fx: dict[str, str] = {}  # currency -> USD for one unit, for comparing offers only


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong in the file."""

    file: str
    line: int
    field: str
    say: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field + ': ' if self.field else ''}{self.say} {self.fix}".strip()


class ConfigWrong(Refusal):
    code, status = "config_wrong", 422

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("\n".join(str(finding) for finding in findings), "")


def load(path: Path) -> Config:
    """Reads and checks the file; without a file, the defaults (an embedded engine, nothing else)."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigWrong([Finding(str(path), 1, "", f"The file cannot be read ({error}).")]) from error
    return parse(text, str(path))


def parse(text: str, file: str = "baseload.toml") -> Config:
    """Checks the text and returns the configuration, or raises ConfigWrong with every finding."""
    from baseload.control import rules

    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigWrong([_syntax(str(error), text, file)]) from error
    faults = list(_shape(raw))
    if not faults:
        config = msgspec.convert(raw, Config)
        faults = rules.faults(config)
        if not faults:
            return config
    found = [Finding(file, lines.locate(text, path), dotted(path), say, fix) for path, say, fix in faults]
    raise ConfigWrong(sorted(found, key=lambda finding: finding.line))


Fault = tuple[lines.Path, str, str]  # where, what is wrong, what would be right

_LISTS: dict[str, type[msgspec.Struct]] = {
    "providers": ProviderConf,
    "offers": OfferConf,
    "tariffs": TariffConf,
    "accounts": AccountConf,
    "policies": PolicyConf,
    "groups": GroupConf,
    "oidc": OidcConf,
}


def _shape(raw: dict[str, Any]) -> list[Fault]:
    """Faults of types and names, table by table, so that one wrong table does not hide the next."""
    faults: list[Fault] = []
    rest = dict(raw)
    for name, kind in _LISTS.items():
        items = rest.pop(name, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            faults.append(((name,), f"`{name}` must be a list of tables.", f"Write [[{name}]] above each."))
            continue
        for number, item in enumerate(items):
            faults += _convert(item, kind, (name, number))
    if "telemetry" in rest:
        faults += _convert(rest.pop("telemetry"), TelemetryConf, ("telemetry",))
    if "engine" in rest:
        faults += _convert(rest.pop("engine"), EngineConf, ("engine",))
    return faults + _convert(rest, Config, ())


def _convert(raw: Any, kind: type[msgspec.Struct], where: lines.Path) -> list[Fault]:
    try:
        msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        return [_explain(str(error), raw, kind, where)]
    return []


_AT = re.compile(r"^(.*?)(?: - at `(?:key in )?\$(.*)`)?$", re.S)
_STEP = re.compile(r"\[(\d+)\]|\[(\.\.\.)\]|\.([^.\[]+)")


def _explain(message: str, raw: Any, kind: type[msgspec.Struct], where: lines.Path) -> Fault:
    """Turns msgspec's words into a path and a sentence that says what would be right."""
    match = _AT.match(message)
    said, at = (match[1], match[2] or "") if match else (message, "")
    path: lines.Path = tuple(int(n) if n else (name or dots) for n, dots, name in _STEP.findall(at))
    if unknown := re.match(r"Object contains unknown field `(.*)`", said):
        fields = _fields_at(kind, path)
        close = difflib.get_close_matches(unknown[1], fields, 1)
        hint = f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(sorted(fields))}."
        return where + path + (unknown[1],), f"`{unknown[1]}` is not a field here.", hint
    if missing := re.match(r"Object missing required field `(.*)`", said):
        return where + path, f"`{missing[1]}` is missing.", f"Add: {missing[1]} = {EXAMPLES.get(missing[1], '...')}"
    path = _first_wrong(path, raw)
    last = next((step for step in reversed((*where, *path)) if isinstance(step, str)), "")
    if "rate" in path and "got `" in said and "Expected `str`" in said:
        return (
            where + path,
            "A rate must be a decimal string, not a number.",
            'Quote it, so that it stays exact: "0.15".',
        )
    if said.startswith("Invalid enum value"):
        return (
            where + path,
            f"{said}.",
            f"Right would be: {EXAMPLES.get(last, 'one of the words in docs/configuration.md')}",
        )
    fix = f"Right would be: {last} = {EXAMPLES[last]}" if last in EXAMPLES else ""
    return where + path, f"{said.replace('`', '')}.", fix


def _fields_at(kind: type[Any], path: lines.Path) -> list[str]:
    """Field names of the struct that `path` inside `kind` leads to."""
    here: Any = kind
    for step in path:
        if isinstance(here, type) and issubclass(here, msgspec.Struct):
            names = {field.encode_name: field.type for field in msgspec.structs.fields(here)}
            here = names.get(str(step))
        here = _struct_in(here)
    if isinstance(here, type) and issubclass(here, msgspec.Struct):
        return [field.encode_name for field in msgspec.structs.fields(here)]
    return []


def _struct_in(annotation: Any) -> Any:
    """The struct inside list[...], dict[..., ...] or a union, else the annotation itself."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    for part in cast(tuple[Any, ...], getattr(annotation, "__args__", ())):
        if isinstance(inner := _struct_in(part), type) and issubclass(inner, msgspec.Struct):
            return inner
    return annotation


def _first_wrong(path: lines.Path, raw: Any) -> lines.Path:
    """msgspec names a dict's wrong value `[...]`; find which key it was by the first value that is not a string."""
    if "..." not in path:
        return path
    here, found = raw, list[str | int]()
    for step in path:
        if step == "..." and isinstance(here, dict):
            step = next((key for key, value in here.items() if not isinstance(value, str)), "...")
        found.append(step)
        here = (
            here.get(step)
            if isinstance(here, dict)
            else here[step]
            if isinstance(here, list) and isinstance(step, int)
            else None
        )
    return tuple(found)


EXAMPLES = {
    "name": '"deepseek"',
    "model": '"deepseek-v4-pro"',
    "provider": '"deepseek"',
    "base_url": '"http://127.0.0.1:8000/v1"',
    "credential": '"env:DEEPSEEK_API_KEY"',
    "endpoints": f'["chat"] (of {", ".join(f"{chr(34)}{word}{chr(34)}" for word in ENDPOINTS)})',
    "abort": '"stops", "continues" or "unknown"',
    "price": '"catalogue" or { currency = "USD", rate = { input = "0.15", output = "0.60" } }',
    "rate": '{ input = "0.15", output = "0.60" }',
    "margin_percent": '"20" (a decimal string)',
    "currency": '"USD"',
    "connect_timeout_s": "5.0",
    "first_byte_timeout_s": "120.0",
    "idle_timeout_s": "120.0",
    "connections_max": "1024",
    "enabled": "true or false",
    "threads": "2",
    "context": "4096",
    "context_max": "128000",
    "output_max": "8192",
    "bytes_per_token": "4.0",
    "capabilities": f'["tools"] (of {", ".join(CAPABILITIES)})',
    "supply": '"base", "contract" or "spot"',
    "limits": "{ requests_per_minute = 500, concurrent = 8 }",
    "quality": "700 or { code = 800 }",
    "priority": '"interactive", "standard" or "batch"',
    "weight": "1",
    "content_days": "7",
    "models": '["deepseek-v4-pro", "qwen-max"]',
    "objective": '"cheapest", "fastest" or "balanced"',
    "max_price": '{ input = "0.5", output = "2" }',
    "max_cost": '"0.05 USD"',
    "failed_attempts": '"us" or "account"',
    "funding": '"prepaid" or "credit"',
    "credit": '"100" (a decimal string in the account\'s currency)',
    "period": '"day", "week", "month" or "total"',
    "amount": '"500" (a decimal string in the account\'s currency)',
    "floor": '"warn" or "refuse"',
    "minimum": '"0.0001" (a decimal string)',
    "allowance": '"10" (a decimal string)',
    "discounts": '[{ from = "1000", percent = "5" }]',
    "issuer": '"https://login.example.com/realms/company"',
    "client_id": '"baseload"',
    "otlp_url": '"http://127.0.0.1:4318/v1/traces"',
    "price_files": '["prices/acme.toml"]',
}


def dotted(path: lines.Path) -> str:
    """("offers", 0, "price") -> "offers[1].price"; people count from one."""
    text = ""
    for step in path:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _syntax(message: str, text: str, file: str) -> Finding:
    where = re.search(r"\(at line (\d+), column \d+\)", message)
    line = int(where[1]) if where else text.count("\n") + 1
    return Finding(
        file, line, "", f"Not TOML: {message}.", "See docs/configuration.md, or print an example: baseload init"
    )
