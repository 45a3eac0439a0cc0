"""What types alone cannot say about `baseload.toml`: names that must be unique, references that lead somewhere. Pure.

A fault is (path, what is wrong, what would be right). A literal secret is never repeated in a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

from baseload.control.config import (
    AccountConf,
    BudgetConf,
    Config,
    Fault,
    OfferConf,
    PriceConf,
    ProviderConf,
    TariffConf,
)
from baseload.control.lines import Path
from baseload.control.people.roles import ROLES
from baseload.dispatch.policy import Limits
from baseload.dispatch.rules import Bound, check_policy
from baseload.errors import Refusal
from baseload.ledger.limits import Wish
from baseload.money.amount import Amount, BadAmount
from baseload.money.period import check_zone
from baseload.money.tariff import Discount, Rules
from baseload.providers import catalogue

ENGINE_PROVIDER = "local"  # the provider that the embedded engine becomes
NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,62}$")
MODEL = re.compile(r"^[!-~]{1,200}$")
CURRENCY = re.compile(r"^[A-Z]{3}$")


def faults(config: Config) -> list[Fault]:
    return [
        *_names(config),
        *(fault for n, provider in enumerate(config.providers) for fault in _provider(provider, ("providers", n))),
        *(fault for n, offer in enumerate(config.offers) for fault in _offer(offer, ("offers", n))),
        *_tariffs(config),
        *_accounts(config),
        *_policies(config),
        *_groups(config),
        *_engine(config),
        *_telemetry(config),
        *_oidc(config),
        *_fx(config),
    ]


def _names(config: Config) -> Iterator[Fault]:
    taken = [ENGINE_PROVIDER] if config.engine.enabled else []
    yield from _unique("providers", [item.name for item in config.providers], taken)
    yield from _unique("tariffs", [item.name for item in config.tariffs])
    yield from _unique("accounts", [item.name for item in config.accounts])
    seen: dict[str, int] = {}
    for n, offer in enumerate(config.offers):
        if offer.full_name in seen:
            yield (
                ("offers", n),
                f"The offer {offer.full_name} is declared twice (also offers[{seen[offer.full_name] + 1}]).",
                'Give one of them its own `name`, as in name = "second@somewhere".',
            )
        seen.setdefault(offer.full_name, n)


def _unique(table: str, names: Iterable[str], taken: Iterable[str] = ()) -> Iterator[Fault]:
    seen = set(taken)
    for n, name in enumerate(names):
        if not NAME.match(name):
            yield (
                (table, n, "name"),
                f"{name!r} cannot be a name.",
                'Use small letters, digits, ".", "_" and "-", at most 63, as in "team-a".',
            )
        elif name in seen:
            why = " by the embedded engine" if name in taken else ""
            yield (table, n, "name"), f"The name {name!r} is already taken{why}.", "Choose another name."
        seen.add(name)


def _provider(provider: ProviderConf, at: Path) -> Iterator[Fault]:
    if provider.credential and (say := credential_fault(provider.credential)):
        yield (*at, "credential"), say, 'Put the secret in the environment and write credential = "env:NAME".'
    if provider.base_url:
        try:
            catalogue.check_base_url(provider.base_url)
        except Refusal as refusal:
            yield (*at, "base_url"), refusal.say, refusal.fix
    for m, reference in enumerate(provider.credentials):
        if say := credential_fault(reference):
            yield (*at, "credentials", m), say, 'Put the secret in the environment and write "env:NAME".'
    yield from _limits(provider.limits, (*at, "limits"))
    for field in ("connect_timeout_s", "first_byte_timeout_s", "idle_timeout_s"):
        if not 0 <= getattr(provider, field) <= 3600:
            yield (*at, field), "A timeout is at most 3600 seconds, 0 = the default.", f"Right would be: {field} = 60.0"
    if not 1 <= provider.connections_max <= 65535:
        yield (*at, "connections_max"), "Must be between 1 and 65535.", "Right would be: connections_max = 1024"


def credential_fault(reference: str) -> str:
    """Why a credential reference in a file or request is refused, "" when it is fine. Never repeats its text."""
    scheme, separator, rest = reference.partition(":")
    if scheme not in ("env", "file") or not separator:
        return "A secret does not belong in this file: a credential is only ever a reference, env:NAME or file:PATH."
    if scheme == "env" and not re.match(r"^[A-Za-z_][A-Za-z0-9_]*$", rest):
        return "After env: comes the name of an environment variable."
    return "" if rest else "After file: comes a path."


def _offer(offer: OfferConf, at: Path) -> Iterator[Fault]:
    if not MODEL.match(offer.model):
        yield (*at, "model"), "A model's name is 1 to 200 visible ASCII characters.", 'As in "deepseek-v4-pro".'
    if offer.endpoints is not None and (not offer.endpoints or len(set(offer.endpoints)) != len(offer.endpoints)):
        yield (*at, "endpoints"), "Name each endpoint once, and at least one.", 'Right would be: endpoints = ["chat"]'
    if isinstance(offer.price, str):
        if offer.price != "catalogue":
            yield (
                (*at, "price"),
                f"{offer.price!r} is not a price.",
                'Right would be: price = "catalogue" or { rate = { input = "0.15", output = "0.60" } }',
            )
    else:
        yield from _price(offer.price, (*at, "price"))
    for field in ("context_max", "output_max"):
        if getattr(offer, field) < 0:
            yield (*at, field), "Tokens cannot be negative; 0 means not known.", ""
    yield from _limits(offer.limits, (*at, "limits"))
    ranks = offer.quality if isinstance(offer.quality, dict) else {"": offer.quality}
    if not all(0 <= rank <= 1000 for rank in ranks.values()):
        yield (*at, "quality"), "A rank is between 0 and 1000.", "Right would be: quality = 700"
    if not 0.1 <= offer.bytes_per_token <= 64:
        yield (*at, "bytes_per_token"), "Must be between 0.1 and 64.", "Right would be: bytes_per_token = 4.0"


def _price(price: PriceConf, at: Path) -> Iterator[Fault]:
    if not CURRENCY.match(price.currency):
        yield (
            (*at, "currency"),
            f"{price.currency!r} is not a currency.",
            'Three capital letters, as in "USD" or "CNY".',
        )
    if not price.rate:
        yield (
            (*at, "rate"),
            "A price needs at least one rate.",
            'Right would be: rate = { input = "0.15", output = "0.60" }',
        )
    for meter, rate in price.rate.items():
        if (value := decimal(rate)) is None or value < 0:
            yield (
                (*at, "rate", meter),
                f"{rate!r} is not a rate.",
                'A decimal string, per 1,000,000 where the meter counts tokens, as in "0.15"; "0" means free.',
            )


def _tariffs(config: Config) -> Iterator[Fault]:
    for n, tariff in enumerate(config.tariffs):
        try:
            margin_ppm(tariff.margin_percent)
        except Refusal as refusal:
            yield ("tariffs", n, "margin_percent"), refusal.say, refusal.fix
        for model, price in tariff.prices.items():
            yield from _price(price, ("tariffs", n, "prices", model))
        if tariff.currency and not CURRENCY.match(tariff.currency):
            yield ("tariffs", n, "currency"), f"{tariff.currency!r} is not a currency.", 'As in "USD".'
        try:
            tariff_rules(tariff)
        except Refusal as refusal:
            yield ("tariffs", n, refusal.param or "name"), refusal.say, refusal.fix


def tariff_rules(tariff: TariffConf) -> Rules:
    """What a tariff says beyond margin and prices. Raises Refusal with the field in `param`."""
    with _in_field("minimum"):
        minimum = amount_nano(tariff.minimum)
    with _in_field("allowance"):
        allowance = amount_nano(tariff.allowance)
    with _in_field("discounts"):
        tiers = tuple(
            Discount(from_nano=amount_nano(one.from_), ppm=margin_ppm(one.percent)) for one in tariff.discounts
        )
    if any(not 0 <= tier.ppm <= 1_000_000 for tier in tiers):
        raise Refusal("A discount is between 0 and 100 per cent.", "", code="discount_wrong", param="discounts")
    with _in_field("floor_margin_percent"):
        floor = margin_ppm(tariff.floor_margin_percent)
    if (minimum or allowance or tiers) and not tariff.currency:
        raise Refusal(
            "Amounts of a tariff need the currency they are in.", 'Add: currency = "USD".', code="currency_missing",
            param="currency",
        )  # fmt: skip
    return Rules(
        currency=tariff.currency, minimum_nano=minimum, allowance_nano=allowance, floor=tariff.floor, floor_ppm=floor,
        discounts=tuple(sorted(tiers, key=lambda tier: tier.from_nano)),
    )  # fmt: skip


def amount_nano(text: str) -> int:
    """A decimal string as nano-units of whatever currency it is in. Raises BadAmount; never negative."""
    nano = Amount.from_decimal(text, "XXX").nano  # ISO 4217's code for "no currency": only the number is read
    if nano < 0:
        raise BadAmount(f"{text!r} is negative.", "Give an amount of 0 or more.")
    return nano


@contextmanager
def _in_field(name: str) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        refusal.param = name
        raise


def account_wishes(account: AccountConf) -> list[Wish]:
    """The purses an account's table declares. Raises Refusal with the field in `param`."""
    with _in_field("zone"):
        check_zone(account.zone)
    wishes = []
    if account.funding:
        with _in_field("credit"):
            credit = amount_nano(account.credit)
        wishes.append(Wish(kind="funding", name="funding", limit_nano=credit, zone=account.zone))
    elif account.credit != "0":
        raise Refusal(
            "A credit line needs a funding.", 'Add: funding = "credit".', code="funding_missing", param="funding"
        )
    for budget in account.budgets:
        with _in_field("budgets"):
            wishes.append(budget_wish(budget, account.zone))
    names = [wish.name for wish in wishes]
    if len(set(names)) != len(names):
        raise Refusal(
            "Two budgets have one name.", 'Give each its own: name = "second".', code="budget_twice", param="budgets"
        )
    return wishes


