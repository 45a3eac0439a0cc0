"""How much to think, in Google's words: `thinkingBudget` (2.5 and later) or `thinkingLevel` (the newest)."""

from __future__ import annotations

from typing import Any

from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.effort import budget_of, effort_of, nearest
from baseload.wire.canon.request import Thought

LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_OFF, _DYNAMIC = 0, -1
_LIMITS = {"2.5-flash-lite": (512, 24_576), "2.5-flash": (1, 24_576), "2.5-pro": (128, 32_768)}
"""Least and most thinking tokens by model, as Google's refusals tell them (u); 2.5 Pro cannot be switched off."""


def thinking_config(thought: Thought | None, target: Target, loss: Loss, param: str) -> dict[str, Any]:
    """The `thinkingConfig`; {} leaves the provider its default. What is only nearly met is named as lost."""
    if thought is None:
        return {}
    asked = thought.mode in ("on", "adaptive") or bool(thought.effort) or thought.budget is not None
    on = thought.mode != "off" and asked
    config: dict[str, Any] = {}
    if target.thought == "none":
        if asked or thought.mode == "off":
            loss.lose("thought", param)
        return {}
    if target.thought == "effort":
        word = _level(thought, loss, param)
        if word:
            config["thinkingLevel"] = word.upper()
    else:
        budget = _budget(thought)
        if budget is not None:
            config["thinkingBudget"] = taken = _within(budget, target.model)
            if taken != budget:
                loss.lose("thought", param)
    if thought.show or (on and thought.show is None):
        config["includeThoughts"] = True
    return config


def _budget(thought: Thought) -> int | None:
    if thought.mode == "off":
        return _OFF
    if thought.budget is not None:
        return thought.budget
    if thought.effort:
        return budget_of(thought.effort)
    return _DYNAMIC if thought.mode in ("on", "adaptive") else None


def _within(budget: int, model: str) -> int:
    """The nearest budget that the model takes; the automatic one is taken by all."""
    known = next((limits for name, limits in _LIMITS.items() if name in model), None)
    if known is None or budget == _DYNAMIC:
        return budget
    least, most = known
    if budget == _OFF and "flash" in model:
        return budget
    return min(max(budget, least), most)


def _level(thought: Thought, loss: Loss, param: str) -> str:
    if thought.mode == "off":  # the least there is: these models always think
        loss.lose("thought", param)
        return "minimal"
    if thought.effort:
        word = nearest(thought.effort, LEVELS)
        if word != thought.effort:
            loss.lose("thought", param)
        return word
    if thought.budget is not None:
        return nearest(effort_of(thought.budget), LEVELS)
    return ""  # adaptive is what these models do by themselves
