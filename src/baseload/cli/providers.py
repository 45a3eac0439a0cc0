"""`baseload providers`: where tokens come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.client import segment
from baseload.cli.common import COMMON, Common, read_secret
from baseload.cli.output import print_json, print_record, print_rows
from baseload.errors import Refusal

app = App(name="providers", help="Where tokens come from: vendors by name, or any server that speaks a known protocol.")
COLUMNS = ("name", "kind", "dialect", "base_url", "credential", "offers", "declared", "disabled")
BRIEF = ("name", "dialect", "base_url", "credential", "offers", "disabled")


@app.command(name="list")
def list_(
    *,
    catalogue: Annotated[bool, Parameter(negative="", help="List what can be added by name instead.")] = False,
    common: Common = COMMON,
) -> None:
    """List providers.

    Examples:
      baseload providers list
      baseload providers list --catalogue
    """
    if catalogue:
        rows = common.client().get("/api/catalogue")["vendors"]
        print_rows(rows, ("name", "title", "scopes", "models"), as_json=common.json, name="vendors")
        return
    print_rows(
        common.client().get("/api/providers")["providers"], COLUMNS, as_json=common.json, name="providers", brief=BRIEF
    )


@app.command
def add(
    vendor: str,
    *,
    name: str = "",
    base_url: str = "",
    scope: str = "",
    models: str = "",
    key_env: str | None = None,
    key_file: Path | None = None,
    no_key: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Add a vendor of the catalogue, or any server by its dialect and base URL.

    The key is read from stdin (hidden on a terminal), --key-env or --key-file, and stored encrypted.

    Examples:
      baseload providers add deepseek
      baseload providers add dashscope --scope intl --models qwen-plus --key-env DASHSCOPE_API_KEY
      baseload providers add vllm --name gpu1 --base-url http://10.0.0.5:8000/v1 --models llama --no-key

    Parameters
    ----------
    vendor
        A name of `baseload providers list --catalogue`.
    name
        What to call it here; default: the vendor's name.
    base_url
        Where it answers; needed for servers of your own.
    scope
        Which of the vendor's regions and price lists.
    models
        Models to offer, separated by commas; default: all that the vendor's price list has.
    key_env
        Environment variable that holds the key.
    key_file
        File that holds the key.
    no_key
        The server asks for none.
    """
    key = "" if no_key else read_secret(f"API key of {vendor}", key_env, key_file)
    if not key and not no_key:
        raise Refusal(
            "No key was given.", "Give it on stdin, by --key-env or --key-file, or say --no-key.", code="usage"
        )
    body = {
        "vendor": vendor,
        "name": name,
        "base_url": base_url,
        "scope": scope,
        "models": [model.strip() for model in models.split(",") if model.strip()],
        "key": key,
    }
    added = common.client().post("/api/providers", body)
    if common.json:
        print_json(**added)
        return
    print_record(added["provider"], as_json=False, name="provider")
    named = added["provider"]["name"]
    exits.note(f"{len(added['offers'])} offers added. Try it: baseload providers test {named}")
    if not added["offers"]:
        say = f"baseload offers add MODEL {named} --price-input 0.05 --price-output 0.20"
        exits.note(f"Then offer a model of it, as in: {say}")
    for offer in added["offers"]:
        if not offer["price"]:
            exits.note(
                f"{offer['name']} has no price yet, so its calls are refused. Give it one: "
                f"baseload offers add {offer['model']} {offer['provider']} --price-input 0.05 --price-output 0.20"
            )


@app.command
def key(name: str, *, key_env: str | None = None, key_file: Path | None = None, common: Common = COMMON) -> None:
    """Store a key for a provider that is there, encrypted, in place of the one it had.

    The key is read from stdin (hidden on a terminal), --key-env or --key-file.

    Example: baseload providers key deepseek

    Parameters
    ----------
    name
        The provider.
    key_env
        Environment variable that holds the key.
    key_file
        File that holds the key.
    """
    secret = read_secret(f"API key of {name}", key_env, key_file)
    if not secret:
        raise Refusal("No key was given.", "Give it on stdin, by --key-env or --key-file.", code="usage")
    provider = common.client().put(f"/api/providers/{segment(name)}/key", {"key": secret})["provider"]
    print_record(provider, as_json=common.json, name="provider")


@app.command(name="test")
def try_out(name: str, *, model: str = "", common: Common = COMMON) -> int:
    """Make one tiny real call to the provider and say what happened; exit 6 when it failed.

    Example: baseload providers test deepseek

    Parameters
    ----------
    name
        The provider.
    model
        Ask this upstream model for one token (it may cost that token); default: list the models, which costs nothing.
    """
    body = {"model": model}
    result = common.client().post(f"/api/providers/{segment(name)}/test", body)["test"]
    print_record(result, as_json=common.json, name="test")
    return exits.OK if result["ok"] else exits.UPSTREAM
