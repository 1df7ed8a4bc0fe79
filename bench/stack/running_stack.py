"""The local stack of a benchmark, and the environment of its apps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measures import processes
from bench.stack import landscapes
from bench.stack.simulator import Simulator
from bench.traffic import access_requests
from local.stack import Options, Stack

_MANY = {
    "JIT_CHANGES_PER_MINUTE": "100000",
    "JIT_DENIALS_PER_HOUR": "100000",
    "JIT_LIVE_ON_ONE_PORT": "2000",
    "JIT_LIVE_REQUESTS": "2000",
    "JIT_READS_PER_MINUTE": "100000",
    "JIT_REQUESTS_PER_DAY": "2000",
    "JIT_WIDEST_SOURCE": "16",
}
"""One caller of a benchmark asks as many people do."""

_APP_SETTINGS = ("AzureWebJobsStorage", "IDENTITY_", "JIT_")


@dataclass(frozen=True, slots=True)
class RunningStack:
    """
    A running stack.

    Attributes:
        stack: Azurite, simulator, hosts.
        folder: For files of a benchmark; gone with the stack.
    """

    stack: Stack
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of an app of this stack: its settings and nothing else."""
        settings = self.stack.env.items()
        chosen = {name: value for name, value in settings if name.startswith(_APP_SETTINGS)}
        platform = {
            "WEBSITE_AUTH_ENABLED": "True",
            "WEBSITE_HOSTNAME": "jit.example",
            "JIT_TENANT_ID": access_requests.TENANT,
        }
        return processes.plain_environment() | chosen | platform

    @property
    def simulator(self) -> Simulator:
        """The stack's Azure."""
        return Simulator(self.stack.simulator_url)

    def learn(self) -> int:
        """Fill the inventory as reconciling would; return the number of VMs."""
        return int(processes.run(["-m", "bench.programs.inventory_fill"], env=self.env).output)


@contextmanager
def start_stack(
    *,
    hosts: int = 0,
    farms: int = 5,
    machines: int = 10,
    walled: int = 0,
    subscriptions: int = 1,
    env: dict[str, str] | None = None,
) -> Iterator[RunningStack]:
    """
    Start a stack on free ports over a landscape of its own; end it with the context.

    *walled* puts all machines behind one firewall, into that many JIT policies; 0: into farms.
    """
    with tempfile.TemporaryDirectory(prefix="jit-bench-") as name:
        folder = Path(name)
        file = folder / "landscape.json"
        options = Options(
            landscape=landscapes.write_walled(file, machines=machines, policies=walled)
            if walled
            else landscapes.write(
                file, farms=farms, machines=machines, subscriptions=subscriptions
            ),
            hosts=(0,) * hosts,
            env=_MANY | (env or {}),
        )
        with Stack(folder / "stack", options) as stack:
            yield RunningStack(stack, folder)
