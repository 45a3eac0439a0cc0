"""`baseload call`: one chat from the terminal, streamed, through the gateway like any client's."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from baseload.cli import exits
from baseload.cli.common import LOCAL, Local, about, secret
from baseload.cli.http import exchange, lines
from baseload.cli.output import print_json
from baseload.cli.runfile import gateway_url
from baseload.control.home import Home
from baseload.errors import Refusal

app = App(name="call")


@app.default
def call(
    model: str,
    text: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    *,
    system: str = "",
    max_tokens: int | None = None,
    key: str | None = None,
    gateway: str = "",
    json: Annotated[bool, Parameter(negative="")] = False,
    local: Local = LOCAL,
) -> None:
    """Send one chat to MODEL and print the reply as it comes.

    The key comes from --key, BASELOAD_API_KEY, or the one the first start made for this home.

    Examples:
      baseload call smollm2 "Name three rivers."
      cat letter.txt | baseload call smollm2 --system "Summarise." -

    Parameters
    ----------
    model
        The model to ask.
    text
        What to say; "-" reads stdin.
    system
        Instructions before it.
    max_tokens
        The longest reply, in tokens.
    key
        The API key by reference: env:NAME or file:PATH.
    gateway
        Where the gateway is; default: BASELOAD_GATEWAY, else the one `baseload up` started.
    json
        Print {"v":1,"text":...,"usage":...} when the reply is complete.
    """
    home = local.place()
    said = sys.stdin.read() if text == "-" else text
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {
        "model": model,
        "messages": [*messages, {"role": "user", "content": said}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    base = (gateway or os.environ.get("BASELOAD_GATEWAY") or gateway_url(home)).rstrip("/")
    _talk(base, find_key(key, home), body, as_json=json, home=home)


def find_key(reference: str | None, home: Home) -> str:
    """The API key: --key by reference, the environment, or the home's own."""
    if reference:
        return secret(reference, "key")
    if key := os.environ.get("BASELOAD_API_KEY", "").strip():
        return key
    try:
        return home.cli_key.read_text().strip()
    except OSError as error:
        raise Refusal(
            "There is no API key to call with.",
            f"export BASELOAD_API_KEY=$(baseload keys create{home.option})",
            code="key_missing",
            status=401,
        ) from error


def _talk(base: str, key: str, body: dict[str, Any], *, as_json: bool, home: Home) -> None:
    said: list[str] = []
    usage: Any = None
    headers = {"authorization": f"Bearer {key}"}
    try:
        # No read limit: a reply may think for minutes, and Ctrl-C is at hand.
        with exchange("POST", f"{base}/v1/chat/completions", headers=headers, body=body, read_s=None) as reply:
            if reply.status >= 400:
                raise refusal_of(reply.status, reply.read())
            for chunk in _chunks(lines(reply)):
                if "error" in chunk:
                    raise refusal_of(502, json.dumps(chunk).encode())
                usage = chunk.get("usage") or usage
                piece = "".join(choice.get("delta", {}).get("content") or "" for choice in chunk.get("choices", ()))
                said.append(piece)
                if not as_json:
                    print(piece, end="", flush=True)
            call_id, offer = reply.headers.get("x-baseload-call-id", ""), reply.headers.get("x-baseload-offer", "")
    except ConnectionRefusedError as error:
        raise exits.Unreachable(f"No gateway answers at {base}.", f"baseload up{home.option}") from error
    except BrokenPipeError:
        raise  # ours: the reader of stdout has gone
    except (OSError, http.client.HTTPException) as error:
        raise Refusal(f"The reply broke off ({error}).", "baseload status", code="cut", status=502) from error
    if as_json:
        print_json(text="".join(said), usage=usage, call_id=call_id, offer=offer)
        return
    print()
    if sys.stderr.isatty():
        exits.note(f"[{offer}] baseload calls show {call_id}{home.option}")


def _chunks(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        payload = line.removeprefix("data:").strip()
        if line.startswith("data:") and payload and payload != "[DONE]":
            yield json.loads(payload)


def refusal_of(status: int, content: bytes) -> Refusal:
    """The refusal in an OpenAI error envelope."""
    try:
        said = json.loads(content)["error"]
        message, code = str(said["message"]), str(said.get("code") or "refused")
    except (ValueError, KeyError, TypeError):
        message, code = f"The gateway answered {status}.", "refused"
    return Refusal(message, code=code, status=status)


app.help_epilogue = about(call)
