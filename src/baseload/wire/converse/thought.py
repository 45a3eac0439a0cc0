"""How much to think, as Converse takes it: `outputConfig.effort`, or the model's own fields (protocols.md 9).

In:     `Request.thought` and how the target sets thinking (`Target.thought`).
Out:    members of `additionalModelRequestFields` and `outputConfig`; `on` says that the model thinks by a budget.
"""

from __future__ import annotations

from typing import Any

import msgspec

from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.effort import budget_of, effort_of, nearest
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request, Thought

EFFORTS = ("low", "medium", "high", "xhigh", "max")
BUDGET_MIN = 1024
_OFF = {"thinking": {"type": "disabled"}}


class Set(msgspec.Struct, gc=False):
    fields: dict[str, Any] = {}  # of the model
    effort: str = ""
    on: bool = False


def write(request: Request, target: Target, resumable: bool, loss: Loss) -> Set:
    """`resumable`: the last turn of the assistant allows thinking (see `request_out`)."""
    thought = request.thought
    if thought is None:
        return Set()
    param = name_of(request.protocol, "thought")
    if "thought" in target.unsupported or target.thought == "none":
        if thought.mode != "off":
            loss.lose("thought", param)
        return Set()
    if thought.summary not in ("", "auto"):
        loss.lose("thought", f"{param}.summary")  # thinking is shown as the model shows it
    if target.thought == "effort":
        return _by_effort(thought, param, loss)
    if thought.mode == "off":
        return Set(fields=dict(_OFF))
    if not (thought.mode or thought.effort or thought.budget is not None):
        return Set()  # only how it is shown: it is shown anyway
    if target.thought == "adaptive":
        return Set(fields={"thinking": {"type": "adaptive"}}, effort=_effort(thought, param, loss), on=True)
    forced = request.choice is not None and request.choice.mode in ("required", "tool") and bool(request.tools)
    if forced or not resumable:
        # By a budget these models think neither before a tool they must call, nor about the result of one that they
        # called without this thinking.
        loss.lose("thought", param)
        return Set()
    budget = _budget(thought, request.max_output, target, param, loss)
    if not budget:
        return Set()
    return Set(fields={"thinking": {"type": "enabled", "budget_tokens": budget}}, on=True)


def _by_effort(thought: Thought, param: str, loss: Loss) -> Set:
    if thought.mode == "off":
        loss.lose("thought", param)  # there is no word for not at all
        return Set()
    return Set(effort=_effort(thought, param, loss))


def _effort(thought: Thought, param: str, loss: Loss) -> str:
    if thought.effort:
        word = nearest(thought.effort, EFFORTS)
        if word != thought.effort:
            loss.lose("thought", param)
        return word
    if thought.budget is not None and thought.budget > 0:
        return nearest(effort_of(thought.budget), EFFORTS)
    return ""


def _budget(thought: Thought, limit: int | None, target: Target, param: str, loss: Loss) -> int:
    """At least 1,024 and below the limit of the whole output (protocols.md 4.1, pitfall 16); 0 = no room for it."""
    asked = thought.budget if thought.budget is not None and thought.budget > 0 else 0
    budget = max(asked or budget_of(thought.effort), BUDGET_MIN)
    whole = limit or target.output_max
    if whole and budget >= whole:
        budget = max(BUDGET_MIN, whole - max(whole // 4, 1))  # part of it is for the answer
        if budget >= whole:
            loss.lose("thought", param)
            return 0
    if asked and budget != asked:
        loss.lose("thought", param)
    return budget
