"""A price row: what one model costs, from when to when, under which conditions. Self-contained and serialisable.

In:     nothing; rows are made by `book.py` and travel as JSON (database) and msgpack (snapshot).
Out:    `PriceRow` with its rules, windows and holiday dates resolved into it: nothing is looked up elsewhere, ever.
Knows the names of meters and selectors; computes nothing (that is `rate.py`).

Units: token meters are priced per 1,000,000 tokens, `*_call` meters, `images` and `search_units` per 1,000,
`characters` per 1,000,000, `audio_ms` per hour of sound, `storage` per 1,000,000 tokens and hour; always decimal
strings in the row's currency.
"""

from __future__ import annotations

import msgspec

# Tokens of the prompt: their sum is the prompt length that bands look at.
PROMPT_METERS = (
    "input",  # neither read from nor written to a cache
    "cache_read",  # read from an automatic cache, or the only kind the vendor has
    "cache_read_explicit",  # read from a cache the client marked
    "cache_write_5m",  # written, by time to live; these REPLACE input for those tokens
    "cache_write_30m",
    "cache_write_1h",
    "cache_write_12h",
    "input_audio",  # modality meters are taken out of the text meters
    "input_image",
    "input_video",
    "cache_read_audio",
    "cache_read_image",
)
OUTPUT_METERS = ("output", "output_audio", "output_image")  # output includes reasoning
TOKEN_METERS = PROMPT_METERS + OUTPUT_METERS
CALL_METERS = ("web_search_call", "file_search_call", "maps_call", "web_fetch_call")
STORAGE_METERS = ("storage",)  # count = tokens x hours
UNIT_METERS = (
    "images",  # made
    "search_units",  # of a rerank: a query with up to 100 documents
    "characters",  # spoken
    "audio_ms",  # milliseconds heard; prices by the minute or second are exact by the hour, not the reverse
)
METERS = TOKEN_METERS + CALL_METERS + STORAGE_METERS + UNIT_METERS

# Counts that a reading may carry and that are already inside another meter: no price, no refusal.
INFORMATIONAL = ("reasoning", "tool_prompt")

# A meter without a rate of its own takes that of the meter named here, after all rules. Nothing else falls back.
FALLBACK = {
    "cache_read_explicit": "cache_read",
    "input_audio": "input",
    "input_image": "input",
    "input_video": "input",
    "cache_read_audio": "cache_read",
    "cache_read_image": "cache_read",
    "output_audio": "output",
    "output_image": "output",
}

# Selector values that mean "nothing special", spelled as vendors spell them.
NEUTRAL_TIER = ("", "default", "standard", "on_demand")
NEUTRAL_SPEED = ("", "standard")
NEUTRAL_GEO = ("", "global", "not_available")
SELECTORS = ("tier", "speed", "batch", "geo", "thinking")

KINDS = ("list", "promo", "history", "surcharge")
CONFIDENCE = ("high", "medium", "low")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Window(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    gc=False,
    rename={"except_dates": "except"},
):
    """Hours of days in one zone. A span includes its start and excludes its end; "24:00" is the end of the day."""

    name: str
    tz: str  # IANA name
    days: tuple[str, ...]  # of WEEKDAYS, local
    spans: tuple[tuple[str, str], ...]  # local "HH:MM"
    except_dates: tuple[str, ...] = ()  # local dates "YYYY-MM-DD" outside the window all day


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Conditions of a rule; all that are given must hold. None or () = not asked."""

    input_over: int | None = None  # prompt tokens > this, the whole prompt incl. cached and written tokens
    input_upto: int | None = None  # prompt tokens <= this
    output_over: int | None = None  # output tokens > this, known only at the end
    output_upto: int | None = None
    thinking: bool | None = None  # the call ran in thinking mode
    tier: tuple[str, ...] = ()  # service tier the REPLY reports; "default" = none or a neutral one
    speed: tuple[str, ...] = ()
    batch: bool | None = None
    geo: tuple[str, ...] = ()  # "" = no or a neutral region
    window: Window | None = None  # contains the deciding instant


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Changes the current rates when its conditions hold. Order within a rule: set, multiply, ratio."""

    name: str = ""  # of the shared rule it came from
    when: When = When()
    set: dict[str, str] = {}  # meter -> rate
    multiply: dict[str, str] = {}  # meter or "tokens" (every token meter that has a rate) -> factor
    ratio: dict[str, str] = {}  # token meter -> factor of the current `input` rate


class PriceRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One row of a price book, in force over the half-open time [from_ns, to_ns)."""

    id: int = 0  # given by the database; 0 = not stored yet
    book: str  # "cost:<vendor>" = what a provider charges us, "tariff:<name>" = what we charge
    vendor: str = ""
    model: str  # the name the vendor's API takes (cost), or clients ask for (tariff)
    also: tuple[str, ...] = ()  # further names at the same price
    scope: str = "global"  # which list or deployment of the vendor
    currency: str
    from_ns: int = 0  # nanoseconds since the epoch, UTC; 0 = start not known
    to_ns: int = 0  # 0 = open
    kind: str = "list"  # KINDS; a surcharge is added to another row's amount
    source: str = ""  # where a person can look
    read: str = ""  # the day someone did, "YYYY-MM-DD"
    confidence: str = "high"  # CONFIDENCE
    note: str = ""
    rate: dict[str, str]  # meter -> decimal string; "0" is free, absent is not priced
    rules: tuple[Rule, ...] = ()  # run in this order; a later rule sees what an earlier one left
    max_input: int = 0  # refuse above this prompt length; 0 = no such limit
    consent: str = ""  # what the account agrees to by paying this price; never chosen by price alone
    edge_doubt: bool = False  # band edges were printed as "32K"
    deprecated: str = ""  # date the vendor withdraws the model

    def in_force(self, at_ns: int) -> bool:
        """True when the instant is in [from_ns, to_ns)."""
        return self.from_ns <= at_ns and (self.to_ns == 0 or at_ns < self.to_ns)

    def names(self) -> tuple[str, ...]:
        """Every model name this row prices."""
        return (self.model, *self.also)

    def missing_side(self) -> str:
        """The side ("input", "output") of a call that generates which nothing here prices; "" = both have a rate."""
        priced = {*self.rate, *(meter for rule in self.rules for meter in (*rule.set, *rule.ratio))}
        if "input" not in priced:
            return "input"
        return "" if priced.intersection(OUTPUT_METERS) else "output"

    def title(self) -> str:
        """How messages name the row: `qwen-plus (cn) of cost:dashscope`."""
        return f"{self.model} ({self.scope}) of {self.book}"


_canonical = msgspec.json.Encoder(order="sorted")


def row_key(row: PriceRow) -> str:
    """SHA-256 (hex) of the row's content without its id: the same row has the same key wherever it was loaded."""
    import hashlib  # only the control plane needs it

    return hashlib.sha256(_canonical.encode(msgspec.structs.replace(row, id=0))).hexdigest()