def budget_wish(budget: BudgetConf, zone: str) -> Wish:
    """One budget. Raises Refusal."""
    if any(not 0 < percent <= 1000 for percent in budget.warn):
        raise Refusal("A warning is at 1 to 1000 per cent.", "As in warn = [80, 100].", code="warn_wrong")
    name = budget.name or budget.period
    if name == "funding":
        raise Refusal("A budget cannot be named funding.", "Choose another name.", code="budget_name")
    return Wish(
        kind="budget", name=name, hard=not budget.soft, period=budget.period, zone=zone,
        limit_nano=amount_nano(budget.amount), warn=tuple(sorted(set(budget.warn))),
    )  # fmt: skip


def margin_ppm(percent: str) -> int:
    """ "20" -> 200000 parts per million. Raises Refusal for what is not a decimal above -100 with at most 4 places."""
    value = decimal(percent)
    if value is None or value <= -100 or value > 10_000 or value * 10_000 != int(value * 10_000):
        raise Refusal(
            f"{percent!r} is not a margin.",
            'A decimal string above "-100" with at most 4 places, as in margin_percent = "20".',
            code="margin_wrong",
        )
    return int(value * 10_000)


def _accounts(config: Config) -> Iterator[Fault]:
    tariffs = {tariff.name for tariff in config.tariffs} | {"default"}
    parents = {account.name: account.parent for account in config.accounts}
    for n, account in enumerate(config.accounts):
        if account.tariff not in tariffs:
            known = ", ".join(sorted(tariffs))
            yield ("accounts", n, "tariff"), f"There is no tariff {account.tariff!r} in this file.", f"Known: {known}."
        if not CURRENCY.match(account.currency):
            yield ("accounts", n, "currency"), f"{account.currency!r} is not a currency.", 'As in "USD".'
        if account.policy:
            yield from _known_policy(config, account.policy, ("accounts", n, "policy"))
        yield from _limits(account.limits, ("accounts", n, "limits"))
        try:
            account_wishes(account)
        except Refusal as refusal:
            yield ("accounts", n, refusal.param or "name"), refusal.say, refusal.fix
        if not 0 <= account.content_days <= 3650:
            yield (
                ("accounts", n, "content_days"),
                "Days are between 0 (never) and 3650.",
                "Right would be: content_days = 7",
            )
        if not 1 <= account.weight <= 1000:
            yield ("accounts", n, "weight"), "A weight is between 1 and 1000.", "Right would be: weight = 1"
        if account.parent and account.parent not in parents and account.parent != "default":
            yield ("accounts", n, "parent"), f"There is no account {account.parent!r} in this file.", "Declare it too."
        elif _circular(account.name, parents):
            yield ("accounts", n, "parent"), f"{account.name} is its own ancestor.", "Break the circle of parents."


