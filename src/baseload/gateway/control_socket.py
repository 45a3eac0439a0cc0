"""Questions of the gateway to the control plane, through the socket in the home. Never on the path of a call."""

from __future__ import annotations

from baseload.errors import Refusal
from baseload.gateway.link import Link, LinkDown, Place

TIMEOUT_S = 5.0


class ControlAway(Refusal):
    """The control plane does not answer."""

    code = "control_unavailable"
    status = 503


async def ask_control(socket: str, target: str) -> tuple[int, bytes]:
    """GET `target`: (status, body). Raises ControlAway."""
    link = Link(Place(socket=socket))
    try:
        return await link.ask("GET", target, limit_s=TIMEOUT_S)
    except LinkDown as away:
        raise ControlAway(
            away.say,
            "Calls are served all the same; ask again in a moment, or look at `baseload status`.",
            retry_after_s=2,
        ) from away
    finally:
        link.close()
