"""`baseload env`: what points a client program at this grid."""

from __future__ import annotations

from cyclopts import App

from baseload.cli import exits
from baseload.cli.clients import CLIENTS, NAMES, text_of
from baseload.cli.common import COMMON, Common, about
from baseload.cli.output import print_record, print_rows
from baseload.cli.runfile import gateway_url
from baseload.control.home import Home
from baseload.errors import Refusal

app = App(name="env", help="What points a client program at this grid.")


@app.default
def env(client: str = "", *, model: str = "", base_url: str = "", common: Common = COMMON) -> None:
    """Print the exports, or the text of a program's own file. Without a name: which programs there are.

    Examples:
      eval "$(baseload env claude-code --model smollm2)"
      baseload env codex >> ~/.codex/config.toml

    Parameters
    ----------
    client
        The program.
    model
        The model it shall ask for; default: the first one that is offered.
    base_url
        The gateway's address without /v1; default: this home's.
    """
    if not client:
        rows = [{"client": one.name, "title": one.title, "sends": one.sends, "seen": one.seen} for one in CLIENTS]
        print_rows(rows, ("client", "title", "sends", "seen"), as_json=common.json, name="clients")
        return
    found = next((one for one in CLIENTS if one.name == client), None)
    if found is None:
        raise Refusal(
            f"There is no {client!r} here.", f"Known: {', '.join(NAMES)}.", code="client_not_found", status=404
        )
    base = base_url.removesuffix("/v1") or gateway_url(Home.at(common.home))
    text = text_of(found, base, model or _first_model(common))
    if common.json:
        print_record({"client": found.name, "file": found.file, "text": text, "mind": found.mind}, as_json=True,
                     name="env")  # fmt: skip
        return
    print(text, end="")
    if found.file:
        exits.note(f"This belongs into {found.file}.")
    if found.mind:
        exits.note(found.mind)
    exits.note("The key is taken from BASELOAD_API_KEY: baseload keys create")


def _first_model(common: Common) -> str:
    offers = common.client().get("/api/offers")["offers"]
    models = [row["model"] for row in offers if not row["disabled"]]
    if not models:
        raise Refusal("No model is offered yet.", "Name one: --model", code="model_missing")
    return str(models[0])


app.help_epilogue = about(env)
