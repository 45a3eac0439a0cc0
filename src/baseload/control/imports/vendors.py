"""Which vendor of our catalogue stands for another gateway's word, and where vendors without an entry are reached.

Sources: LiteLLM's provider prefixes (docs.litellm.ai/docs/providers); New API's `constant/channel.go`.
"""

from __future__ import annotations

from typing import NamedTuple


class Vendor(NamedTuple):
    """name: of the catalogue; base_url: where the catalogue has none; scope: of its prices and hosts."""

    name: str
    base_url: str = ""
    scope: str = ""


LITELLM = {
    "openai": Vendor("openai"), "text-completion-openai": Vendor("openai"), "azure": Vendor("azure_deployments"),
    "azure_ai": Vendor("azure"), "anthropic": Vendor("anthropic"), "bedrock": Vendor("bedrock"),
    "vertex_ai": Vendor("vertex"), "gemini": Vendor("gemini"), "deepseek": Vendor("deepseek"),
    "openrouter": Vendor("openrouter"), "ollama": Vendor("ollama"), "ollama_chat": Vendor("ollama"),
    "hosted_vllm": Vendor("vllm"), "vllm": Vendor("vllm"), "moonshot": Vendor("moonshot"),
    "dashscope": Vendor("dashscope"), "volcengine": Vendor("volcengine"), "minimax": Vendor("minimax"),
    "zai": Vendor("zhipu"), "meta_llama": Vendor("meta"), "siliconflow": Vendor("siliconflow"),
    "llamafile": Vendor("compatible"), "lm_studio": Vendor("compatible"), "custom_openai": Vendor("compatible"),
    "groq": Vendor("compatible", "https://api.groq.com/openai/v1"),
    "mistral": Vendor("compatible", "https://api.mistral.ai/v1"),
    "together_ai": Vendor("compatible", "https://api.together.xyz/v1"),
    "fireworks_ai": Vendor("compatible", "https://api.fireworks.ai/inference/v1"),
    "xai": Vendor("compatible", "https://api.x.ai/v1"),
    "perplexity": Vendor("compatible", "https://api.perplexity.ai"),
    "cerebras": Vendor("compatible", "https://api.cerebras.ai/v1"),
    "nvidia_nim": Vendor("compatible", "https://integrate.api.nvidia.com/v1"),
    "deepinfra": Vendor("compatible", "https://api.deepinfra.com/v1/openai"),
    "sambanova": Vendor("compatible", "https://api.sambanova.ai/v1"),
}  # fmt: skip
BEGINNINGS = (("gpt-", "openai"), ("chatgpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
              ("text-embedding-", "openai"), ("claude-", "anthropic"), ("gemini-", "gemini"))  # fmt: skip
"""Models without a prefix whose vendor their name tells."""

CHANNELS: dict[int, Vendor | None] = {
    1: Vendor("openai"), 3: Vendor("azure_deployments"), 4: Vendor("ollama"), 8: Vendor("compatible"),
    14: Vendor("anthropic"), 16: Vendor("zhipu"), 17: Vendor("dashscope", scope="cn"), 20: Vendor("openrouter"),
    23: Vendor("tencent"), 24: Vendor("gemini"), 25: Vendor("moonshot", scope="cn"), 26: Vendor("zhipu"),
    27: Vendor("compatible", "https://api.perplexity.ai"), 31: Vendor("compatible", "https://api.lingyiwanwu.com/v1"),
    33: Vendor("bedrock"), 35: Vendor("minimax"), 40: Vendor("siliconflow"), 41: Vendor("vertex"),
    42: Vendor("compatible", "https://api.mistral.ai/v1"), 43: Vendor("deepseek"), 45: Vendor("volcengine"),
    46: Vendor("qianfan"), 48: Vendor("compatible", "https://api.x.ai/v1"),
    6: Vendor("compatible"), 7: Vendor("compatible", "https://api.ohmygpt.com/v1"), 47: Vendor("compatible"),
    53: Vendor("compatible", "https://llm.submodel.ai/v1"),
}  # fmt: skip
"""Type of a channel -> vendor. What is not here speaks no protocol of ours (pictures, videos, knowledge bases)."""
