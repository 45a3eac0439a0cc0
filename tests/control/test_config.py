"""Wrong configuration is refused with file, line, field and what would be right."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from tests.vendors.tls import authority

from baseload.control.config import Config, ConfigWrong, load, parse
from baseload.control.desired import EngineOptions, resolve
from baseload.control.rules import margin_ppm
from baseload.errors import Refusal

DEEPSEEK = '[[providers]]\nname = "deepseek"\n'
SECRET = "sk-this-is-a-literal-secret"

# text, line, field, part of what is wrong, part of what would be right
WRONG = [
    ("[[providers]\n", 1, "", "Not TOML", "baseload init"),
    ('a = 1\nb = "open\n', 2, "", "Not TOML", "baseload init"),
    ("provider = []\n", 1, "provider", "not a field", "`providers`"),
    ("[engin]\nenabled = true\n", 1, "engin", "not a field", "`engine`"),
    ("[engine]\n\nenabled = 3\n", 3, "engine.enabled", "Expected bool", "true or false"),
    ('[engine]\nthreads = "two"\n', 2, "engine.threads", "Expected int", "threads = 2"),
    ("[engine]\nthreads = -1\n", 2, "engine.threads", "between 0", ""),
    ("[engine]\nprice = { rate = { input = 3 } }\n", 2, "engine.price.rate.input", "decimal string", '"0.15"'),
    ('[engine]\nprice = { rate = { inptu = "3" } }\n', 2, "engine.price.rate.inptu", "no meter", '"input"'),
    ('[engine]\nprice = { rate = {} }\n', 2, "engine.price.rate", "at least one rate", "input"),
    ("[providers]\nname = 'x'\n", 1, "providers", "list of tables", "[[providers]]"),
    ("[[providers]]\nfrom = 'deepseek'\n", 1, "providers[1]", "`name` is missing", "name ="),
    ('[[providers]]\nname = "Deep Seek"\n', 2, "providers[1].name", "cannot be a name", "small letters"),
    ('[[providers]]\nname = "dashscoop"\n', 2, "providers[1].name", "no provider", "dashscope"),
    ('[[providers]]\nname = "a"\nfrom = "dashscoop"\n', 3, "providers[1].from", "no provider", "dashscope"),
    ('[[providers]]\nname = "g"\nfrom = "compatible"\n', 1, "providers[1].base_url", "no public address", "base_url ="),
    ('[[providers]]\nname = "vllm"\nbase_url = "10.0.0.5:8000"\n', 3, "providers[1].base_url", "no base URL", "https://"),
    (
        '[[providers]]\nname = "a"\nfrom = "vllm"\nbase_url = "http://h/v1/chat/completions"\n',
        4, "providers[1].base_url", "ends in", '"http://h/v1"',
    ),
    ('[[providers]]\nname = "dashscope"\nscope = "mars"\n', 3, "providers[1].scope", "no scope", "intl"),
    (DEEPSEEK + 'credentail = "env:X"\n', 3, "providers[1].credentail", "not a field", "`credential`"),
    (DEEPSEEK + f'credential = "{SECRET}"\n', 3, "providers[1].credential", "only ever a reference", "env:NAME"),
    (DEEPSEEK + 'credential = "env:MY KEY"\n', 3, "providers[1].credential", "name of an env", "env:NAME"),
    (DEEPSEEK + 'abort = "maybe"\n', 3, "providers[1].abort", "maybe", '"stops"'),
    (DEEPSEEK + "idle_timeout_s = -1.0\n", 3, "providers[1].idle_timeout_s", "at most 3600", "60.0"),
    (DEEPSEEK + DEEPSEEK, 4, "providers[2].name", "already taken", "another"),
    ('[[providers]]\nname = "local"\nfrom = "vllm"\n', 2, "providers[1].name", "embedded engine", "another"),
    ('[[offers]]\nmodel = "m"\n', 1, "offers[1]", "`provider` is missing", "provider ="),
    ('[[offers]]\nmodel = "m n"\nprovider = "p"\n', 2, "offers[1].model", "visible ASCII", "deepseek"),
    ('[[offers]]\nmodel = "m"\nprovider = "p"\nendpoints = ["chta"]\n', 4, "offers[1].endpoints", "chta", '"chat"'),
    ('[[offers]]\nmodel = "m"\nprovider = "p"\nendpoints = []\n', 4, "offers[1].endpoints", "at least one", "chat"),
    ('[[offers]]\nmodel = "m"\nprovider = "p"\nprice = "free"\n', 4, "offers[1].price", "not a price", "catalogue"),
    (
        '[[offers]]\nmodel = "m"\nprovider = "p"\nprice = { currency = "usd", rate = { input = "1" } }\n',
        4, "offers[1].price.currency", "not a currency", "USD",
    ),
    (
        '[[offers]]\nmodel = "m"\nprovider = "p"\nprice = { rate = { input = "-1" } }\n',
        4, "offers[1].price.rate.input", "not a rate", "decimal string",
    ),
    (
        '[[offers]]\nmodel = "m"\nprovider = "p"\n[offers.price]\n[offers.price.rate]\noutput = "1"\ninput = "NaN"\n',
        7, "offers[1].price.rate.input", "not a rate", "decimal string",
    ),
    ('[[offers]]\nmodel = "m"\nprovider = "p"\n' * 2, 4, "offers[2]", "declared twice", "name"),
    ('[[tariffs]]\nname = "t"\nmargin_percent = 20\n', 3, "tariffs[1].margin_percent", "Expected str", '"20"'),
    ('[[tariffs]]\nname = "t"\nmargin_percent = "-100"\n', 3, "tariffs[1].margin_percent", "not a margin", "above"),
    (
        '[[tariffs]]\nname = "t"\n\n[tariffs.prices.m.rate]\ninput = 1.5\n',
        5, "tariffs[1].prices.m.rate.input", "decimal string", "Quote",
    ),
    ('[[accounts]]\nname = "a"\ntariff = "retial"\n', 3, "accounts[1].tariff", "no tariff", "default"),
    ('[[accounts]]\nname = "a"\nparent = "b"\n', 3, "accounts[1].parent", "no account", "Declare"),
    (
        '[[accounts]]\nname = "a"\nparent = "b"\n[[accounts]]\nname = "b"\nparent = "a"\n',
        3, "accounts[1].parent", "its own ancestor", "circle",
    ),
    ('[[prices]]\nmodel = "m"\nrate = { input = "1" }\n', 1, "prices[1]", "`vendor` is missing", "deepseek"),
    (
        '[[prices]]\nvendor = "v"\ncurrency = "USD"\nmodel = "m"\nrate = { input = "1" }\nfrom = 2026-01-01\n',
        6, "prices[1].from", "not an instant", "00:00:00Z",
    ),
    ('price_files = ["nowhere.toml"]\n', 1, "price_files[1]", "nowhere.toml", "path"),
    ('[fx]\nCNY = "0"\n', 2, "fx.CNY", "not an exchange rate", "0.14"),
    ("[fx]\nCNY = 0.14\n", 2, "fx", "Expected str", ""),
]  # fmt: skip


def refused(text: str, folder: Path) -> ConfigWrong:
    path = folder / "baseload.toml"
    path.write_text(text)
    with pytest.raises(ConfigWrong) as caught:
        resolve(load(path), path, EngineOptions(8402))
    return caught.value


@pytest.mark.parametrize(("text", "line", "field", "say", "fix"), WRONG, ids=[f"{row[2]}-{row[3]}" for row in WRONG])
def test_a_wrong_file_is_refused_with_line_field_and_remedy(tmp_path, text, line, field, say, fix):
    wrong = refused(text, tmp_path)
    finding = wrong.findings[0]
    assert finding.file == str(tmp_path / "baseload.toml")
    assert (finding.line, finding.field.startswith(field)) == (line, True), str(wrong)
    assert say in finding.say, str(wrong)
    assert fix in finding.fix, str(wrong)
    assert f"baseload.toml:{line}: " in str(wrong)
    assert SECRET not in str(wrong)


def test_every_wrong_table_is_reported_at_once(tmp_path):
    text = '[engine]\nenabled = 1\n[[providers]]\nnme = "x"\n[[offers]]\nmodel = 3\n'
    assert [finding.line for finding in refused(text, tmp_path).findings] == [2, 4, 6]


def test_lines_are_right_around_comments_strings_and_arrays(tmp_path):
    text = (
        '# [[offers]] in a comment\nprice_files = [\n  # "x",\n]\n'
        '[engine]\nmodel = """\n[[offers]]\nenabled = 3"""\nenabled = 3\n'
    )
    assert refused(text, tmp_path).findings[0].line == 9


def test_without_a_file_the_embedded_engine_is_offered(tmp_path):
    config = load(tmp_path / "baseload.toml")
    assert config == Config()
    desired = resolve(config, tmp_path / "baseload.toml", EngineOptions(8402))
    assert list(desired.offers) == ["smollm2@local"]
    offer = desired.offers["smollm2@local"]
    assert offer["prices"][0].rate == {"input": "0.02", "cache_read": "0.002", "output": "0.08"}
    assert desired.providers["local"]["base_url"] == "http://127.0.0.1:8402/v1"


def test_told_not_to_run_an_engine_none_is_offered(tmp_path):
    assert resolve(Config(), tmp_path / "baseload.toml", EngineOptions(0)).offers == {}


def test_a_catalogue_vendor_needs_only_name_and_key(tmp_path):
    text = DEEPSEEK + 'credential = "env:K"\n[[offers]]\nmodel = "deepseek-v4-pro"\nprovider = "deepseek"\n'
    desired = resolve(parse(text), tmp_path / "baseload.toml", EngineOptions(0))
    assert desired.providers["deepseek"]["base_url"].startswith("https://")
    prices = desired.offers["deepseek-v4-pro@deepseek"]["prices"]
    assert [row.currency for row in prices] == ["USD"]
    assert "output" in prices[0].rate


def test_prices_of_ones_own_contract_replace_the_list(tmp_path):
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "mine.toml").write_text(
        '[vendor]\nname = "deepseek"\ncurrency = "USD"\n'
        '[[price]]\nmodel = "deepseek-v4-pro"\nrate = { input = "0.1", output = "0.2" }\n'
    )
    text = (
        'price_files = ["prices/mine.toml"]\n[[providers]]\nname = "deepseek"\n'
        '[[offers]]\nmodel = "deepseek-v4-pro"\nprovider = "deepseek"\n'
    )
    desired = resolve(parse(text), tmp_path / "baseload.toml", EngineOptions(0))
    assert [row.rate for row in desired.offers["deepseek-v4-pro@deepseek"]["prices"]] == [
        {"input": "0.1", "output": "0.2"}
    ]


def test_relative_paths_start_from_the_files_folder(tmp_path):
    text = '[[providers]]\nname = "gpu"\nfrom = "vllm"\ncredential = "file:key.txt"\nca_file = "ca.pem"\n'
    (tmp_path / "ca.pem").write_bytes(authority()[0].read_bytes())
    provider = resolve(parse(text), tmp_path / "baseload.toml", EngineOptions(0)).providers["gpu"]
    assert provider["credential"] == f"file:{tmp_path}/key.txt"
    assert provider["extra"]["ca_file"] == f"{tmp_path}/ca.pem"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_trust_root_that_no_gateway_could_load_is_refused_with_its_line(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)
    file = tmp_path / "baseload.toml"
    file.write_text('[[providers]]\nname = "gpu"\nfrom = "vllm"\nbase_url = "https://gpu/v1"\nca_file = "ca.pem"\n')
    with pytest.raises(ConfigWrong, match="cannot be used as a trust root") as wrong:
        resolve(load(file), file, EngineOptions(0))
    assert [(finding.line, finding.field) for finding in wrong.value.findings] == [(5, "providers[1].ca_file")]


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    file = tmp_path / "baseload.toml"
    file.write_bytes(b'\xef\xbb\xbf[engine]\nmodel = "caf\xc3\xa9"\n')
    assert [finding.line for finding in _refused(file)] == [2]
    file.write_bytes(b'\xef\xbb\xbf[engine]\nmodel = "cafe"\n')
    assert load(file).engine.model == "cafe"


def _refused(file):
    with pytest.raises(ConfigWrong) as wrong:
        load(file)
    return wrong.value.findings


def test_the_example_is_a_right_file_as_it_is_and_with_everything_switched_on(tmp_path):
    example = resources.files("baseload.control").joinpath("example.toml").read_text()
    assert parse(example) == Config()
    lines = []
    for line in example.splitlines():
        setting = line.removeprefix("# ")
        switched = (
            line.startswith("# ")
            and (setting.startswith("[") or " = " in setting.split("#")[0])
            and "  credential" not in line
        )
        lines.append(setting if switched else line)
    text = "\n".join(
        line for line in lines if not line.startswith(("price_files", "#   credential", "file = ", "or let"))
    )
    desired = resolve(parse(text), tmp_path / "baseload.toml", EngineOptions(8402))
    assert set(desired.providers) == {"local", "deepseek", "qwen-intl", "openai", "gpu1"}
    assert set(desired.accounts) == {"team-a", "team-a-batch"}
    assert desired.offers["deepseek-v4-pro@deepseek"]["prices"][0].rate["input"] == "0.60"
    assert desired.offers["gpt-5-mini@openai"]["endpoints"] == ["chat", "responses"]
    assert desired.offers["painter@openai"]["prices"][0].rate == {"images": "40"}
    assert all(offer["prices"] for offer in desired.offers.values())
    assert desired.tariffs["retail"]["margin_ppm"] == 200_000
    assert desired.fx == {"CNY": "0.14"}


@pytest.mark.parametrize(("text", "ppm"), [("20", 200_000), ("0", 0), ("-5", -50_000), ("2.5", 25_000), ("0.0001", 1)])
def test_margins_are_exact_parts_per_million(text, ppm):
    assert margin_ppm(text) == ppm


@pytest.mark.parametrize("text", ["", "x", "-100", "0.00001", "NaN", "1e9", "Infinity"])
def test_a_margin_that_is_none_is_refused(text):
    with pytest.raises(Refusal):
        margin_ppm(text)