def _limits(limits: Limits, at: Path) -> Iterator[Fault]:
    for field in limits.__struct_fields__:
        if getattr(limits, field) < 0:
            yield (*at, field), "A limit cannot be negative; 0 means that none is known.", ""


def _known_policy(config: Config, name: str, at: Path) -> Iterator[Fault]:
    known = [policy.name for policy in config.policies]
    if name not in known:
        close = get_close_matches(name, known, 1)
        fix = f"Did you mean {close[0]!r}?" if close else "Declare it under [[policies]]."
        yield at, f"There is no policy {name!r} in this file.", fix


def _policies(config: Config) -> Iterator[Fault]:
    yield from _unique("policies", [policy.name for policy in config.policies])
    fx = {"USD": (1, 1), **dict.fromkeys(config.fx, (1, 1))}
    for n, policy in enumerate(config.policies):
        try:
            Bound([policy], fx)
            check_policy(policy)
        except Refusal as refusal:
            at: Path = ("policies", n, *(refusal.param or "").split("."))
            yield at, refusal.say, refusal.fix
    for model, name in config.model_policies.items():
        yield from _known_policy(config, name, ("model_policies", model))


def _groups(config: Config) -> Iterator[Fault]:
    models = {offer.model for offer in config.offers} | ({config.engine.model} if config.engine.enabled else set())
    seen: set[str] = set()
    for n, group in enumerate(config.groups):
        at: Path = ("groups", n)
        if not MODEL.match(group.name):
            yield (*at, "name"), "A group's name is 1 to 200 visible ASCII characters.", 'As in "auto" or "grid/chat".'
        elif group.name in models or group.name in seen:
            yield (*at, "name"), f"{group.name!r} is taken by a model or another group.", "Choose another name."
        seen.add(group.name)
        if not group.models or len(set(group.models)) != len(group.models):
            yield (*at, "models"), "Name each model once, and at least one.", 'As in models = ["deepseek-v4-pro"]'
        if group.policy:
            yield from _known_policy(config, group.policy, (*at, "policy"))


