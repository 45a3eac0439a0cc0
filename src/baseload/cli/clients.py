"""Client programs and how each is pointed at a grid: data, one entry a program.

In:     the grid's address, a model.
Out:    exports for a shell, or the text of the program's own file. {base} is the address without /v1, {model} a model;
        the key stays in a variable, BASELOAD_API_KEY, and is in no text here.

`sends` is what the program was seen to send (the version beside it), so that a person knows which door it knocks at.
"""

from __future__ import annotations

from typing import NamedTuple


class Client(NamedTuple):
    """`file`: where `text` belongs; "" = exports for a shell. `seen`: the version whose requests were looked at."""

    name: str
    title: str
    text: str
    sends: str
    seen: str = ""
    file: str = ""
    mind: str = ""


CLIENTS = (
    Client(
        "openai", "OpenAI SDK (Python, Node)",
        'export OPENAI_BASE_URL="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\n',
        "/v1/chat/completions, /v1/responses, /v1/embeddings", "Python 3.3, Node 6.49",
    ),
    Client(
        "anthropic", "Anthropic SDK",
        'export ANTHROPIC_BASE_URL="{base}"\nexport ANTHROPIC_AUTH_TOKEN="$BASELOAD_API_KEY"\n',
        "/v1/messages, /v1/messages/count_tokens", "2.13", mind="The address has no /v1.",
    ),
    Client(
        "google-genai", "Google Gen AI SDK",
        'export GOOGLE_GEMINI_BASE_URL="{base}"\nexport GEMINI_API_KEY="$BASELOAD_API_KEY"\n',
        "/v1beta/models/MODEL:generateContent, :streamGenerateContent", "3.6",
    ),
    Client(
        "claude-code", "Claude Code",
        'export ANTHROPIC_BASE_URL="{base}"\nexport ANTHROPIC_AUTH_TOKEN="$BASELOAD_API_KEY"\n'
        'export ANTHROPIC_MODEL="{model}"\nexport ANTHROPIC_SMALL_FAST_MODEL="{model}"\n',
        "HEAD /, then /v1/messages?beta=true", "2.1.197",
        mind="It needs a model with tools and a long context.",
    ),
    Client(
        "codex", "Codex CLI",
        'model = "{model}"\nmodel_provider = "baseload"\n\n[model_providers.baseload]\nname = "Baseload"\n'
        'base_url = "{base}/v1"\nenv_key = "BASELOAD_API_KEY"\nwire_api = "responses"\n',
        "/v1/responses", "0.169", file="~/.codex/config.toml",
    ),
    Client(
        "gemini-cli", "gemini-cli",
        'export GOOGLE_GEMINI_BASE_URL="{base}"\nexport GEMINI_API_KEY="$BASELOAD_API_KEY"\n'
        'export GEMINI_MODEL="{model}"\nexport GEMINI_CLI_TRUST_WORKSPACE=true\n',
        "/v1beta/models/MODEL:streamGenerateContent?alt=sse", "0.61",
        mind='In ~/.gemini/settings.json: {"security": {"auth": {"selectedType": "gemini-api-key"}}}.',
    ),
    Client(
        "opencode", "opencode",
        '{{\n  "$schema": "https://opencode.ai/config.json",\n  "model": "baseload/{model}",\n'
        '  "small_model": "baseload/{model}",\n  "provider": {{\n    "baseload": {{\n'
        '      "npm": "@ai-sdk/openai-compatible",\n'
        '      "options": {{"baseURL": "{base}/v1", "apiKey": "{{env:BASELOAD_API_KEY}}"}},\n'
        '      "models": {{"{model}": {{}}}}\n    }}\n  }}\n}}\n',
        "/v1/chat/completions, with x-session-affinity", "1.18", file="opencode.json",
        mind="Without small_model it picks another provider's.",
    ),
    Client(
        "llm", "llm",
        '- model_id: baseload\n  model_name: {model}\n  api_base: "{base}/v1"\n  api_key_name: baseload\n',
        "/v1/chat/completions", "0.36", file="extra-openai-models.yaml in the folder of `llm logs path`",
        mind='The key: llm keys set baseload --value "$BASELOAD_API_KEY".',
    ),
    Client(
        "open-webui", "Open WebUI",
        'export OPENAI_API_BASE_URL="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\nexport OFFLINE_MODE=true\n',
        "/v1/models, /v1/chat/completions",
    ),
    Client(
        "aider", "aider",
        'export OPENAI_API_BASE="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\n'
        'export AIDER_MODEL="openai/{model}"\n',
        "/v1/chat/completions",
    ),
    Client(
        "openai-agents", "OpenAI Agents SDK",
        'export OPENAI_BASE_URL="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\n'
        "export OPENAI_AGENTS_DISABLE_TRACING=1\n",
        "/v1/responses", "0.24", mind="Tracing calls OpenAI itself unless it is off.",
    ),
    Client(
        "langchain", "LangChain (langchain-openai)",
        'export OPENAI_BASE_URL="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\n',
        "/v1/chat/completions",
    ),
    Client(
        "pydantic-ai", "Pydantic AI",
        'export OPENAI_BASE_URL="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\n',
        "/v1/chat/completions", mind="With OpenAIChatModel(\"{model}\").",
    ),
    Client(
        "instructor", "Instructor",
        'export OPENAI_BASE_URL="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\n',
        "/v1/chat/completions",
    ),
    Client(
        "litellm", "litellm SDK",
        'export OPENAI_API_BASE="{base}/v1"\nexport OPENAI_API_KEY="$BASELOAD_API_KEY"\n',
        "/v1/chat/completions", mind="Name the model openai/{model}.",
    ),
)  # fmt: skip
NAMES = tuple(client.name for client in CLIENTS)


def text_of(client: Client, base: str, model: str) -> str:
    """What to paste."""
    return client.text.format(base=base.rstrip("/"), model=model)


def page() -> str:
    """docs/clients.md."""
    base, model = "http://127.0.0.1:8400", "smollm2"
    parts = [
        "# Client programs\n",
        "`baseload env CLIENT` prints what points a program at this grid; `baseload env` lists them. The key stays in",
        "`BASELOAD_API_KEY`. This page is made from the same table (`src/baseload/cli/clients.py`).\n",
        "Run in our tests against the gateway, each in an environment of its own, pointed by what the command prints:",
        "the official SDKs of OpenAI (Python, Node), Anthropic and Google, the Vercel AI SDK, Claude Code, Codex,",
        "gemini-cli, opencode, llm, the OpenAI Agents SDK, LangChain, Pydantic AI, Instructor, litellm. Open WebUI and",
        "aider are by their documentation: they bring several GB of packages, or pin old ones.\n",
    ]
    for client in CLIENTS:
        parts += [
            f"## {client.title}\n",
            f"`baseload env {client.name}`" + (f", for {client.file}" if client.file else ""),
        ]
        parts += [f"· seen: {client.seen} · sends {client.sends}" if client.seen else f"· sends {client.sends}", ""]
        parts += ["```", text_of(client, base, model).rstrip(), "```", ""]
        if client.mind:
            parts += [client.mind.format(model=model) if "{model}" in client.mind else client.mind, ""]
    return "\n".join(parts).rstrip() + "\n"
