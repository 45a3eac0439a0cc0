"""The vendors: how each says the same answer, where it is knocked at, and which endpoints it serves. Data only.

What is alike everywhere is OpenAI's. The protocols themselves are in `speak/`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CREATED = 1_763_000_000

KEEP: Any = object()  # "the usage this answer has"

CHAT = ("chat", "completions", "embeddings", "models")
OPENAI = (*CHAT, "responses")
ENGINE = (*OPENAI, "messages", "messages_count")


@dataclass(frozen=True)
class Dialect:
    """`usage_at`: where a stream's usage is: "extra" chunk, "finish" chunk, "choice" of the finish chunk."""

    name: str
    path: str = "/v1"  # of the base URL that a provider row has
    serves: tuple[str, ...] = CHAT  # endpoints, see `desk.ROUTES`
    messages_path: str = ""  # where the Anthropic door is, "" = at any path that ends so
    usage_always: bool = False  # in a stream, also when nobody asked
    usage_at: str = "extra"
    reasoning_field: str = "reasoning_content"
    id_prefix: str = "chatcmpl-"
    call_id: str = "call_{number}"  # also {name}, {index}
    comment: str = ""  # keep-alive comment of streams
    comments: int = 0  # how many come before the first frame
    blank_lines: int = 0  # before the body of a reply that is not streamed
    reply_extra: dict[str, Any] = field(default_factory=dict)  # members of every reply and chunk
    headers: tuple[tuple[str, str], ...] = ()
    model_suffix: str = ""  # the reply names another model than the request
    null_usage: bool = True  # other chunks say `usage: null` when usage was asked for
    whole_calls: bool = False  # a stream brings a tool call in one fragment
    later_ids: str = ""  # of a tool call, in its later fragments: "" absent | "empty" | "repeated"
    choices_max: int = 0  # `n` above it is refused; 0 = no limit
    developer: bool = True  # the role is known
    cache_marks: bool = True  # cache_control on parts is taken
    think_tags: bool = False  # thinking is <think> text in the content, but with `reasoning_split`
    bare_images: bool = False  # images by data: URL are refused, raw base64 is wanted
    open_temperature: bool = False  # 0 and 1 are refused

    @property
    def main(self) -> str:
        """The endpoint that this vendor is known for."""
        return next(name for name in ("chat", "messages", "gemini", "converse") if name in self.serves)


def _table(*rows: Dialect) -> dict[str, Dialect]:
    return {row.name: row for row in rows}


DIALECTS = _table(
    Dialect(
        "openai",
        cache_marks=False,
        serves=(*OPENAI, "images", "speech", "transcriptions"),
        reply_extra={"service_tier": "default", "system_fingerprint": "fp_1"},
        model_suffix="-2026-01-01",
    ),
    Dialect(
        "azure",
        path="/openai/v1",
        serves=(*OPENAI, "images", "speech", "transcriptions"),
        headers=(("apim-request-id", "apim-1"), ("x-ms-region", "West")),
    ),
    Dialect(
        "deepseek",
        developer=False,
        cache_marks=False,
        path="",
        serves=(*OPENAI, "messages", "messages_count"),
        messages_path="/anthropic/v1/messages",
        comment="keep-alive",
        comments=2,
        blank_lines=3,
        reply_extra={"system_fingerprint": "fp_ds"},
    ),
    Dialect(
        "moonshot",
        cache_marks=False,
        serves=(*OPENAI, "messages", "messages_count"),
        messages_path="/anthropic/v1/messages",
        call_id="functions.{name}:{index}",
        usage_always=True,
        usage_at="choice",
        null_usage=False,
        choices_max=1,
    ),
    Dialect(
        "zhipu",
        developer=False,
        path="/api/paas/v4",
        serves=(*OPENAI, "messages", "messages_count"),
        messages_path="/api/anthropic/v1/messages",
        usage_always=True,
        usage_at="finish",
        id_prefix="20261124",
        null_usage=False,
        whole_calls=True,
        bare_images=True,
        choices_max=1,
        open_temperature=True,
    ),
    Dialect(
        "volcengine",
        path="/api/v3",
        serves=(*OPENAI, "images"),
        id_prefix="0217",
        model_suffix="-260101",
        reply_extra={"service_tier": "default"},
    ),
    Dialect("qianfan", path="/v2", id_prefix="as-", null_usage=False),
    Dialect(
        "minimax",
        think_tags=True,
        serves=(*OPENAI, "messages", "messages_count"),
        messages_path="/anthropic/v1/messages",
        id_prefix="04",
        headers=(("trace_id", "trace-1"),),
        null_usage=False,
        later_ids="repeated",
    ),
    Dialect(
        "siliconflow",
        serves=(*CHAT, "messages", "rerank", "images", "speech", "transcriptions"),
        id_prefix="01",
        headers=(("x-siliconcloud-trace-id", "ti-1"),),
        null_usage=False,
    ),
    Dialect("tencent", serves=(*OPENAI, "messages", "messages_count"), id_prefix="tx", null_usage=False),
    Dialect(
        "dashscope",
        developer=False,
        path="/compatible-mode/v1",
        serves=(*OPENAI, "messages", "messages_count", "qwen", "rerank"),
        messages_path="/apps/anthropic/v1/messages",
        later_ids="empty",
    ),
    Dialect(
        "openrouter",
        path="/api/v1",
        serves=(*OPENAI, "messages"),
        usage_always=True,
        reasoning_field="reasoning",
        id_prefix="gen-",
        comment="OPENROUTER PROCESSING",
        comments=2,
        reply_extra={"provider": "Somebody"},
        headers=(("x-generation-id", "gen-1"),),
        null_usage=False,
    ),
    Dialect(
        "vllm",
        serves=(*ENGINE, "rerank", "transcriptions"),
        reasoning_field="reasoning",
        null_usage=False,
    ),
    Dialect("sglang", serves=(*ENGINE, "rerank"), id_prefix="", null_usage=True),
    Dialect("llamacpp", serves=(*ENGINE, "rerank"), null_usage=False),
    Dialect("meta", serves=OPENAI, null_usage=False),
    Dialect("ollama", null_usage=False, whole_calls=True),
)
"""Those that speak chat."""

OTHERS = _table(
    Dialect(
        "anthropic", serves=("messages", "messages_count", "models"), messages_path="/v1/messages", model_suffix=""
    ),
    Dialect("gemini", path="/v1beta", serves=("gemini", "gemini_embed", "gemini_count", "models")),
    Dialect(
        "vertex",
        path="/v1/projects/p-1/locations/us-central1/publishers/google",
        serves=("gemini", "gemini_embed", "gemini_count", "token"),
    ),
    Dialect(
        "azure_deployments",
        path="/openai",
        serves=(*CHAT[:-1], "images", "speech", "transcriptions"),
        headers=(("apim-request-id", "apim-1"), ("x-ms-region", "West")),
    ),
    Dialect("bedrock_mantle", path="/openai/v1", serves=OPENAI),
    Dialect("bedrock", path="", headers=(("x-amzn-requestid", "amzn-1"),), serves=("converse", "converse_count")),
)

VENDORS = DIALECTS | OTHERS
