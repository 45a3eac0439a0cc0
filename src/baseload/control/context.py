"""What the services of the control plane share: the home, the database, the secrets, and what `status` shows."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from baseload.control.desired import EngineOptions
from baseload.control.grid import Grid
from baseload.control.home import Home
from baseload.control.publish import Publisher
from baseload.control.shipped import Shipments
from baseload.gateway.vault import Vault


@dataclass
class State:
    """Facts of this process that no table holds. Written by one thread each, read by `status` and `doctor`."""

    started_ns: int = field(default_factory=time.time_ns)
    config_ok: bool = True
    config_findings: list[dict[str, Any]] = field(default_factory=list)
    config_applied_ns: int = 0
    settle_error: str = ""
    settle_failures: int = 0  # steps in a row
    settled_ns: int = 0  # when the worker last caught up
    journals: dict[str, dict[str, Any]] = field(default_factory=dict)  # gateway -> how far its journal is settled


@dataclass
class Context:
    home: Home
    engine: Engine
    vault: Vault
    publisher: Publisher
    engine_options: EngineOptions
    control_url: str
    state: State = field(default_factory=State)
    configuring: threading.Lock = field(default_factory=threading.Lock)  # one application of the file at a time
    stopping: threading.Event = field(default_factory=threading.Event)
    grid: Grid = field(init=False)  # what this control plane and its gateways say to each other
    shipments: Shipments = field(init=False)  # journals of gateways elsewhere

    def __post_init__(self) -> None:
        self.grid = Grid(self.engine)
        self.shipments = Shipments(self.home.journal)

    def changed(self) -> None:
        """After a change of configuration: gateways learn of it by the next snapshot."""
        self.grid.published(self.publisher.publish())
