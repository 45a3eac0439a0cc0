"""Names of OpenTelemetry's GenAI conventions for what we call vendor and endpoint. Pure.

Source: opentelemetry.io/docs/specs/semconv/gen-ai (status: development), gen-ai-metrics and gen-ai-spans.
"""

from __future__ import annotations

PROVIDERS = {
    "gemini": "gcp.gemini", "vertex": "gcp.vertex_ai", "bedrock": "aws.bedrock", "bedrock_mantle": "aws.bedrock",
    "azure": "azure.ai.openai", "azure_deployments": "azure.ai.openai", "moonshot": "moonshot_ai",
}  # fmt: skip
OPERATIONS = {
    "chat": "chat", "responses": "chat", "messages": "chat", "converse": "chat", "qwen": "chat",
    "gemini": "generate_content", "completions": "text_completion", "embeddings": "embeddings",
    "gemini_embed": "embeddings",
}  # fmt: skip
# Bounds that the conventions advise; durations go on beyond theirs, for long answers.
DURATION_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68)
FIRST_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 120.0)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)


def provider(dialect: str) -> str:
    """gen_ai.provider.name of a vendor of the catalogue."""
    return PROVIDERS.get(dialect, dialect)


def operation(endpoint: str) -> str:
    """gen_ai.operation.name of an endpoint."""
    return OPERATIONS.get(endpoint, endpoint)
