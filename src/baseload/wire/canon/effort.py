"""Effort and budget: two controls of one thing, turned into each other by one table.

Protocols set thinking by a word (OpenAI, newer Anthropic and Gemini) or by tokens (Anthropic, Gemini 2.5, Qwen). No
vendor publishes an exchange rate; these steps double or quadruple, and a word turned into tokens and back is the same.
"""

from __future__ import annotations

BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 65_536}
"""Word -> thinking tokens. 1,024 is the least that Anthropic takes (protocols.md, 4.1)."""

EFFORTS = tuple(BUDGETS)


def budget_of(effort: str) -> int:
    """Tokens for a word; an unknown word counts as medium."""
    return BUDGETS.get(effort, BUDGETS["medium"])


def effort_of(budget: int) -> str:
    """The largest word whose tokens fit into the budget; "minimal" below all."""
    found = EFFORTS[0]
    for word, tokens in BUDGETS.items():
        if tokens <= budget:
            found = word
    return found


def nearest(effort: str, known: tuple[str, ...]) -> str:
    """The word of `known` (in the order of EFFORTS) that is nearest to `effort`, the smaller of two."""
    if effort in known:
        return effort
    at = EFFORTS.index(effort) if effort in EFFORTS else EFFORTS.index("medium")
    return min(known, key=lambda word: (abs(EFFORTS.index(word) - at), EFFORTS.index(word)))
