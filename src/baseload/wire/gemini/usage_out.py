"""Meters -> Gemini's usageMetadata: the prompt includes what was cached, thoughts stand beside the candidates.

In:     disjoint meters of `wire.usage`. Out: the object, as a dict in the order Google writes it.
What was written to a cache has no counter here: it is a part of the prompt. Everything else comes back unchanged over
two hops (`usage.read`). A side that is not known is left out, not made zero.
"""

from __future__ import annotations

from collections.abc import Mapping

_OUTSIDE_INPUT = frozenset(
    (
        *("output_total", "reasoning", "output_audio", "output_image", "provisioned_output"),
        *("tool_prompt", "provisioned_input", "web_searches", "web_fetches"),
    )
)
_READ = ("cache_read", "cache_read_explicit", "cache_read_audio", "cache_read_image")


def write(meters: Mapping[str, int]) -> dict[str, object]:
    """The usageMetadata of a whole reply, or of a stream's last object."""
    get = meters.get
    usage: dict[str, object] = {}
    tool = get("tool_prompt", 0)
    inputs = [count for name, count in meters.items() if name not in _OUTSIDE_INPUT]
    prompt = max(sum(inputs) - tool, 0)
    read = sum([get(name, 0) for name in _READ])
    thoughts = min(get("reasoning", 0), get("output_total", 0))
    total = prompt + tool
    if inputs:
        usage["promptTokenCount"] = prompt
    if "output_total" in meters:
        usage["candidatesTokenCount"] = get("output_total", 0) - thoughts
        total += get("output_total", 0)
    if read:
        usage["cachedContentTokenCount"] = read
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if tool:
        usage["toolUsePromptTokenCount"] = tool
    usage["totalTokenCount"] = total
    audio, image = get("cache_read_audio", 0), get("cache_read_image", 0)
    _details(usage, "promptTokensDetails", prompt, audio + get("input_audio", 0), image + get("input_image", 0))
    _details(usage, "cacheTokensDetails", read, audio, image)
    own = get("output_total", 0) - thoughts
    _details(usage, "candidatesTokensDetails", own, get("output_audio", 0), get("output_image", 0))
    return usage


def _details(usage: dict[str, object], name: str, whole: int, audio: int, image: int) -> None:
    """A list by modality, where there is more than text."""
    if not audio and not image:
        return
    counts = (("TEXT", whole - audio - image), ("AUDIO", audio), ("IMAGE", image))
    usage[name] = [{"modality": modality, "tokenCount": count} for modality, count in counts if count > 0]
