"""The snapshot, indexed for the request path: keys by hash, offers by model, prices by instant.

In:     `Snapshot`, a `Vault` for credentials.
Out:    `Catalog`, replaced as a whole when a new snapshot arrives; calls keep the objects they began with.
"""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from baseload.dispatch.capacity import Capacity, Share
from baseload.dispatch.health import CredentialHealth, OfferHealth
from baseload.dispatch.market import Market
from baseload.dispatch.policy import Limits, Policy
from baseload.dispatch.rates import Pair, RowRates
from baseload.dispatch.rules import OfferFacts
from baseload.errors import Refusal
from baseload.gateway.doors import Door, doors_of
from baseload.gateway.snapshot import (
    AccountRow,
    GroupRow,
    KeyRow,
    LimitRow,
    OfferRow,
    ProviderRow,
    RateRow,
    Snapshot,
)
from baseload.gateway.vault import Vault
from baseload.money.tariff import NONE, Rules
from baseload.providers import limits
from baseload.providers.catalogue import vendor
from baseload.providers.vendor import Vendor
from baseload.wire import refusals
from baseload.wire.protocols import DOORS

if TYPE_CHECKING:
    from baseload.gateway.metrics import Series
    from baseload.gateway.upstream import Pool

MILLION = 1_000_000
OUTPUT_GUESS = 4096  # tokens held for a call that names no limit at a model whose limit is not known
_AUTH_CACHE_MAX = 65_536
_FAULT_HEADERS = ("retry-after", "retry-after-ms", "date")
_COUNTS = ("messages", "responses", "gemini")  # protocols in which a provider may count a request's tokens


