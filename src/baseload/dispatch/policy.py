"""A policy: what may serve a call, and what is best. Pure data; `rules.py` merges policies and judges offers by them.

Who may set one, each within what the one before it allows: the accounts above, the account, the key, the model or model
group, the call (`baseload` member of the body, `x-baseload-*` headers). Limits only tighten: sets are intersected,
ceilings take the lower and floors the higher value. Preferences (objective, weights, fallbacks, hedge, resume, pin) are
taken from the most specific that says something.
"""

from __future__ import annotations

from typing import Literal

import msgspec

CAPABILITIES = (
    "tools",  # function calling
    "vision",  # images in the request
    "audio",  # sound in the request
    "video",
    "documents",  # PDF and the like in the request
    "schema",  # output by a JSON schema
    "json",  # output that is some JSON
    "thinking",  # thinks before it answers when asked to
    "logprobs",
    "search",  # the provider's own web search
)
SUPPLIES = ("base", "contract", "spot")  # owned base load, what was agreed, what may vanish at any moment
PRIORITIES = ("interactive", "standard", "batch")  # admitted in this order
ANY_WORK = ""  # the kind of work of a call that names none


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a provider lets one credential do. 0 = no limit known."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0  # input and output together
    requests_per_day: int = 0
    tokens_per_day: int = 0
    concurrent: int = 0  # attempts at once; of an engine: its slots


class MaxPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The dearest an offer may be, as decimal strings of one currency per 1,000,000 tokens; "" = no limit."""

    input: str = ""
    output: str = ""
    currency: str = "USD"


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What `balanced` weighs, as whole numbers; only their proportion counts."""

    cost: int = 1
    first_token: int = 1
    speed: int = 1  # tokens a second


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """None = says nothing about it."""

    # preferences
    objective: Literal["cheapest", "fastest", "balanced"] | None = None
    weights: Weights | None = None
    work: str | None = None  # the kind of work ("code", "translation"): picks the quality rank that counts
    fallbacks: tuple[str, ...] | None = None  # models to ask when no offer of the first can serve, in this order
    hedge: bool | None = None  # a second attempt when the first is late; both are billed truthfully
    resume: bool | None = None  # a stream that breaks goes on at another offer where the protocol lets it honestly
    pin: str | None = None  # this offer, or any offer of this provider, and no other
    # limits
    max_price: MaxPrice | None = None
    max_cost: str | None = None  # of one call as expected: "0.05 USD"
    quality_min: int | None = None  # 0 to 1000
    regions: tuple[str, ...] | None = None  # allowed ones; an offer that does not say its region is not among them
    residency: tuple[str, ...] | None = None
    vendors: tuple[str, ...] | None = None  # dialects of the catalogue: "deepseek", "dashscope", "llamacpp"
    providers: tuple[str, ...] | None = None  # by the names the operator gave
    not_vendors: tuple[str, ...] | None = None  # united, not intersected
    supplies: tuple[str, ...] | None = None  # of SUPPLIES
    require: tuple[str, ...] | None = None  # capabilities beyond those the request shows; united
    consents: tuple[str, ...] | None = None  # what the account agrees to ("contributor"); never taken from a call alone
    first_token_ms: int | None = None  # an offer known to be slower comes after those that are not
    tokens_per_s: int | None = None
    attempts_max: int | None = None  # 1 = no second try
    deadline_s: float | None = None  # from the request's first byte to the first token, over all attempts
    # who pays for attempts that failed or lost a race, where their provider bills them: "us" (the grid) or "account"
    failed_attempts: Literal["us", "account"] | None = None
