"""Commands against a real control plane: data on stdout, words on stderr, codes that scripts can rely on."""

from __future__ import annotations

import json
import stat
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from baseload.cli.call import refusal_of
from baseload.cli.exits import exit_code
from baseload.wire.refusals import Unpriced

LISTS = {
    ("accounts", "list"): "accounts",
    ("keys", "list"): "keys",
    ("providers", "list"): "providers",
    ("providers", "list", "--catalogue"): "vendors",
    ("offers", "list"): "offers",
    ("prices", "show"): "prices",
    ("prices", "check"): "findings",
    ("apply",): "changes",
}


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_json_is_one_object_with_its_version_and_its_name(control, words):
    done = control.cli(*words, "--json")
    assert (done.code, set(done.json)) == (0, {"v", LISTS[words]})
    assert done.json["v"] == 1
    assert isinstance(done.json[LISTS[words]], list)


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_plain_output_is_tab_separated_with_a_head_and_has_no_colour(control, words):
    done = control.cli(*words)
    assert done.code == 0
    assert "\x1b" not in done.out
    as_json = control.cli(*words, "--json").json[LISTS[words]]
    assert len(done.rows) == len(as_json)
    assert set(done.rows[0] if as_json else ()) <= set(as_json[0] if as_json else ())


def test_an_account_and_its_keys_from_beginning_to_end(control):
    run = control.cli
    assert run("accounts", "create", "team-a", "--parent", "default").code == 0
    assert run("accounts", "show", "team-a", "--json").json["account"]["parent"] == "default"
    again = run("accounts", "create", "team-a")
    assert (again.code, again.out) == (1, "")
    assert "already" in again.err
    assert "next: " in again.err
    made = run("keys", "create", "--account", "team-a", "--models", "smollm2, other", "--expires-days", "30")
    key = made.out.strip()
    assert key.startswith("sk-bl-")
    assert made.out.count("\n") == 1  # KEY=$(baseload keys create) gets the key and nothing else
    row = run("keys", "list", "--account", "team-a", "--json").json["keys"][0]
    assert (row["prefix"], row["models"], row["revoked"]) == (key[:12], ["smollm2", "other"], "")
    assert row["expires"] > row["created"]
    assert key not in run("keys", "list", "--json").out
    assert run("accounts", "show", "team-a", "--json").json["account"]["keys"] == 1
    revoked = run("keys", "revoke", key[:12], "--json")
    assert revoked.json["key"]["revoked"] != ""
    assert run("keys", "revoke", str(row["id"]), "--json").json["key"]["revoked"] == revoked.json["key"]["revoked"]
    assert run("accounts", "show", "team-a", "--json").json["account"]["keys"] == 0


CODES = [
    (("accounts", "show", "nobody"), 3, "no account 'nobody'"),
    (("keys", "create", "--account", "nobody"), 3, "no account 'nobody'"),
    (("keys", "revoke", "sk-bl-nosuch"), 3, "no such key"),
    (("providers", "test", "nobody"), 3, "no provider 'nobody'"),
    (("providers", "add", "dashscoop", "--no-key"), 3, "Did you mean dashscope"),
    (("accounts", "create", "Bad Name"), 1, "cannot be a name"),
    (("keys", "create", "--expires-days", "-1"), 1, "cannot expire"),
    (("offers", "add", "m", "nobody"), 3, "no provider 'nobody'"),
    (("accounts",), 0, ""),
    (("keys", "list", "--nonsense"), 2, "nonsense"),
    (("nonsense",), 2, "nonsense"),
    (("keys", "list", "--url", "http://127.0.0.1:9", "--token", "env:TOKEN"), 7, "No control plane answers"),
    (("keys", "list", "--url", "http://127.0.0.1:9"), 4, "token is needed"),
    (("keys", "list", "--url", "http://127.0.0.1:9", "--token", "bl-admin-literal"), 2, "other processes can read"),
    (("call", "m", "hi", "--key", "sk-literal"), 2, "other processes can read"),
    (("call", "m", "hi", "--key", "env:TOKEN", "--gateway", "http://127.0.0.1:9"), 7, "No gateway answers"),
]


@pytest.mark.parametrize(("words", "code", "say"), CODES, ids=[" ".join(row[0]) for row in CODES])
def test_exit_codes_say_what_kind_of_failure_it_was(control, words, code, say):
    done = control.cli(*words, TOKEN="x")
    assert done.code == code, done.err
    assert say in done.err
    if code:
        assert done.out == ""


def test_a_call_that_the_gateway_refuses_for_want_of_a_price_exits_5():
    refused = Unpriced("m", "offer m@gpu")
    envelope = json.dumps({"error": {"message": refused.say, "code": refused.code}}).encode()
    assert exit_code(refusal_of(refused.status, envelope)) == 5


