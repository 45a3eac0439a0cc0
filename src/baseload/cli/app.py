"""The commands of `baseload`, loaded only when used: `baseload --help` imports none of their files."""

from __future__ import annotations

import os
import sys

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.errors import Refusal

# name -> (where it is, one line for `baseload --help`)
COMMANDS = {
    "up": ("baseload.cli.up:app", "Start everything of this home and keep it running."),
    "down": ("baseload.cli.up:down_app", "Stop what `baseload up` started."),
    "status": ("baseload.cli.status:app", "What runs, and how far settlement is."),
    "doctor": ("baseload.cli.status:doctor_app", "Check this home; exit 8 when something is wrong."),
    "init": ("baseload.cli.init:app", "Print a commented example of baseload.toml."),
    "apply": ("baseload.cli.init:apply_app", "Apply baseload.toml now, or show what would change."),
    "accounts": ("baseload.cli.accounts:app", "Who pays."),
    "gateways": ("baseload.cli.gateways:app", "Gateways on other machines."),
    "gateway": ("baseload.cli.gateways:gateway_app", "Run one gateway that joins a control plane elsewhere."),
    "keys": ("baseload.cli.keys:app", "Credentials of accounts."),
    "policies": ("baseload.cli.policies:app", "What may serve a call and what is best."),
    "providers": ("baseload.cli.providers:app", "Where tokens come from."),
    "offers": ("baseload.cli.offers:app", "Which model is served where, and at which price."),
    "prices": ("baseload.cli.prices:app", "Price rows, and what is missing."),
    "call": ("baseload.cli.call:app", "One chat from the terminal, streamed."),
    "explain": ("baseload.cli.explain:app", "What dispatch would do with a call, and why."),
    "calls": ("baseload.cli.calls:app", "What a call used and cost."),
    "usage": ("baseload.cli.usage:app", "Tokens and money by model, account or day."),
    "bill": ("baseload.cli.usage:bill_app", "What an account owes, to the nano-unit."),
    "balance": ("baseload.cli.money:balance_app", "What accounts may still spend."),
    "budgets": ("baseload.cli.money:budgets_app", "Limits of spending, and how accounts pay."),
    "payments": ("baseload.cli.money:payments_app", "Top-ups, refunds, credits and debits."),
    "plan": ("baseload.cli.planner:app", "The load, and what to own and what to rent for it."),
    "capital": ("baseload.cli.capital:app", "What is planned and spent on building capacity, by quarter."),
    "scoreboard": ("baseload.cli.capital:scoreboard_app", "The figures that decide, with their targets."),
    "codes": ("baseload.cli.money:codes_app", "Redemption codes."),
    "alerts": ("baseload.cli.money:alerts_app", "Budgets that are nearly used up, and other news."),
    "fx": ("baseload.cli.money:fx_app", "Dated rates of exchange."),
    "audit": ("baseload.cli.money:audit_app", "Who changed what."),
    "invoices": ("baseload.cli.invoices:app", "What accounts are asked to pay: issue, print, credit."),
    "report": ("baseload.cli.report:app", "What dispatch expected, and what it saved against each single offer."),
    "replay": ("baseload.cli.report:replay_app", "What recorded calls would have cost by other rules."),
    "reconcile": ("baseload.cli.reconcile:app", "What vendors bill, beside what the book says."),
    "ledger": ("baseload.cli.ledger:app", "Check and export the double-entry book."),
    "backup": ("baseload.cli.ledger:backup_app", "Write a consistent copy of the database to a file."),
    "archive": ("baseload.cli.archive:app", "Readings of days that are over to Parquet files, and their proof."),
    "import": ("baseload.cli.imports:app", "Providers, models, keys, prices and balances from another gateway."),
    "env": ("baseload.cli.env:app", "What points a client program at this grid."),
    "people": ("baseload.cli.people:app", "Who may sign in to the console, and with which role."),
    "tokens": ("baseload.cli.people:tokens_app", "Tokens of the admin API, each with a role."),
    "admin-token": ("baseload.cli.admin:app", "The administrator's token."),
    "completion": ("baseload.cli.completion:app", "Tab completion for your shell."),
}
# Options that may also stand before the command; they become the environment of this one process.
LEADING = {"--home": "BASELOAD_HOME", "--url": "BASELOAD_URL", "--token": "BASELOAD_TOKEN_REF"}


def build() -> App:
    from baseload import __version__

    app = App(
        name="baseload",
        help="The open token grid: one socket to every model, metered, billed and dispatched by price.",
        version=__version__,
        help_epilogue="A first call:  baseload up,  then in another terminal:  baseload call smollm2 'Hello'",
        help_format="plaintext",  # examples keep their lines; and markdown would cost every --help 0.2 s
        default_parameter=Parameter(show_default=_shown_default),
        result_action="return_value",
    )
    for name, (path, line) in COMMANDS.items():
        app.command(path, name=name, help=line)
    return app


def _shown_default(value: object) -> str | None:
    """Defaults worth a line of help: not the empty ones."""
    return str(value) if value not in ("", None, False) else None


def run(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    words = hoist(sys.argv[1:] if argv is None else argv)
    try:
        result = build()(words)
        sys.stdout.flush()
        return result if isinstance(result, int) and not isinstance(result, bool) else exits.OK
    except Refusal as refusal:
        exits.complain(refusal.say, refusal.fix)
        return exits.exit_code(refusal)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:  # `baseload usage | head`: the reader has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK


def hoist(words: list[str]) -> list[str]:
    """Takes `--home X`, `--url X`, `--token X` in front of the command into the environment."""
    rest = list(words)
    while rest:
        name, equals, value = rest[0].partition("=")
        if name not in LEADING or (not equals and len(rest) < 2):
            break
        os.environ[LEADING[name]] = value if equals else rest[1]
        rest = rest[1:] if equals else rest[2:]
    return rest
