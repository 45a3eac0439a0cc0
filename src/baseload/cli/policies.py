"""`baseload policies`: what may serve a call and what is best, as `baseload.toml` declares it."""

from __future__ import annotations

from cyclopts import App

from baseload.cli.common import COMMON, Common
from baseload.cli.output import print_json, print_rows

app = App(name="policies", help="What may serve a call and what is best; and groups of models.")


@app.command(name="list")
def list_(*, common: Common = COMMON) -> None:
    """List policies with who names them, and groups of models.

    They are declared in baseload.toml (docs/dispatch/policies.md); `baseload keys create --policy` gives one to a key.

    Example: baseload policies list --json
    """
    found = common.client().get("/api/policies")
    if common.json:
        print_json(policies=found["policies"], groups=found["groups"])
        return
    print_rows(found["policies"], ("name", "policy", "used_by", "disabled"), as_json=False, name="policies")
    if found["groups"]:
        print_rows(found["groups"], ("name", "models", "policy", "disabled"), as_json=False, name="groups")