class Offer:
    """One offer with one of its provider's credentials, ready to serve: its request head is written once, its price is
    looked up by instant. Health, capacity and bytes a token outlive the snapshot: `dispatching` puts them here."""

    __slots__ = (
        "_fx",
        "_price",
        "access",
        "bytes_per_token",
        "capacity",
        "changes",
        "credential",
        "doors",
        "edges",
        "endpoints",
        "facts",
        "fault_headers",
        "half_priced",
        "health",
        "id",
        "id_headers",
        "limit_headers",
        "model",
        "name",
        "name_bytes",
        "output_bound",
        "pool",
        "prices",
        "provider",
        "reference",
        "row",
        "series",
        "tls",
        "trouble",
        "upstream_model",
        "vendor",
        "ways",
    )

    def __init__(
        self,
        row: OfferRow,
        provider: ProviderRow,
        prices: list[RowRates],
        vault: Vault,
        fx: tuple[int, int],
        credential: int = 0,
    ) -> None:
        self.row = row
        self.credential = credential  # which of its provider's, 0 = the first
        self.reference = (provider.credential, *provider.credentials)[credential]
        self.id = row.id
        self.name = row.name
        self.name_bytes = row.name.encode("latin-1", "replace")
        self.model = row.model
        self.provider = provider
        self.prices = prices
        sides = [price.missing_side for price in prices]
        self.half_priced = sides[0] if sides and all(sides) else ""  # what all its prices lack for calls that generate
        self.upstream_model = row.upstream_model
        self.doors = doors_of(row.endpoints)  # client's endpoint -> the door it goes through
        self.endpoints = frozenset(self.doors)
        self.bytes_per_token = max(row.bytes_per_token, 0.5)
        self.output_bound = row.output_max or row.context_max or OUTPUT_GUESS  # tokens one choice can have
        self.series: dict[str, Series] = {}  # of the metrics, by endpoint; filled by the calls
        self.pool: Pool | None = None  # set by the gateway at the first call
        self.tls: ssl.SSLContext | None = None  # of https
        self.trouble = ""  # why it cannot serve at all, "" = it can
        self.ways: dict[str, Door] = {}  # by the door's name
        self.fault_headers: tuple[str, ...] = ()
        self.id_headers: tuple[bytes, ...] = (b"x-request-id",)
        self.limit_headers: tuple[str, ...] = ()
        self._fx = fx
        self.edges = tuple(edge for price in prices for edge in price.edges)
        self.changes = tuple(at for price in prices for at in (price.from_ns, price.to_ns))
        self._price: RowRates | None = None
        self.health = OfferHealth(milli=int(self.bytes_per_token * 1000))
        self.access = CredentialHealth()
        self.capacity = Capacity(Share(row.limits), Share(provider.limits))
        self.facts = OfferFacts(
            id=row.id, name=row.name, provider=provider.name, vendor=provider.dialect,
            region=row.region or provider.region, residency=row.residency or provider.residency,
            supply=row.supply or ("base" if provider.kind == "engine" else "contract"),
            capabilities=frozenset(row.capabilities) if row.capabilities is not None else None,
            quality=row.quality, certificates=row.certificates, context_max=row.context_max, output_max=row.output_max,
        )  # fmt: skip
        try:
            self.vendor: Vendor = vendor(provider.dialect)
            self.id_headers = tuple(
                dict.fromkeys([*(n.encode() for n in self.vendor.request_id_headers), b"x-request-id"])
            )
            self.limit_headers = limits.names(self.vendor)
            self.fault_headers = (*self.vendor.retry_headers, *self.vendor.error_headers, *_FAULT_HEADERS)
            secret = vault.resolve(self.reference)
            for name in row.endpoints:
                self.ways[name] = Door(name, row, provider, self.vendor, secret)
            for name in (*(f"{counting}_count" for counting in _COUNTS), "gemini_embed_batch", "qwen_multimodal"):
                if name.rpartition("_")[0] in row.endpoints and name in self.vendor.paths:
                    self.ways[name] = Door(name, row, provider, self.vendor, secret)
            self.tls = tls_context(provider)
        except Refusal as refusal:
            self.trouble = str(refusal)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.trouble = f"provider {provider.name} cannot be reached as it is declared: {error}"

    @property
    def exchange(self) -> tuple[int, int]:
        """(numerator, denominator) from the currency of its prices to the comparison currency."""
        return self._fx

    @property
    def vendor_choices_max(self) -> int:
        """Choices a call may ask this offer for; 0 = no limit."""
        return 0 if self.trouble else self.vendor.choices_max

    def why_not(self, endpoint: str) -> str:
        if self.trouble:
            return self.trouble
        if endpoint not in self.endpoints:
            return f"it does not serve {endpoint}"
        # an input price alone would make it the cheapest, and its output would be billed to nobody
        if self.half_priced and DOORS[self.doors[endpoint]].generates:
            return f"its price has no rate for {self.half_priced}"
        return ""

    def price_at(self, at_ns: int) -> RowRates | None:
        """The price row in force. Rows are half-open in time and do not overlap."""
        price = self._price
        if price is None or not price.from_ns <= at_ns < price.to_ns:
            price = self._price = _in_force(self.prices, at_ns)
        return price

    def rates(self, at_ns: int, input_tokens: int) -> Pair | None:
        """(input, output) in nano-units of the comparison currency per million tokens; None = no price."""
        price = self.price_at(at_ns)
        pair = price.at(at_ns, input_tokens) if price is not None else None
        if pair is None:
            return None
        numerator, denominator = self._fx
        return pair[0] * numerator // denominator, pair[1] * numerator // denominator

    def expected_units(self, at_ns: int, units: dict[str, int], input_tokens: int) -> int | None:
        """Nano-units of the comparison currency for own units (images, ...), or for the input where it is priced so."""
        price = self.price_at(at_ns)
        nano = price.units(at_ns, units, input_tokens) if price is not None else None
        if price is None or nano is None:
            return None
        if not nano:
            pair = price.at(at_ns, input_tokens)
            nano = pair[0] * input_tokens // MILLION if pair is not None else 0
        return nano * self._fx[0] // self._fx[1]


class Tariff:
    """What an account pays: own price rows for a model, or cost plus margin."""

    __slots__ = ("id", "margin_ppm", "prices", "rules")

    def __init__(self, id_: int, margin_ppm: int, prices: dict[str, list[RowRates]], rules: Rules = NONE) -> None:
        self.id = id_
        self.rules = rules
        self.margin_ppm = margin_ppm
        self.prices = prices

    def price_at(self, model: str, at_ns: int) -> RowRates | None:
        """The tariff's own row for a model; None = cost plus margin. Raises Refusal when only other times have one."""
        rows = self.prices.get(model)
        if not rows:
            return None
        found = _in_force(rows, at_ns)
        if found is not None:
            return found
        raise Refusal(
            f"The tariff has no price for {model} at this time.",
            "Add one that is in force now: baseload prices show.",
            code="unpriced_model",
            status=503,
            should_retry=False,
        )


