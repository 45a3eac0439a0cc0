"""`baseload offers`: which model is served where."""

from __future__ import annotations

from cyclopts import App

from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_record, print_rows
from baseload.errors import Refusal

app = App(name="offers", help="One upstream model at one provider: what clients may ask for, and at which price.")
COLUMNS = ("name", "model", "provider", "upstream_model", "endpoints", "price", "declared", "disabled")
BRIEF = ("name", "endpoints", "price", "declared", "disabled")


@app.command(name="list")
def list_(*, model: str = "", common: Common = COMMON) -> None:
    """List offers and their price at this moment.

    Example: baseload offers list --model smollm2

    Parameters
    ----------
    model
        Only offers of this model.
    """
    rows = common.client().get("/api/offers", model=model or None)["offers"]
    print_rows(rows, COLUMNS, as_json=common.json, name="offers", brief=BRIEF)


@app.command
def add(
    model: str,
    provider: str,
    *,
    upstream_model: str = "",
    endpoints: str = "",
    price_input: str = "",
    price_output: str = "",
    price_cache_read: str = "",
    rate: tuple[str, ...] = (),
    currency: str = "USD",
    context_max: int = 0,
    common: Common = COMMON,
) -> None:
    """Add an offer: MODEL, as clients ask for it, served by PROVIDER.

    Without a price it is taken from the vendor's price list; an offer with no price is refused at call time.

    Examples:
      baseload offers add deepseek-v4-pro deepseek
      baseload offers add llama gpu1 --price-input 0.05 --price-output 0.20
      baseload offers add painter openai --upstream-model dall-e-3 --endpoints images --rate images=40

    Parameters
    ----------
    model
        The name clients ask for.
    provider
        A provider that was added before.
    upstream_model
        What the provider calls it; default: the same.
    endpoints
        The doors its provider has, separated by commas: chat, responses, messages, gemini, converse, qwen (a client of
        any protocol reaches each of these), completions, embeddings, gemini_embed, rerank, images, speech,
        transcriptions. Default: the vendor's chat, or its own protocol.
    price_input
        Price of 1,000,000 uncached input tokens, a decimal.
    price_output
        Price of 1,000,000 output tokens.
    price_cache_read
        Price of 1,000,000 input tokens read from a cache.
    rate
        METER=PRICE of any other meter (docs/prices.md), such as images=40 (for 1,000); may be repeated.
    currency
        Currency of the prices.
    context_max
        The longest prompt plus reply in tokens; 0 means not known.
    """
    given = {"input": price_input, "output": price_output, "cache_read": price_cache_read}
    rates = {meter: price for meter, price in given.items() if price}
    for pair in rate:
        meter, equals, price = pair.partition("=")
        if not equals or not meter or not price:
            raise Refusal(f"{pair!r} is no rate.", "Write METER=PRICE, as in --rate images=40", code="usage")
        rates[meter] = price
    body = {
        "model": model,
        "provider": provider,
        "upstream_model": upstream_model,
        "endpoints": [word.strip() for word in endpoints.split(",") if word.strip()],
        "price": {"rate": rates, "currency": currency} if rates else "catalogue",
        "context_max": context_max,
    }
    print_record(common.client().post("/api/offers", body)["offer"], as_json=common.json, name="offer")