def _circular(name: str, parents: dict[str, str]) -> bool:
    here, seen = parents.get(name, ""), set[str]()
    while here and here not in seen:
        if here == name:
            return True
        seen.add(here)
        here = parents.get(here, "")
    return False


def _engine(config: Config) -> Iterator[Fault]:
    engine = config.engine
    if not MODEL.match(engine.model):
        yield ("engine", "model"), "A model's name is 1 to 200 visible ASCII characters.", 'As in "smollm2".'
    if not 0 <= engine.threads <= 1024:
        yield ("engine", "threads"), "Must be between 0 (the engine chooses) and 1024.", ""
    if engine.context < 0:
        yield ("engine", "context"), "Tokens cannot be negative; 0 is the engine's default.", ""
    yield from _price(engine.price, ("engine", "price"))


def _telemetry(config: Config) -> Iterator[Fault]:
    url = config.telemetry.otlp_url
    if url and not url.startswith(("http://", "https://")):
        yield ("telemetry", "otlp_url"), f"{url!r} is no address.", 'As in "http://127.0.0.1:4318/v1/traces".'
    for name, reference in config.telemetry.headers.items():
        if fault := credential_fault(reference):
            yield ("telemetry", "headers", name), fault, 'Right would be: "env:OTLP_TOKEN"'


def _oidc(config: Config) -> Iterator[Fault]:
    yield from _unique("oidc", [one.name for one in config.oidc])
    for n, one in enumerate(config.oidc):
        at: Path = ("oidc", n)
        host = one.issuer.partition("://")[2].partition("/")[0].partition(":")[0]
        if not NAME.match(one.name):
            yield (*at, "name"), f"{one.name!r} cannot be a name.", "Use small letters, digits and -."
        if not one.issuer.startswith("https://") and host not in ("127.0.0.1", "localhost"):
            yield (*at, "issuer"), "An issuer is an https address.", 'As in "https://login.example.com/realms/company".'
        if one.client_secret and (fault := credential_fault(one.client_secret)):
            yield (*at, "client_secret"), fault, 'Right would be: "env:OIDC_SECRET"'
        if "openid" not in one.scopes:
            yield (*at, "scopes"), "The scope openid is what makes it a sign-in.", 'scopes = ["openid", "profile"]'
        for value, role in [*one.roles.items(), ("role", one.role)]:
            if role not in ("", *ROLES):
                yield (
                    (*at, "roles" if value in one.roles else "role"),
                    f"{role!r} is no role.",
                    f"Of: {', '.join(ROLES)}.",
                )
        if "member" in (*one.roles.values(), one.role) and not one.account:
            yield (*at, "account"), "Members have an account.", 'Add: account = "team-a"'


def _fx(config: Config) -> Iterator[Fault]:
    for currency, rate in config.fx.items():
        if not CURRENCY.match(currency) or (value := decimal(rate)) is None or value <= 0:
            yield (
                ("fx", currency),
                f"{currency} = {rate!r} is not an exchange rate.",
                'US dollars for one unit, as in CNY = "0.14".',
            )


def decimal(text: str) -> Decimal | None:
    """The exact decimal, or None for what is not a plain finite number."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
