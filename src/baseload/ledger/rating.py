"""What one reading costs us and what it charges the account. Pure: prices and margin are arguments.

In:     a `Reading` of the journal, its price rows, the tariff's margin in force when the call arrived.
Out:    a `Rating`: a state, both amounts, or why there is none.

One deciding instant for every price and margin: the arrival of the call (`accepted_ns`). The others are kept beside it.

| state     | meaning                                                                | money   |
|-----------|------------------------------------------------------------------------|---------|
| settled   | both amounts are known                                                 | posted  |
| no_usage  | the attempt failed or never left, and the provider reported nothing    | none    |
| unmetered | something may have been used, nobody knows how much: reconcile         | none    |
| unpriced  | the usage is known, a price is not: posted once there is one           | not yet |

Cost is what the provider bills: the whole usage. The charge follows the rules of `journal.charged`: where the client
left early it counts the output delivered to it. It is before discounts, allowances and the limit of what was set aside:
those are `ledger.charging`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from baseload.errors import Defect
from baseload.gateway.journal.charged import delivered, is_charged
from baseload.gateway.journal.entries import Reading
from baseload.money.amount import Amount, BadAmount, margin
from baseload.money.price import PriceRow
from baseload.money.rate import Unpriced, rate_nano
from baseload.money.tariff import at_least, converted
from baseload.store.tables import NANO_MAX

SETTLED, NO_USAGE, UNMETERED, UNPRICED = "settled", "no_usage", "unmetered", "unpriced"

NO_OUTPUT_ENDPOINTS = ("embeddings", "gemini_embed")  # their output has no provenance, there is none


class Rating(NamedTuple):
    """Amounts in nano-units; None where the state has none. `margin_ppm` is None where an own price row decided."""

    state: str
    detail: str
    cost_nano: int | None = None
    cost_currency: str | None = None
    charge_nano: int | None = None
    charge_currency: str | None = None
    margin_ppm: int | None = None


class Basis(NamedTuple):
    """What a reading is rated by. A row or margin that is not known is None."""

    cost_row: PriceRow | None
    charge_row: PriceRow | None
    margin_ppm: int | None
    minimum_nano: int = 0  # of the tariff's rules


def rate_reading(reading: Reading, basis: Basis, used: Mapping[str, int]) -> Rating:
    """Rates one reading. `used`: `price_meters` of its meters.

    Never raises: what cannot be rated says why, so that no reading stops the others.
    """
    if not reading.meters or "missing" in (reading.input_provenance, reading.output_provenance):
        missing = _not_metered(reading)
        if missing is not None:
            return missing
    try:
        return _amounts(reading, basis, used)
    except (Unpriced, BadAmount) as refusal:
        return Rating(UNPRICED, str(refusal))
    except Defect as defect:  # a count or margin that cannot be: no money moves on it, and `ledger check` shows it
        return Rating(UNPRICED, f"Defect: {defect}")


def _not_metered(reading: Reading) -> Rating | None:
    if by_report(reading):
        return None
    if not reading.meters:
        if reading.outcome == "upstream_error" or not reading.sent_ns:
            return Rating(NO_USAGE, "the attempt failed and the provider reported no usage")
        return Rating(UNMETERED, "the usage is not known")
    if reading.input_provenance == "missing":
        return Rating(UNMETERED, "the input is not known")
    if reading.output_provenance == "missing" and reading.endpoint not in NO_OUTPUT_ENDPOINTS:
        return Rating(UNMETERED, "the output is not known")
    return None


def by_report(reading: Reading) -> bool:
    """The provider names its own money and we hold no price of it: then its figure is the cost."""
    return reading.cost_price == 0 and reading.reported_cost != ""


def _amounts(reading: Reading, basis: Basis, used: Mapping[str, int]) -> Rating:
    at_ns, select = reading.accepted_ns, reading.select
    given = delivered(reading, used)
    cost_row = basis.cost_row
    if by_report(reading):
        reported = Amount.parse(reading.reported_cost)
        cost = cost_given = reported.nano
        cost_currency = reported.currency
    elif cost_row is None:
        return Rating(UNPRICED, f"Price row {reading.cost_price} is not in the database.")
    else:
        cost = rate_nano(cost_row, used, select, at_ns)
        cost_given = cost if given is used else rate_nano(cost_row, given, select, at_ns)
        cost_currency = cost_row.currency
    margin_ppm = None
    if not is_charged(reading):
        charge, charge_currency = 0, cost_currency
    elif reading.charge_price:
        if basis.charge_row is None:
            return Rating(UNPRICED, f"Price row {reading.charge_price} is not in the database.")
        charge, charge_currency = rate_nano(basis.charge_row, given, select, at_ns), basis.charge_row.currency
    elif basis.margin_ppm is None:
        return Rating(UNPRICED, f"Tariff {reading.tariff} is not in the database.")
    else:
        margin_ppm = basis.margin_ppm
        charge, charge_currency = margin(cost_given, margin_ppm), cost_currency
    if reading.fx:
        charge, charge_currency = converted(charge, reading.fx), reading.currency
    charge = at_least(charge, basis.minimum_nano)
    if not 0 <= cost <= NANO_MAX or not 0 <= charge <= NANO_MAX:
        return Rating(UNPRICED, f"An amount of {max(cost, charge)} nano-units is beyond what the book holds.")
    return Rating(SETTLED, "", cost, cost_currency, charge, charge_currency, margin_ppm)