class Key:
    """A caller. `policies`: those that bind it, outermost first: of the accounts above, of its account, its own."""

    __slots__ = (
        "account", "currency", "expires_ns", "id", "limits", "models", "policies", "purses", "shares", "tariff"
    )  # fmt: skip

    def __init__(self, row: KeyRow, account: AccountRow, tariff: Tariff, policies: tuple[Policy, ...]) -> None:
        self.policies = policies
        self.purses = (*account.purses, *row.purses)
        self.currency = row.currency or account.currency  # charges are made in it; "" = as they are priced
        own = LimitRow(whose="this key", id=-row.id, limits=row.limits)
        self.limits = (*account.limits, own) if row.limits != Limits() else account.limits
        self.shares: tuple[tuple[str, Share], ...] = ()  # whose, what is used of it: set by the gateway
        self.id = row.id
        self.account = account
        self.tariff = tariff
        self.models = frozenset(row.models)
        self.expires_ns = row.expires_ns


class Catalog:
    def __init__(self, snapshot: Snapshot, vault: Vault) -> None:
        self.version = snapshot.version
        self.made_ns = snapshot.made_ns
        self.console_url = snapshot.console_url
        self.providers = {row.id: row for row in snapshot.providers}
        prices = {row.id: RowRates(row) for row in snapshot.prices}
        tariffs = {
            row.id: Tariff(
                row.id, row.margin_ppm, {model: _rows(ids, prices) for model, ids in row.prices.items()}, row.rules
            )
            for row in snapshot.tariffs
        }
        accounts = {row.id: row for row in snapshot.accounts}
        policies = {row.id: row.policy for row in snapshot.policies}
        self.fx = {snapshot.fx_base: (1, 1), **{currency: _fraction(text) for currency, text in snapshot.fx.items()}}
        self.fx_base = snapshot.fx_base
        self.groups: dict[str, GroupRow] = {row.name: row for row in snapshot.groups}
        self.name_policies: dict[str, Policy] = {
            name: policies[id_]
            for name, id_ in (*snapshot.model_policies.items(), *((row.name, row.policy) for row in snapshot.groups))
            if id_ in policies
        }
        self.purses = snapshot.purses
        self._rates: dict[str, list[RateRow]] = {}
        for rate in snapshot.rates:
            self._rates.setdefault(rate.currency, []).append(rate)
        self._vault = vault
        self._keys: dict[bytes, Key] = {}
        self.pin_secret = vault.derived(b"response ids")
        for row in snapshot.keys:
            account = accounts.get(row.account)
            if account is None or account.tariff not in tariffs:
                continue
            bind = tuple(policies[id_] for id_ in (*account.policies, row.policy) if id_ in policies)
            self._keys[row.hash] = Key(row, account, tariffs[account.tariff], bind)
        self._known: dict[bytes, Key] = {}
        self.models: dict[str, list[Offer]] = {}
        troubles: dict[tuple[str, str], list[str]] = {}
        for offer_row in snapshot.offers:
            provider = self.providers[offer_row.provider]
            rows = _rows(offer_row.cost_prices, prices)
            for credential in range(1 + len(provider.credentials)):
                offer = Offer(offer_row, provider, rows, vault, _exchange(rows, snapshot), credential)
                if offer.trouble:
                    troubles.setdefault((provider.name, offer.trouble), []).append(offer.name)
                self.models.setdefault(offer.model, []).append(offer)
        # models of which an offer says what it can do: only for those must a request be looked into
        self.telling = frozenset(row.model for row in snapshot.offers if row.capabilities is not None)
        self.troubles = tuple(
            f"provider {name} cannot serve {', '.join(offers[:3])}{', ...' if offers[3:] else ''}: {trouble}"
            for (name, trouble), offers in troubles.items()
        )
        self.markets: dict[tuple[str, str], Market[Offer]] = {
            (model, endpoint): Market([offer for offer in offers if endpoint in offer.endpoints], endpoint)
            for model, offers in self.models.items()
            for endpoint in sorted({endpoint for offer in offers for endpoint in offer.endpoints})
        }

    def callers(self) -> Iterable[Key]:
        return self._keys.values()

    def fx_text(self, currency: str, into: str, at_ns: int) -> str:
        """ "numerator/denominator" from one currency into another at an instant, "" where they are the same. Raises
        Refusal where there is no rate."""
        if currency == into:
            return ""
        one, other = self._rate_at(currency, at_ns), self._rate_at(into, at_ns)
        if one is None or other is None:
            raise Refusal(
                f"There is no rate of exchange from {currency} into {into}.",
                "Whoever runs this gateway can add one: baseload fx set.",
                code="unpriced_model", status=503, should_retry=False,
            )  # fmt: skip
        return f"{one[0] * other[1]}/{one[1] * other[0]}"

    def _rate_at(self, currency: str, at_ns: int) -> tuple[int, int] | None:
        if currency == self.fx_base:
            return (1, 1)
        found = None
        for row in self._rates.get(currency, ()):
            if row.from_ns <= at_ns:
                found = row.rate
        return _fraction(found) if found is not None else None

    def named(self) -> dict[str, list[Offer]]:
        """Every name a client may ask for: models, and groups with the offers of theirs."""
        groups = {
            name: [offer for model in row.models for offer in self.models.get(model, ())]
            for name, row in self.groups.items()
        }
        return {**self.models, **{name: offers for name, offers in groups.items() if offers}}

    def key_of(self, secret: bytes) -> Key | None:
        """The caller behind a credential. Known ones cost a dict look-up, unknown ones an HMAC."""
        known = self._known.get(secret)
        if known is not None:
            return known
        found = self._keys.get(self._vault.key_hash(secret))
        if found is not None:
            if len(self._known) >= _AUTH_CACHE_MAX:
                self._known.clear()
            self._known[secret] = found
        return found

    def no_model(self, model: str, key: Key) -> Refusal:
        """The refusal for a model that nobody offers, with the nearest names this key may use."""
        refusal = refusals.ModelNotFound(model)
        names = [name for name in (*self.models, *self.groups) if not key.models or name in key.models]
        close = difflib.get_close_matches(model[:100], names, n=3, cutoff=0.5)
        if close:
            refusal.fix = f"Did you mean {' or '.join(close)}? {refusal.fix}"
        return refusal


