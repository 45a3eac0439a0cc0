"""Whether an account pays for an attempt, and for how much of it: one rule for gateways and settlement. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from baseload.gateway.journal.entries import Reading

OUTCOME_CHARGED = {
    "ok": True,
    "client_left": True,  # for what was delivered
    "stopped": True,  # likewise
    "upstream_cut": True,  # the client has what came before the cut
    "timeout": True,  # these two only where the reply had begun: not with an error status
    "lost": True,  # recovery counts only what the journal proves was delivered
    "upstream_error": False,  # the client got an error; a provider that bills its own failure bills us
}


def is_charged(reading: Reading) -> bool:
    """Whether the account pays for an attempt. One that another followed is paid by whom the account's policy names."""
    if "not_charged" in reading.flags:
        return False
    if "superseded" in reading.flags:  # failed_attempts = "account"
        return True
    return OUTCOME_CHARGED.get(reading.outcome, True) and reading.status < 400  # an error status delivered nothing


def delivered(reading: Reading, used: Mapping[str, int]) -> Mapping[str, int]:
    """The meters the account is charged for: `used`, with no more output than the client was given."""
    limit = reading.delivered_output
    if limit < 0 or limit >= used.get("output", 0):
        return used
    return {**used, "output": limit}
