"""The catalogue's own files, and any server by base URL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import baseload.providers
from baseload.errors import Refusal
from baseload.money.book import check_overlaps
from baseload.providers import catalogue
from baseload.providers.catalogue import UnknownVendor, custom, names, price_names, price_rows, vendor
from baseload.providers.faults import FAULTS
from baseload.wire.canon.carry import POLICY

DATA = Path(baseload.providers.__file__).with_name("data")
WANTED = {
    "dashscope", "deepseek", "volcengine", "qianfan", "moonshot", "tencent", "zhipu", "minimax", "siliconflow",
    "openai", "openrouter", "vllm", "sglang", "llamacpp", "ollama", "compatible",
    "anthropic", "gemini", "vertex", "bedrock", "bedrock_mantle", "azure", "azure_deployments", "meta",
}  # fmt: skip
YOURS = {"compatible", "azure", "azure_deployments", "vertex"}  # the door is the user's: its address names a resource
ENDPOINTS = {
    "chat", "responses", "messages", "gemini", "converse", "qwen", "qwen_multimodal", "completions", "embeddings",
    "gemini_embed", "gemini_embed_batch", "rerank", "images", "speech", "transcriptions",
    "messages_count", "gemini_count", "responses_count",
}  # fmt: skip
MODEL_IN_PATH = {"gemini", "gemini_count", "gemini_embed", "gemini_embed_batch", "converse"}
LOOPBACK = "http://127.0.0.1:"


def test_every_vendor_is_there():
    assert set(names()) == WANTED


@pytest.mark.parametrize("name", sorted(WANTED))
def test_a_file_holds_together(name: str):
    found = vendor(name)
    assert found.name == name
    assert found.kind in ("vendor", "engine")
    assert found.abort in ("stops", "continues", "unknown")
    assert found.usage.style in ("inclusive", "exclusive")
    assert found.usage.stream in ("include_usage", "always")
    assert found.usage.cache_write_ttl in ("", "5m", "30m", "1h", "12h")
    assert {rule.kind for rule in found.errors} <= set(FAULTS)
    assert set(found.finish.values()) <= set(FAULTS)
    assert all(rule.status or rule.code or rule.type or rule.text for rule in found.errors)
    assert found.sources
    assert all(source.what and len(source.read) == 10 for source in found.sources)
    assert found.paths
    assert set(found.paths) <= ENDPOINTS
    for table in (found.stream_paths, found.auth_for, found.send, found.stream_send):
        assert set(table) <= set(found.paths)
    for endpoint, path in (*found.paths.items(), *found.stream_paths.items()):
        assert path.startswith("/")
        assert path.replace("{model}", "").isascii()
        assert "{" not in path.replace("{model}", "")
        assert ("{model}" in path) == (endpoint in MODEL_IN_PATH or name == "azure_deployments")
    assert found.auth.kind in ("header", "sigv4", "google")
    assert bool(found.auth.service) == (found.auth.kind == "sigv4")
    assert found.translate.thought in ("effort", "budget", "adaptive", "toggle", "none")
    assert found.translate.max_tokens_name in ("max_tokens", "max_completion_tokens")
    assert set(found.translate.unsupported) <= set(POLICY)
    assert not found.keeps_state or "responses" in found.paths
    if "messages" in found.paths:  # Anthropic's own refuses a request without it
        assert found.send["messages"] == {"anthropic-version": "2023-06-01"}
    for host in found.hosts:
        assert catalogue.check_base_url(host.base_url) == host.base_url
        assert host.base_url.startswith(LOOPBACK if found.kind == "engine" else "https://")
    assert (found.host() is None) == (name in YOURS)
    assert found.host("nowhere") is None
    sent = [header for table in (found.send, found.stream_send) for names in table.values() for header in names]
    auths = [auth.header for auth in (found.auth, *found.auth_for.values())]
    named = (*found.retry_headers, *found.request_id_headers, *found.error_headers, *found.headers)
    for header in (*named, *sent, *auths):
        assert header == header.lower()


def test_every_name_and_synonym_is_one_vendors():
    words = [word for name in names() for word in (name, *vendor(name).also)]
    assert len(words) == len(set(words))


def test_the_door_and_its_path_make_the_documented_url():
    def url(name: str, scope: str = "", endpoint: str = "chat") -> str:
        host = vendor(name).host(scope)
        assert host is not None
        path = vendor(name).paths[endpoint]
        if path.startswith("//"):
            parts = urlsplit(host.base_url)
            return f"{parts.scheme}://{parts.netloc}{path[1:]}"
        return host.base_url + path

    assert url("dashscope") == "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions"
    assert url("dashscope", "intl") == "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions"
    assert url("deepseek") == "https://api.deepseek.com/chat/completions"
    assert url("volcengine") == "https://ark.cn-beijing.volces.com/api/v3/chat/completions"
    assert url("qianfan") == "https://qianfan.baidubce.com/v2/chat/completions"
    assert url("moonshot", "cn") == "https://api.moonshot.cn/v1/chat/completions"
    assert url("moonshot", "intl") == "https://api.moonshot.ai/v1/chat/completions"
    assert url("tencent") == "https://api.hunyuan.cloud.tencent.com/v1/chat/completions"
    assert url("zhipu") == "https://open.bigmodel.cn/api/paas/v4/chat/completions"
    assert url("zhipu", "intl") == "https://api.z.ai/api/paas/v4/chat/completions"
    assert url("minimax") == "https://api.minimax.io/v1/chat/completions"
    assert url("siliconflow") == "https://api.siliconflow.cn/v1/chat/completions"
    assert url("openai", endpoint="embeddings") == "https://api.openai.com/v1/embeddings"
    assert url("openrouter") == "https://openrouter.ai/api/v1/chat/completions"

    assert url("openai", endpoint="responses") == "https://api.openai.com/v1/responses"
    assert url("openai", endpoint="responses_count") == "https://api.openai.com/v1/responses/input_tokens"
    assert url("openai", endpoint="transcriptions") == "https://api.openai.com/v1/audio/transcriptions"
    assert url("anthropic", endpoint="messages") == "https://api.anthropic.com/v1/messages"
    assert url("anthropic", endpoint="messages_count") == "https://api.anthropic.com/v1/messages/count_tokens"
    assert url("dashscope", endpoint="messages") == "https://dashscope.aliyuncs.com/apps/anthropic/v1/messages"
    assert url("dashscope", endpoint="responses") == "https://dashscope.aliyuncs.com/compatible-mode/v1/responses"
    assert url("dashscope", endpoint="rerank") == "https://dashscope.aliyuncs.com/compatible-api/v1/reranks"
    assert url("dashscope", "intl", "qwen") == (
        "https://dashscope-intl.aliyuncs.com/api/v1/services/aigc/text-generation/generation"
    )
    assert url("deepseek", endpoint="messages") == "https://api.deepseek.com/anthropic/v1/messages"
    assert url("volcengine", endpoint="responses") == "https://ark.cn-beijing.volces.com/api/v3/responses"
    assert url("moonshot", "cn", "messages") == "https://api.moonshot.cn/anthropic/v1/messages"
    assert url("zhipu", endpoint="messages") == "https://open.bigmodel.cn/api/anthropic/v1/messages"
    assert url("zhipu", "cn-plan", "messages") == "https://open.bigmodel.cn/api/anthropic/v1/messages"
    assert url("zhipu", endpoint="responses") == "https://open.bigmodel.cn/api/v1/responses"
    assert url("minimax", endpoint="messages") == "https://api.minimax.io/anthropic/v1/messages"
    assert url("minimax", "cn", "responses") == "https://api.minimaxi.com/v1/responses"
    assert url("openrouter", endpoint="messages") == "https://openrouter.ai/api/v1/messages"
    assert url("siliconflow", endpoint="rerank") == "https://api.siliconflow.cn/v1/rerank"
    assert url("meta") == "https://api.meta.ai/v1/chat/completions"
    assert url("bedrock", endpoint="converse") == (
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/{model}/converse"
    )
    assert url("bedrock_mantle", endpoint="responses") == "https://bedrock-mantle.us-east-1.api.aws/openai/v1/responses"
    assert url("gemini", endpoint="gemini") == (
        "https://generativelanguage.googleapis.com/v1beta/models/{model}:generateContent"
    )
    for engine in ("vllm", "sglang", "llamacpp"):
        for endpoint in ("chat", "responses", "messages", "embeddings", "rerank"):
            assert url(engine, endpoint=endpoint).startswith(LOOPBACK)
    assert url("llamacpp", endpoint="messages_count") == "http://127.0.0.1:8080/v1/messages/count_tokens"


def test_streams_have_their_own_paths_and_headers_where_the_vendor_wants_them():
    assert vendor("gemini").stream_paths == {"gemini": "/models/{model}:streamGenerateContent?alt=sse"}
    assert vendor("vertex").stream_paths == vendor("gemini").stream_paths
    assert vendor("bedrock").stream_paths == {"converse": "/model/{model}/converse-stream"}
    asked = {"x-dashscope-sse": "enable"}  # else no stream
    assert vendor("dashscope").stream_send == {"qwen": asked, "qwen_multimodal": asked}


def test_vision_models_of_dashscope_have_a_door_of_their_own():
    found = vendor("dashscope")
    for model in ("qwen-vl-max", "qwen3-vl-plus", "qvq-max"):
        assert found.path_of("qwen", model) == "//api/v1/services/aigc/multimodal-generation/generation"
    for model in ("qwen-max", "qwen3.5-plus"):
        assert found.path_of("qwen", model) == "//api/v1/services/aigc/text-generation/generation"
    assert found.path_of("chat", "qwen-vl-max") == "/chat/completions"
    assert found.path_of("gemini", "qwen-max") is None


def test_how_each_vendor_takes_its_key():
    def auth(name: str) -> tuple[str, str, str]:
        found = vendor(name).auth
        return found.kind, found.header, found.value("k")

    assert auth("anthropic") == ("header", "x-api-key", "k")
    assert auth("gemini") == ("header", "x-goog-api-key", "k")
    assert auth("azure") == auth("azure_deployments") == ("header", "api-key", "k")
    assert auth("vertex") == ("google", "authorization", "Bearer k")
    assert auth("bedrock") == ("sigv4", "authorization", "Bearer k")
    assert (vendor("bedrock").auth.service, vendor("bedrock_mantle").auth.service) == ("bedrock", "bedrock-mantle")
    assert auth("zhipu") == ("header", "authorization", "Bearer k")
    assert vendor("deepseek").auth_for["messages"].value("k") == "k"


def test_the_headers_that_tell_a_failure():
    assert vendor("bedrock").fault_headers == ("x-amzn-errortype", "retry-after-ms", "retry-after", "date")
    assert vendor("moonshot").fault_headers == ("retry-after", "x-ratelimit-reset", "retry-after-ms", "date")


def test_azure_by_deployment_has_the_name_in_the_path_and_the_version_in_the_query():
    path = vendor("azure_deployments").paths["chat"]
    assert path == "/deployments/{model}/chat/completions?api-version=2024-10-21"


def test_who_keeps_state():
    assert {name for name in names() if vendor(name).keeps_state} == {"openai", "azure", "dashscope", "volcengine"}


def test_lesson_15_the_counting_style_is_a_property_of_the_vendor():
    assert {name for name in names() if vendor(name).usage.style == "exclusive"} == {"anthropic", "bedrock"}


def test_pitfall_08_who_knows_the_developer_role():
    assert {name for name in names() if vendor(name).translate.developer} == {"openai", "azure", "azure_deployments"}


def test_pitfall_01_who_wants_reasoning_back():
    assert {name for name in names() if vendor(name).translate.reasoning_back} == {"dashscope", "deepseek", "moonshot"}


def test_pitfall_09_images():
    assert {name for name in names() if vendor(name).translate.image_bare} == {"zhipu"}
    assert "bedrock" in {name for name in names() if not vendor(name).translate.image_url}


def test_pitfall_15_what_is_refused():
    assert {"n", "logprobs"} <= set(vendor("zhipu").translate.unsupported)
    assert "n" in vendor("moonshot").translate.unsupported


def test_pitfall_17_effort_budget_toggle_and_always_on_are_told_by_model():
    thought = {
        ("moonshot", "kimi-k3.1-pro"): "effort",
        ("moonshot", "kimi-k2.6"): "toggle",
        ("moonshot", "kimi-k2.7-code-highspeed"): "none",
        ("zhipu", "glm-5.3-flash"): "effort",
        ("zhipu", "glm-4.7"): "toggle",
        ("gemini", "gemini-2.5-flash"): "budget",
        ("gemini", "gemini-3.5-flash"): "effort",
        ("anthropic", "claude-sonnet-4-5"): "budget",
        ("anthropic", "claude-sonnet-5-5"): "adaptive",
        ("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"): "budget",
        ("bedrock", "us.anthropic.claude-opus-5-5"): "adaptive",
        ("bedrock", "openai.gpt-oss-120b"): "effort",
        ("bedrock", "amazon.nova-pro-v1:0"): "none",
    }
    for (name, model), expected in thought.items():
        assert vendor(name).translate_for(model).thought == expected, (name, model)
    assert vendor("zhipu").translate_for("glm-5.3").unsupported == vendor("zhipu").translate.unsupported


def test_pitfall_19_who_takes_cache_marks():
    marks = {name for name in names() if vendor(name).translate.cache_marks}
    assert marks == {"dashscope", "minimax", "zhipu", "openrouter"}


def test_which_aborts_go_on_being_billed():
    assert {name for name in names() if vendor(name).abort == "continues"} == {
        "dashscope", "minimax", "bedrock", "bedrock_mantle", "gemini", "vertex",
    }  # fmt: skip
    stops = {name for name in names() if vendor(name).abort == "stops"}
    assert stops == {
        "openai", "azure", "azure_deployments", "anthropic", "deepseek", "vllm", "sglang", "llamacpp", "ollama",
    }  # fmt: skip


def test_a_scope_of_a_host_is_a_scope_of_the_list_where_one_was_read():
    for name in names():
        if name in price_names() and price_rows(name):
            scopes = {row.scope for row in price_rows(name)}
            assert vendor(name).scope in scopes, name


def test_a_residency_host_implies_its_price_selector():
    host = vendor("openai").host("eu")
    assert host is not None
    assert (host.geo, host.base_url) == ("eu", "https://eu.api.openai.com/v1")


def test_other_names_and_near_misses():
    assert vendor("kimi") is vendor("moonshot")
    assert vendor("ark").name == "volcengine"
    assert vendor("OpenAI").name == "openai"
    assert vendor("claude").name == "anthropic"
    assert vendor("aws").name == "bedrock"
    with pytest.raises(UnknownVendor) as caught:
        vendor("depseek")
    assert "deepseek" in caught.value.fix
    with pytest.raises(UnknownVendor):
        vendor("../prices/openai")
    with pytest.raises(UnknownVendor) as caught:
        price_rows("openia")
    assert "openai" in caught.value.fix


def test_every_price_list_loads_and_none_overlaps():
    assert {"anthropic", "gemini", "bedrock", "azure", "meta"} <= set(price_names())
    rows = [row for name in price_names() for row in price_rows(name)]
    assert len(rows) > 150
    check_overlaps(rows)
    assert price_rows("openrouter") == ()  # it names the money itself
    for row in rows:
        assert row.book == f"cost:{row.vendor}"
        assert row.source
        assert row.read


def test_importing_the_catalogue_parses_no_file():
    script = (
        "import sys, baseload.providers.faults\n"
        "from baseload.providers import catalogue\n"
        "assert 'tomllib' not in sys.modules and 'baseload.money.book' not in sys.modules\n"
        "assert catalogue._load.cache_info().currsize == 0\n"
        "catalogue.vendor('deepseek')\n"
        "assert catalogue._load.cache_info().currsize == 1\n"
        "assert 'baseload.money.book' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_any_compatible_server():
    found = custom("http://127.0.0.1:9000/v1/", name="lab", abort="stops", like="vllm", scheme="", header="X-Api-Key")
    assert (found.name, found.hosts[0].base_url) == ("lab", "http://127.0.0.1:9000/v1")
    assert found.errors == vendor("vllm").errors
    assert found.token_frames
    assert (found.auth.header, found.auth.value("k")) == ("x-api-key", "k")
    aws = custom("https://bedrock-runtime.eu-west-1.amazonaws.com", like="bedrock")
    assert (aws.auth.kind, aws.auth.service) == ("sigv4", "bedrock")
    plain = custom("https://api.example.com/v1")
    assert (plain.abort, plain.auth.value("k"), plain.auth.required) == ("unknown", "Bearer k", False)
    assert custom("https://x.example/v1", cache_write_ttl="1h").usage.cache_write_ttl == "1h"


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("api.example.com/v1", "https://"),
        ("ftp://example.com", "https://"),
        ("https://", "https://"),
        ("https://example.com:99999/v1", "https://"),
        ("https://exa mple.com/v1", "https://"),
        ("https://example.com/v1/chat/completions", '"https://example.com/v1"'),
        ("https://example.com/v1/embeddings/", '"https://example.com/v1"'),
        ("https://example.com/v1/messages", '"https://example.com/v1"'),
        ("https://example.com/v1/audio/speech", '"https://example.com/v1"'),
        ("https://key:secret@example.com/v1", "env:NAME"),
        ("https://example.com/v1?key=1", '"https://example.com/v1"'),
    ],
)
def test_a_wrong_base_url_says_what_would_be_right(url: str, fix: str):
    with pytest.raises(Refusal) as caught:
        custom(url)
    assert fix in caught.value.fix
    assert "secret" not in str(caught.value)


def test_a_wrong_abort_rule_is_refused():
    with pytest.raises(Refusal, match="sometimes"):
        custom("https://example.com/v1", abort="sometimes")


def test_lesson_23_prices_and_facts_come_from_files_only(monkeypatch: pytest.MonkeyPatch):
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the catalogue opened a socket")

    monkeypatch.setattr("socket.socket.connect", no_network)
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    catalogue._load.cache_clear()
    price_rows.cache_clear()
    for name in names():
        vendor.cache_clear()
        assert vendor(name).name == name
    for name in price_names():
        price_rows(name)
