"""The snapshot: all a gateway works from, immutable, one file, written by the control plane and replaced atomically.

In:     `HOME/snapshot.msgpack` (msgpack of `Snapshot`), written by `baseload.control`.
Out:    rows with integer ids; `baseload.gateway.catalog` indexes them for the request path.
Holds no secret: keys are HMACs (`vault.key_hash`), credentials are references (`env:NAME`, `file:PATH`, `sealed:...`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec

from baseload.dispatch.policy import Limits, Policy
from baseload.money.price import PriceRow
from baseload.money.tariff import NONE, Rules

FORMAT = 1


class _Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass


class LimitRow(_Row, frozen=True, kw_only=True, gc=False):
    """What an account, with all below it, or a key may do. Each gateway keeps its part of it."""

    whose: str  # "account acme", "this key"
    id: int  # one number, one count: of the account, or of the key as a negative number
    limits: Limits


class PurseRow(_Row, frozen=True, kw_only=True, gc=False):
    """A hard limit of spending; a gateway spends of it by leases only (ledger.purses)."""

    id: int
    name: str  # "the budget month of account acme"
    currency: str
    period: str
    zone: str
    from_ns: int = 0
    to_ns: int = 1 << 62


class RateRow(_Row, frozen=True, kw_only=True, gc=False):
    """A dated rate of exchange: `fx_base` for one of `currency`, from an instant on."""

    currency: str
    rate: str
    from_ns: int


class AccountRow(_Row, frozen=True, kw_only=True, gc=False):
    id: int
    name: str
    tariff: int
    disabled: bool = False
    policies: tuple[int, ...] = ()  # PolicyRow ids that bind it: those of its ancestors, outermost first, then its own
    priority: str = "standard"  # of dispatch.policy.PRIORITIES: who is admitted first when there is too much to do
    weight: int = 1  # its share among the accounts of one priority, 1 to 1000
    currency: str = ""  # its charges are made in it; "" = as they are priced
    purses: tuple[int, ...] = ()  # PurseRow ids: hard ones that its calls are paid from, its own and those above
    limits: tuple[LimitRow, ...] = ()  # its own and those of the accounts above
    content_days: int = 0  # prompts and answers are kept, sealed, for so many days; 0 = never


class KeyRow(_Row, frozen=True, kw_only=True, gc=False):
    id: int
    account: int
    hash: bytes  # vault.key_hash(pepper, key text), 32 bytes
    prefix: str  # first characters, for people
    models: tuple[str, ...] = ()  # empty = every model
    expires_ns: int = 0  # 0 = never
    policy: int = 0  # PolicyRow id, 0 = none of its own
    purses: tuple[int, ...] = ()  # its own budgets, beside its account's purses
    currency: str = ""  # of those
    limits: Limits = Limits()


class ProviderRow(_Row, frozen=True, kw_only=True, gc=False):
    id: int
    name: str
    kind: str  # "vendor" | "engine"
    dialect: str  # a name of baseload.providers.catalogue: error table, usage quirks, auth
    base_url: str  # scheme://host[:port]/prefix, without the protocol's path
    credential: str = ""  # "" | env:NAME | file:PATH | sealed:BASE64
    abort: str = "unknown"  # does closing a stream stop the billing? "stops" | "continues" | "unknown" (vendors.md 4)
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 120.0
    idle_timeout_s: float = 120.0
    connections_max: int = 1024
    ca_file: str = ""  # extra trust root (PEM) for TLS
    cache_ttl: str = ""  # lifetime of unlabelled cache writes, "" = dialect's default
    credentials: tuple[str, ...] = ()  # further ones beside `credential`, same forms
    region: str = ""  # where its machines are, as an operator names it: "cn-beijing", "eu-west-1"; "" = not said
    residency: str = ""  # whose law holds the data: "cn", "eu", "us", ...; "" = not said
    limits: Limits = Limits()  # of each credential, over all its offers


class OfferRow(_Row, frozen=True, kw_only=True, gc=False):
    id: int
    name: str  # "smollm2@local"
    model: str  # the name clients ask for
    provider: int
    upstream_model: str
    endpoints: tuple[str, ...]  # of "chat", "completions", "embeddings"
    cost_prices: tuple[int, ...]  # price row ids, one in force at an instant
    context_max: int = 0  # tokens, 0 = not known
    output_max: int = 0
    bytes_per_token: float = 4.0
    capabilities: tuple[str, ...] | None = None  # of dispatch.policy.CAPABILITIES; None = not said, all are presumed
    region: str = ""  # "" = its provider's
    residency: str = ""
    supply: str = ""  # of dispatch.policy.SUPPLIES; "" = base for an engine, contract for a vendor
    limits: Limits = Limits()  # of this offer alone, for each credential
    quality: dict[str, int] = {}  # kind of work -> declared rank, 0 to 1000; "" = any kind
    certificates: dict[str, str] = {}  # kind of work -> certificate id (evidence); nothing checks it yet


class PolicyRow(_Row, frozen=True, kw_only=True, gc=False):
    id: int
    name: str
    policy: Policy


class GroupRow(_Row, frozen=True, kw_only=True, gc=False):
    """A name that stands for several models: dispatch chooses the model too."""

    name: str  # "auto", "grid/chat"
    models: tuple[str, ...]
    policy: int = 0  # PolicyRow id, 0 = none


class TariffRow(_Row, frozen=True, kw_only=True, gc=False):
    id: int
    name: str
    margin_ppm: int  # charge = cost x (1e6 + margin_ppm) / 1e6 where no own price fits
    prices: dict[str, tuple[int, ...]] = {}  # model -> price row ids that replace cost plus margin
    rules: Rules = NONE


class Snapshot(_Row, frozen=True, kw_only=True, gc=False):
    format: int
    version: int  # grows by one with every publication
    made_ns: int
    accounts: list[AccountRow]
    keys: list[KeyRow]
    providers: list[ProviderRow]
    offers: list[OfferRow]
    tariffs: list[TariffRow]
    prices: list[PriceRow]
    console_url: str = ""  # where GET / sends a browser
    fx: dict[str, str] = {}  # currency -> decimal string, units of `fx_base` for one unit; for comparing offers only
    fx_base: str = "USD"
    policies: list[PolicyRow] = []
    groups: list[GroupRow] = []
    model_policies: dict[str, int] = {}  # model -> PolicyRow id
    purses: list[PurseRow] = []
    rates: list[RateRow] = []  # for charges, oldest first


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def write(path: Path, snapshot: Snapshot) -> None:
    """Replaces the file in one step; a reader sees the old or the new one, never a half. Mode 0600."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".snapshot-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_encoder.encode(snapshot))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def read(path: Path) -> Snapshot:
    """Raises FileNotFoundError, or msgspec.DecodeError when the file is not a snapshot of this format."""
    snapshot = _decoder.decode(path.read_bytes())
    if snapshot.format != FORMAT:
        raise msgspec.DecodeError(f"snapshot format {snapshot.format}, this gateway reads {FORMAT}")
    return snapshot
