"""The catalogue's own files, and any server by base URL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import baseload.providers
from baseload.errors import Refusal
from baseload.money.book import check_overlaps
from baseload.providers import catalogue
from baseload.providers.catalogue import UnknownVendor, custom, names, price_names, price_rows, vendor
from baseload.providers.faults import FAULTS

DATA = Path(baseload.providers.__file__).with_name("data")
WANTED = {
    "dashscope", "deepseek", "volcengine", "qianfan", "moonshot", "tencent", "zhipu", "minimax", "siliconflow",
    "openai", "openrouter", "vllm", "sglang", "llamacpp", "ollama", "compatible",
}  # fmt: skip
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
    assert set(found.paths) <= {"chat", "completions", "embeddings"}
    assert found.paths["chat"].startswith("/")
    for host in found.hosts:
        assert catalogue.check_base_url(host.base_url) == host.base_url
        assert host.base_url.startswith(LOOPBACK if found.kind == "engine" else "https://")
    if name != "compatible":
        assert found.host() is not None
    assert found.host("nowhere") is None
    for header in (*found.retry_headers, *found.request_id_headers, *found.headers, found.auth.header):
        assert header == header.lower()


def test_every_name_and_synonym_is_one_vendors():
    words = [word for name in names() for word in (name, *vendor(name).also)]
    assert len(words) == len(set(words))


def test_the_door_and_its_path_make_the_documented_url():
    def url(name: str, scope: str = "", endpoint: str = "chat") -> str:
        host = vendor(name).host(scope)
        assert host is not None
        return host.base_url + vendor(name).paths[endpoint]

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


def test_which_aborts_go_on_being_billed():
    assert {name for name in names() if vendor(name).abort == "continues"} == {"dashscope", "minimax"}
    stops = {name for name in names() if vendor(name).abort == "stops"}
    assert stops == {"openai", "deepseek", "vllm", "sglang", "llamacpp", "ollama"}


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
