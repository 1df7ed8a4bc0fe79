"""
The local stack: Azurite, the Azure simulator, one or more hosts of the broker.

    with Stack(Path("run")) as stack:
        requests.get(stack.url + "/api/health")
        stack.hosts[0].kill()
        stack.hosts[0].start()

Every port is free unless given, everything it writes lies in one directory,
and every child ends with it.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from local import azurite
from local.azurite import Azurite, Ports
from local.children import Child, Children
from local.host.app import settings

ROOT = Path(__file__).resolve().parent.parent
_READY_SECONDS = 60
_FREE_PORTS = range(20_000, 32_000)  # below the ports that systems give to outgoing connections


@contextmanager
def make_run_folder(prefix: str) -> Iterator[Path]:
    """
    Yield a new folder for the logs of a stack, and remove it at the end.

    Ctrl-C is an end like any other. After any other error the folder stays: its logs have the
    reason.
    """
    run = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield run
    except KeyboardInterrupt:
        shutil.rmtree(run)
        raise
    shutil.rmtree(run)


class NoCoreTools(Exception):
    """``JIT_LOCAL_HOST=func``, but there is no ``func`` on the PATH."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    How to build a stack.

    Attributes:
        app: The folder of ``function_app.py``.
        landscape: The resources at first, and the callers.
        hosts: The port of each host instance; 0 means any free port.
        simulator: The simulator's port; 0 means any free port, None no simulator.
        storage: Azurite's ports.
        in_memory: True if Azurite forgets everything at the end.
        env: Settings on top of, and stronger than, the stack's own.
        say: Called with each line of progress.
    """

    app: Path = ROOT
    landscape: Path = ROOT / "local" / "landscape.json"
    hosts: tuple[int, ...] = (0,)
    simulator: int | None = 0
    storage: Ports = field(default_factory=Ports)
    in_memory: bool = True
    env: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = field(default=lambda _: None)


class HostProcess:
    """One host instance, which can be killed and started again on its port."""

    def __init__(
        self, name: str, port: int, options: Options, children: Children, run: Path
    ) -> None:
        self.name, self.port = name, port
        self.env: dict[str, str] = {}
        self._options, self._children, self._run = options, children, run
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def child(self) -> Child:
        """Its process; raises RuntimeError before the first start."""
        if self._child is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._child

    @property
    def log(self) -> str:
        """Everything it has written, over all of its lives."""
        return self.child.log.read_text(errors="replace")

    def start(self) -> None:
        """
        Start it and wait until it answers.

        Raises:
            ChildFailed: It ended, or did not answer in a minute; with its last words.
        """
        self._child = self._children.start(
            self.name,
            _host_command(self.port, self._options),
            env=self.env,
            log=self._run / f"{self.name}.log",
            cwd=_host_folder(self._options),
        )
        self._child.wait_until(
            lambda: _answers(f"{self.url}/admin/host/status"), seconds=_READY_SECONDS
        )

    def stop(self) -> int:
        """End it in order (SIGTERM) and return its exit code."""
        return self._children.stop(self.child, grace=20)

    def kill(self) -> int:
        """End it between two instructions (SIGKILL) and return its exit code."""
        return self._children.kill(self.child)


class Stack:
    """
    A running local stack.

    Args:
        run: A directory for its logs and data; created if it is missing.
        options: Everything else.

    Attributes:
        hosts: The host instances, in the order of their ports.
        env: The environment of the hosts, for a client that wants the same view.
    """

    def __init__(self, run: Path, options: Options = Options()) -> None:
        self.run, self.options = run, options
        self.hosts: list[HostProcess] = []
        self.env: dict[str, str] = {}
        self._children = Children()
        self._azurite: Azurite | None = None
        self._simulator_port = 0
        self._identity_header = secrets.token_hex(16)
        self._open = ExitStack()

    @property
    def url(self) -> str:
        """The address of the first host."""
        return self.hosts[0].url

    @property
    def simulator_url(self) -> str:
        """The address of the Azure simulator."""
        return f"http://127.0.0.1:{self._simulator_port}"

    @property
    def clock_file(self) -> Path:
        """The file through which the stack shares one clock."""
        return self.run / "clock.json"

    @property
    def connection_string(self) -> str:
        """How to reach Azurite."""
        if self._azurite is None:
            raise RuntimeError("the stack is not running")
        return self._azurite.connection_string()

    def __enter__(self) -> Self:
        """
        Start everything and wait until it answers.

        Raises:
            ChildFailed: Something did not come up; with its last words.
            NotInstalled: Azurite has not been obtained.
            NoCoreTools: See there.
        """
        _host_command(0, self.options)  # fails here rather than after the rest is up
        with ExitStack() as opening:
            self.run.mkdir(parents=True, exist_ok=True)
            opening.enter_context(self._children)
            self._start_storage()
            self._start_simulator()
            self.env = self._build_environment()
            for number, port in enumerate(self.options.hosts):
                self._start_host(number, port)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything, the last one started first."""
        self._open.close()

    def wait(self) -> None:
        """Wait until something ends by itself; raises ``ChildFailed`` with its last words."""
        self._children.wait_for_any()

    def _start_storage(self) -> None:
        with self._report_start("azurite"):
            self._azurite = azurite.start(
                self._children,
                self.run,
                ports=self.options.storage,
                in_memory=self.options.in_memory,
            )

    def _start_simulator(self) -> None:
        if self.options.simulator is None:
            return
        self._simulator_port = self.options.simulator or free_port()
        command = [sys.executable, "-m", "local.azure", "--port", str(self._simulator_port)]
        command += ["--landscape", str(self.options.landscape.resolve())]
        command += ["--clock-file", str(self.clock_file.resolve())]
        with self._report_start("azure simulator"):
            child = self._children.start(
                "azure",
                command,
                env=os.environ | {"IDENTITY_HEADER": self._identity_header},
                log=self.run / "azure.log",
                cwd=ROOT,
            )
            child.wait_until(
                lambda: _answers(f"{self.simulator_url}/_sim/clock"), seconds=_READY_SECONDS
            )

    def _start_host(self, number: int, port: int) -> None:
        host = HostProcess(
            f"host{number}", port or free_port(), self.options, self._children, self.run
        )
        host.env = {"JIT_PUBLIC_BASE_URL": host.url, **self.env}
        with self._report_start(f"{host.name} on {host.url}"):
            host.start()
        self.hosts.append(host)

    def _build_environment(self) -> dict[str, str]:
        """Return the sample's settings under the stack's own under the caller's."""
        stack = {
            "AzureWebJobsStorage": self.connection_string,
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "PYTHONUNBUFFERED": "1",
        }
        if self.options.simulator is not None:
            stack |= {
                "IDENTITY_ENDPOINT": f"{self.simulator_url}/msi/token",
                "IDENTITY_HEADER": self._identity_header,
                "JIT_ARM_ENDPOINT": self.simulator_url,
                "JIT_LOCAL_CLOCK": str(self.clock_file.resolve()),
                "JIT_SUBSCRIPTIONS": ",".join(_list_subscriptions(self.options.landscape)),
            }
        return (
            settings.read(self.options.app, {})
            | _inherit_environment()
            | stack
            | dict(self.options.env)
        )

    @contextmanager
    def _report_start(self, name: str) -> Iterator[None]:
        """Report that *name* is up, and its seconds."""
        began = time.monotonic()
        yield
        self.options.say(f"  {name:<34} up in {time.monotonic() - began:4.1f} s")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    for port in random.SystemRandom().sample(_FREE_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port was found")


def _inherit_environment() -> dict[str, str]:
    """Return the environment of this process without the settings that lead to real Azure."""
    away = ("AZURE_", "IDENTITY_", "MSI_", "WEBSITE_", "AzureWebJobs", "JIT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(away)}


def _list_subscriptions(landscape: Path) -> list[str]:
    return [entry["id"] for entry in json.loads(landscape.read_text())["subscriptions"]]


def _host_command(port: int, options: Options) -> list[str]:
    if os.environ.get("JIT_LOCAL_HOST") == "func":
        func = shutil.which("func")
        if func is None:
            raise NoCoreTools(
                "JIT_LOCAL_HOST=func, but Azure Functions Core Tools are not on the PATH; "
                "https://learn.microsoft.com/azure/azure-functions/functions-run-local"
            )
        return [func, "start", "--port", str(port)]
    return [
        sys.executable,
        *("-m", "local.host"),
        *("--port", str(port)),
        *("--app", str(options.app.resolve())),
        *("--landscape", str(options.landscape.resolve())),
    ]


def _host_folder(options: Options) -> Path:
    return options.app if os.environ.get("JIT_LOCAL_HOST") == "func" else ROOT


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True  # it refuses, but it is there
    except OSError:
        return False