def test_from_elsewhere_with_url_and_token(control, tmp_path):
    file = tmp_path / "token"
    file.write_text(control.token + "\n")
    elsewhere = ("--home", str(tmp_path), "--url", control.url)
    assert control.cli("keys", "list", *elsewhere, "--token", f"file:{file}").code == 0
    assert control.cli("keys", "list", *elsewhere, BASELOAD_TOKEN=control.token).code == 0
    assert control.cli("keys", "list", BASELOAD_URL=control.url, BASELOAD_TOKEN=control.token).code == 0
    assert control.cli(*elsewhere, "--token", f"file:{file}", "keys", "list").code == 0
    wrong = control.cli("keys", "list", *elsewhere, BASELOAD_TOKEN="bl-admin-wrong")
    assert (wrong.code, "not valid" in wrong.err) == (4, True)


def test_a_vendor_needs_only_its_key_and_the_key_is_never_seen_again(control):
    run = control.cli
    added = run("providers", "add", "deepseek", stdin="sk-the-vendor-key\n")
    assert added.code == 0, added.err
    offers = run("offers", "list", "--json").json["offers"]
    own = [offer for offer in offers if offer["provider"] == "deepseek"]
    assert "deepseek-v4-pro" in {offer["model"] for offer in own}
    assert all(offer["price"]["currency"] == "USD" for offer in own)
    shown = run("providers", "list", "--json").json["providers"]
    assert {row["name"]: row["credential"] for row in shown}["deepseek"] == "stored"
    for path in run.home.iterdir():
        if path.is_file():
            assert b"sk-the-vendor-key" not in path.read_bytes(), path
    assert run("providers", "add", "deepseek", "--name", "second", "--key-env", "K", K="sk-2", stdin="").code == 0
    assert run("providers", "add", "deepseek", "--name", "third").code == 2
    assert run("providers", "add", "deepseek", "--name", "third", "--key-env", "NOT_SET").code == 2


class Vendor(BaseHTTPRequestHandler):
    """A provider that knows one key."""

    def do_GET(self) -> None:
        self.reply(200, {"data": [{"id": "llama"}]} if self.path.endswith("/models") else {})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "poor":
            self.reply(402, {"error": {"message": "balance is -3.20 USD", "code": "insufficient_balance"}})
        else:
            self.reply(200, {"choices": [{"message": {"content": "Hi"}}]})

    def reply(self, status: int, body: dict) -> None:
        if self.headers["authorization"] != "Bearer sk-right":
            status, body = (
                401,
                {"error": {"message": f"Incorrect key {self.headers['authorization']}", "code": "invalid_api_key"}},
            )
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def vendor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_providers_test_makes_a_real_call_and_names_the_failure(control, vendor):
    run = control.cli
    add = ("providers", "add", "compatible", "--base-url", vendor, "--models", "llama")
    assert run(*add, "--name", "good", stdin="sk-right").code == 0
    assert run(*add, "--name", "bad", stdin="sk-wrong").code == 0
    assert (
        run("providers", "add", "compatible", "--name", "gone", "--base-url", "http://127.0.0.1:9/v1", "--no-key").code
        == 0
    )
    good = run("providers", "test", "good", "--json")
    assert (good.code, good.json["test"]["ok"], good.json["test"]["detail"]) == (0, True, "1 models listed.")
    assert run("providers", "test", "good", "--model", "llama").code == 0
    poor = run("providers", "test", "good", "--model", "poor", "--json")
    assert (poor.code, poor.json["test"]["fault"]) == (6, "no_money")
    assert "3.20" not in poor.out  # Lesson 69: the operator's balance is nobody's business
    bad = run("providers", "test", "bad", "--json")
    assert (bad.code, bad.json["test"]["fault"], bad.json["test"]["status"]) == (6, "bad_key", 401)
    assert "sk-wrong" not in bad.out + bad.err
    assert "baseload providers key bad" in run(*add, "--name", "bad", stdin="sk-right").err
    stored = run("providers", "key", "bad", "--json", stdin="sk-right")
    assert (stored.code, stored.json["provider"]["credential"]) == (0, "stored")
    assert run("providers", "test", "bad").code == 0
    assert run("providers", "key", "bad", stdin="\n").code == 2
    assert run("providers", "key", "nobody", stdin="sk-right").code == 3
    assert run("providers", "test", "gone", "--json").json["test"]["fault"] == "refused_connection"


