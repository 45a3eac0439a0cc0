"""How much to think, in Anthropic's terms: `thinking`, `output_config.effort`, and the limit that must lie above it.

In:     the canonical wish, the offer's way of setting it (`Target.thought`), what else the request holds.
Out:    `Plan`. What is not possible is named: this vendor takes no forced tool and no tool loop without its own signed
        thinking where the budget is set by hand ("enabled"); adaptive thinking allows both.
"""

from __future__ import annotations

import msgspec

from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.effort import budget_of, effort_of, nearest
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request, Thought

OUTPUT_DEFAULT = 4096
BUDGET_MIN = 1024
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_ANSWER_MIN = 4096
"""Tokens left for the answer where the limit is ours to choose."""
_EFFORT_USUAL = "high"
"""What the vendor takes where no effort is said."""
_BY_EFFORT = frozenset(("effort", "adaptive"))


class Plan(msgspec.Struct, frozen=True):
    max_tokens: int
    thinking: dict[str, object] | None = None
    effort: str = ""

    @property
    def on(self) -> bool:
        return self.thinking is not None and self.thinking["type"] != "disabled"


def plan(request: Request, target: Target, loss: Loss, *, unproven: bool) -> Plan:
    """`unproven`: the last assistant turn called tools and its thinking cannot be given back."""
    limit = target.output_max or OUTPUT_DEFAULT if request.max_output is None else request.max_output
    thought = request.thought
    if thought is None or not (thought.mode or thought.effort or thought.budget is not None):
        return Plan(limit)
    name = name_of(request.protocol, "thought")
    if target.thought == "none":
        if thought.mode != "off":
            loss.lose("thought", name)
        return Plan(limit)
    if thought.mode == "off":
        return Plan(limit, {"type": "disabled"})
    if target.thought in _BY_EFFORT:
        return _by_effort(request, target, thought, limit)
    if thought.mode == "" and request.protocol == "messages" and thought.budget is None:
        loss.lose("thought", "output_config.effort")  # effort alone turns no thinking on in this protocol
        return Plan(limit)
    forced = request.choice is not None and request.choice.mode in ("required", "tool") and bool(request.tools)
    if forced or unproven:
        loss.lose("thought", name)
        return Plan(limit)
    return _by_budget(request, target, thought, limit, loss, name)


def _by_effort(request: Request, target: Target, thought: Thought, limit: int) -> Plan:
    effort = thought.effort
    if not effort and thought.budget is not None and thought.budget >= 0:
        effort = effort_of(thought.budget)
    if effort:
        effort = nearest(effort, EFFORTS)
    if thought.mode == "" and request.protocol == "messages":
        return Plan(limit, None, effort)
    if request.max_output is None and not target.output_max:
        limit = budget_of(effort or _EFFORT_USUAL) + _ANSWER_MIN  # thinking counts inside the limit
    return Plan(limit, _shown({"type": "adaptive"}, thought), effort)


def _by_budget(request: Request, target: Target, thought: Thought, limit: int, loss: Loss, name: str) -> Plan:
    budget = thought.budget if thought.budget is not None and thought.budget > 0 else budget_of(thought.effort)
    budget = max(budget, BUDGET_MIN)
    if budget >= limit:
        if request.max_output is None and not target.output_max:
            limit = budget + _ANSWER_MIN  # nobody set a limit: the thinking comes on top
        else:
            # Part of it is for the answer; the limit itself is what the client pays for, or all that the model has.
            budget = max(BUDGET_MIN, limit - max(limit // 4, 1))
            if budget >= limit:
                loss.lose("thought", name)
                return Plan(limit)
    return Plan(limit, _shown({"type": "enabled", "budget_tokens": budget}, thought))


def _shown(thinking: dict[str, object], thought: Thought) -> dict[str, object]:
    if thought.show is not None or thought.summary:
        thinking["display"] = "omitted" if thought.show is False else "summarized"
    return thinking
