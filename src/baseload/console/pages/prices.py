"""Price books: which rate each offer has, from when; what changed and what it does to the bill; what has no price."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from baseload.console.view import allow, context_of, page
from baseload.control.services import price_changes, prices


def show(request: Request) -> Response:
    allow(request, "grid.read")
    context = context_of(request)
    model = request.query_params.get("model", "")
    rows = prices.show(context, model or None)
    return page(
        request, "prices.html", rows=rows, model=model, findings=prices.check(context),
        changes=[one for one in price_changes.changes(context) if not model or one["model"] == model],
        models=sorted({row["model"] for row in prices.show(context)}),
    )  # fmt: skip
