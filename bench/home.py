"""A home for the gateway under test, with every feature on: key, account, tariff, a model for each protocol, and 20
priced offers a model.

In:     an empty folder, the mocks' addresses. Out: the home's files and the key that opens it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from baseload.gateway import snapshot
from baseload.gateway.vault import Vault, key_prefix, new_key
from baseload.money.price import PriceRow, Rule, When
from bench import speech, traffic

OFFERS = 20  # a model: dispatch has something to choose from
_DEAREST = 60  # cents a million input tokens


def make_home(home: Path, whole_url: str, stream_url: str) -> str:
    """Writes `secret.key`, a credential and `snapshot.msgpack`; returns the API key."""
    home.mkdir(mode=0o700, parents=True)
    vault = Vault.open(home, create=True)
    credential = home / "provider.credential"
    credential.touch(mode=0o600)
    credential.write_text("sk-mock-0123456789abcdef0123456789abcdef")
    key = new_key()
    kept = (  # name, address, vendor, endpoints, model
        ("whole", whole_url, "openai", ("chat", "completions"), traffic.MODEL_WHOLE),
        ("stream", stream_url, "openai", ("chat", "completions"), traffic.MODEL_STREAM),
        *((name, stream_url, speech.VENDORS[name], (name,), speech.MODELS[name]) for name in speech.OTHERS),
    )
    providers = [
        snapshot.ProviderRow(
            id=number, name=name, kind="vendor", dialect=dialect, base_url=url, credential=f"file:{credential}",
            abort="stops", connections_max=32_768,
        )
        for number, (name, url, dialect, _, _) in enumerate(kept, 1)
    ]  # fmt: skip
    prices = [_price(number) for number in range(1, OFFERS + 1)]
    offers = [
        snapshot.OfferRow(
            id=(provider - 1) * OFFERS + number, name=f"large-{number}@{providers[provider - 1].name}", model=model,
            provider=provider, upstream_model=traffic.UPSTREAM_MODEL, endpoints=endpoints,
            cost_prices=(number,), context_max=131_072, output_max=16_384,
        )
        for provider, (_, _, _, endpoints, model) in enumerate(kept, 1)
        for number in range(1, OFFERS + 1)
    ]  # fmt: skip
    snapshot.write(
        home / "snapshot.msgpack",
        snapshot.Snapshot(
            format=snapshot.FORMAT,
            version=1,
            made_ns=time.time_ns(),
            accounts=[snapshot.AccountRow(id=1, name="bench", tariff=1)],
            keys=[snapshot.KeyRow(id=1, account=1, hash=vault.key_hash(key.encode()), prefix=key_prefix(key))],
            providers=providers,
            offers=offers,
            tariffs=[snapshot.TariffRow(id=1, name="standard", margin_ppm=50_000)],
            prices=prices,
        ),
    )
    return key


def _price(number: int) -> PriceRow:
    """Each offer at its own price with a length band; the cheapest is the last, so that a search sees them all."""
    cents = _DEAREST - number
    return PriceRow(
        id=number, book="cost:mock", vendor="mock", model=traffic.UPSTREAM_MODEL, currency="USD", source="bench",
        rate={"input": f"0.{cents:02d}", "cache_read": f"0.0{cents:02d}", "output": "2.4"},
        rules=(Rule(when=When(input_over=200_000), multiply={"input": "2", "output": "1.5"}),),
    )  # fmt: skip


def gateway_command(home: Path, gateway: str, port: int) -> list[str]:
    """As `baseload up` starts it; only the number of connections is raised, for the measure of 10,000 streams."""
    return [
        sys.executable, "-m", "baseload.gateway", "--home", str(home), "--id", gateway, "--host", "127.0.0.1",
        "--port", str(port), "--connections-max", "32768",
    ]  # fmt: skip


def gateway_environment() -> dict[str, str]:
    """This process's environment without settings that change how Python runs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
