"""How much to think -> the members that a chat vendor knows for it (pitfall 17: effort, budget, toggle, always on).

In:     `Thought`, the target. Out: members of the body; where a wish has no nearest setting, a loss.
"""

from __future__ import annotations

from collections.abc import Callable

from baseload.wire.canon.carry import Loss, Target
from baseload.wire.canon.effort import budget_of, effort_of, nearest
from baseload.wire.canon.names import name_of
from baseload.wire.canon.request import Request, Thought
from baseload.wire.chat.parts_out import Members

_EFFORTS = {"deepseek": ("high", "max")}  # vendors.md 3.2; all other words are taken as they are
_OFF_BY_TOGGLE = ("deepseek", "volcengine", "moonshot", "zhipu", "tencent")  # they have no effort "none"

_BY_TEMPLATE = ("vllm", "sglang", "llamacpp")  # engines tell the model's chat template (vendors.md 3.17)
_BY_FLAG = ("qianfan",)  # vendors.md 3.4


def thought_members(request: Request, target: Target, loss: Loss) -> Members:
    thought = request.thought
    if thought is None:
        return {}
    param = name_of(request.protocol, "thought")
    if thought.summary not in ("", "auto"):
        loss.lose("thought", f"{param}.summary")  # chat shows thinking as it is, or not at all
    if not (thought.mode or thought.effort or thought.budget is not None):
        return {}
    return _WRITERS[target.thought if "thought" not in target.unsupported else "none"](thought, param, target, loss)


def _effort(thought: Thought, param: str, target: Target, loss: Loss) -> Members:
    if thought.mode == "off" or thought.budget == 0:
        if target.dialect in _OFF_BY_TOGGLE:
            return {"thinking": {"type": "disabled"}}
        return {"reasoning_effort": "none"}
    word = thought.effort or ("" if thought.budget is None or thought.budget < 0 else effort_of(thought.budget))
    if not word:
        return {"reasoning_effort": "medium"} if thought.mode == "on" and target.dialect not in _EFFORTS else {}
    known = _EFFORTS.get(target.dialect)
    return {"reasoning_effort": word if known is None else nearest(word, known)}


def _budget(thought: Thought, param: str, target: Target, loss: Loss) -> Members:
    if thought.mode == "off" or thought.budget == 0:
        return {"enable_thinking": False}
    members: Members = {"enable_thinking": True}
    if thought.budget is not None and thought.budget > 0:
        members["thinking_budget"] = thought.budget
    elif thought.effort:
        members["thinking_budget"] = budget_of(thought.effort)
    elif thought.mode == "adaptive":
        return {}  # the model's own default
    return members


def _toggle(thought: Thought, param: str, target: Target, loss: Loss) -> Members:
    if thought.effort or (thought.budget or 0) > 0:
        loss.lose("thought", param)  # on is the nearest there is
    elif thought.mode == "adaptive" or (thought.budget or 0) < 0:
        return {}
    on = thought.mode != "off" and thought.budget != 0
    if target.dialect in _BY_TEMPLATE:
        return {"chat_template_kwargs": {"enable_thinking": on}}
    if target.dialect in _BY_FLAG:
        return {"enable_thinking": on}
    return {"thinking": {"type": "enabled" if on else "disabled"}}


def _adaptive(thought: Thought, param: str, target: Target, loss: Loss) -> Members:
    """TokenHub's `thinking{enabled | disabled | adaptive, budget_tokens}` (vendors.md, 3.6)."""
    if thought.mode == "off" or thought.budget == 0:
        return {"thinking": {"type": "disabled"}}
    budget = thought.budget if thought.budget is not None else budget_of(thought.effort) if thought.effort else -1
    if budget < 0:
        return {"thinking": {"type": "enabled" if thought.mode == "on" else "adaptive"}}
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _none(thought: Thought, param: str, target: Target, loss: Loss) -> Members:
    loss.lose("thought", param)
    return {}


_WRITERS: dict[str, Callable[[Thought, str, Target, Loss], Members]] = {
    "effort": _effort,
    "budget": _budget,
    "toggle": _toggle,
    "adaptive": _adaptive,
    "none": _none,
}