def test_an_offer_without_a_price_is_found_by_the_check(control):
    run = control.cli
    assert (
        run("providers", "add", "compatible", "--name", "gpu9", "--base-url", "http://127.0.0.1:9/v1", "--no-key").code
        == 0
    )
    assert run("offers", "add", "free-for-nobody", "gpu9", "--json").json["offer"]["price"] == {}
    check = run("prices", "check", "--json")
    assert check.code == 8
    assert [row["code"] for row in check.json["findings"] if row["offer"] == "free-for-nobody@gpu9"] == ["unpriced"]
    priced = run(
        "offers", "add", "mine", "gpu9", "--price-input", "0.05", "--price-output", "0.2", "--currency", "CNY", "--json"
    )
    assert priced.json["offer"]["price"] == {"currency": "CNY", "input": "0.05", "output": "0.2"}
    assert run("offers", "add", "wrong", "gpu9", "--price-input", "cheap").code == 1


def test_an_offer_made_without_a_price_is_given_one_as_the_check_says(control):
    run = control.cli
    added = run(
        "providers",
        "add",
        "vllm",
        "--name",
        "gpu7",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--models",
        "m7",
        "--no-key",
    )
    assert "baseload offers add m7 gpu7 --price-input" in added.err
    found = [row for row in run("prices", "check", "--json").json["findings"] if row["offer"] == "m7@gpu7"]
    words = found[0]["fix"].partition(" (")[0].split()[1:]
    priced = run(*words, "--json")
    assert priced.code == 0, priced.err
    assert priced.json["offer"]["price"] == {"currency": "USD", "input": "0.05", "output": "0.20"}
    assert priced.json["offer"]["endpoints"] == ["chat", "completions"]
    assert "m7@gpu7" not in run("prices", "check").out
    again = run(*words)
    assert (again.code, "baseload.toml" in again.err) == (1, True)


def test_apply_diff_shows_and_exits_8_then_the_file_is_taken_up(control):
    run = control.cli
    assert run("init", "--write").code == 0
    assert stat.S_IMODE((run.home / "baseload.toml").stat().st_mode) == 0o600
    assert run("init", "--write").code == 1
    (run.home / "baseload.toml").write_text('[[accounts]]\nname = "declared"\n')
    # the control plane looks once a second and may be faster; both ways the account is there in the end
    assert run("apply", "--diff").code in (0, 8)
    assert run("apply").code == 0
    assert run("accounts", "show", "declared", "--json").json["account"]["declared"] is True
    done = run("apply", "--diff", "--json")
    assert (done.code, done.json["changes"]) == (0, [])
    (run.home / "baseload.toml").write_text("[[accounts]]\nnme = 1\n")
    wrong = run("apply", "--diff")
    assert (wrong.code, wrong.out) == (1, "")
    assert "baseload.toml:2: accounts[1].nme" in wrong.err
    assert run("status", "--json").code == 0
    (run.home / "baseload.toml").unlink()


def test_init_prints_an_example_for_people_and_programs(cli):
    done = cli("init")
    assert done.code == 0
    assert "[engine]" in done.out
    assert not cli.home.exists()


def test_help_shows_examples_for_every_command(cli):
    from baseload.cli.app import COMMANDS

    root = cli("--help").out
    assert all(name in root for name in COMMANDS)
    for words in (
        ("keys", "create"),
        ("providers", "add"),
        ("up",),
        ("call",),
        ("backup",),
        ("ledger", "export"),
        ("bill",),
    ):
        assert "Example" in cli(*words, "--help").out, words


def test_help_explains_every_parameter():
    from baseload.cli.app import build

    def commands(app):
        yield app
        for name in app:
            if not name.startswith("-"):
                yield from commands(app[name])

    silent = [
        f"{' '.join(app.name)} {argument.name}"
        for app in commands(build())
        if app.default_command
        for argument in app.assemble_argument_collection(parse_docstring=True)
        if argument.show and not argument.children and not argument.parameter.help
    ]
    assert silent == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(cli, shell):
    done = cli("completion", "show", shell)
    assert (done.code, "baseload" in done.out) == (0, True)


def test_the_installed_command_is_a_process_like_any_other(control):
    done = control.cli.spawn("accounts", "list", "--json")
    assert (done.code, done.json["v"], done.err) == (0, 1, "")
    assert control.cli.spawn("accounts", "show", "nobody").code == 3
    assert control.cli.spawn("keys", "list", "--nonsense").code == 2


def test_where_nothing_runs_every_command_says_how_to_start(cli):
    for words in (("status",), ("keys", "list"), ("accounts", "list", "--json"), ("down",)):
        done = cli(*words)
        assert (done.code, done.out) == (7, ""), words
        assert f"baseload up --home {cli.home}" in done.err


def test_the_command_itself_loads_no_server_and_no_database():
    """The command is a client; and `--help` must not wait for libraries it does not use."""
    import subprocess
    import sys

    code = (
        "import sys, baseload.cli.app as a; a.run(['--help']); "
        "import importlib; [importlib.import_module(p.split(':')[0]) for p, _ in a.COMMANDS.values()]; "
        "print(sorted({'fastapi', 'sqlalchemy', 'pydantic', 'uvicorn', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
