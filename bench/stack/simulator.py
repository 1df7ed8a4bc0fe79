"""The Azure simulator's control plane, as the benchmarks use it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Simulator:
    """The simulator at *url*."""

    url: str

    def call(self, method: str, name: str, document: object = None) -> Any:
        """Call ``/_sim/<name>``; return the answer's JSON, None where it is empty."""
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{name}", data, method=method)
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def set_options(self, **options: object) -> None:
        """Set options that the simulator's README names."""
        self.call("PUT", "state", {"options": options})

    def set_latency(self, seconds: float) -> None:
        """Have every answer of ARM's take *seconds* longer."""
        self.call("PUT", "latency", {"seconds": seconds})

    def freeze(self) -> None:
        """Make the simulator's clock stand still."""
        self.call("POST", "clock", {"freeze": True})

    def advance(self, span: str) -> None:
        """Move the clock on by *span* (ISO 8601), and run the events that are due."""
        self.call("POST", "clock", {"advance": span})