def tls_context(provider: ProviderRow) -> ssl.SSLContext | None:
    """How the provider's certificate is verified; None for plain http. OSError where `ca_file` cannot be used."""
    if not provider.base_url.lower().startswith("https:"):
        return None
    stamp = os.stat(provider.ca_file).st_mtime_ns if provider.ca_file else 0
    return _trust(provider.ca_file, stamp)


@lru_cache(maxsize=64)
def _trust(ca_file: str, stamp: int) -> ssl.SSLContext:
    """Reading the system's roots takes milliseconds: once a file, not once an offer and snapshot."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _rows(ids: tuple[int, ...], prices: dict[int, RowRates]) -> list[RowRates]:
    return [prices[id_] for id_ in ids if id_ in prices]


def _in_force(rows: list[RowRates], at_ns: int) -> RowRates | None:
    for row in rows:
        if row.from_ns <= at_ns < row.to_ns:
            return row
    return None


def _exchange(rows: list[RowRates], snapshot: Snapshot) -> tuple[int, int]:
    """(numerator, denominator) from the rows' currency to the comparison currency."""
    if not rows or rows[0].currency == snapshot.fx_base:
        return (1, 1)
    text = snapshot.fx.get(rows[0].currency)
    if text is None:
        return _NO_RATE
    return _fraction(text)


def _fraction(text: str) -> tuple[int, int]:
    whole, _, part = text.partition(".")
    return int(whole + part), 10 ** len(part)


# Without a declared exchange rate an offer cannot be compared: it comes after every offer that can, never before.
_NO_RATE = (10**12, 1)
