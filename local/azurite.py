"""
Azurite, Microsoft's storage emulator: obtained with npm, started on loopback.

``python -m local.azurite`` obtains it into ``.local/azurite``, once: the lock
file pins every package, and later runs need no network.
https://learn.microsoft.com/azure/storage/common/storage-use-azurite
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local import node
from local.children import Child, Children

HOME = node.ROOT / ".local" / "azurite"
ACCOUNT = "devstoreaccount1"
# The emulator's published account key, the same on every machine: a name, not a secret.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_SOURCES = tuple(
    node.ROOT / "local" / name for name in (".npmrc", "package.json", "package-lock.json")
)
_PROGRAM = "node_modules/azurite/dist/src/azurite.js"
_MEGABYTE = 1_000_000
_SERVICES = ("Blob", "Queue", "Table")
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at http://[\d.]+:(\d+)")
_START_SECONDS = 60  # 3 s on an idle machine; a busy one with a cold disk takes its time
_KEEP_ALIVE_SECONDS = 600  # at the default of 5, a pooled connection is cut under its client
_REPORT_SECONDS = 3


class NotInstalled(Exception):
    """Azurite is not in ``.local``; ``make`` obtains it."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the three services; 0 means any free port."""

    blob: int = 0
    queue: int = 0
    table: int = 0


@dataclass(frozen=True, slots=True)
class Azurite:
    """
    A running Azurite.

    Attributes:
        ports: The ports it really listens on.
        child: Its process.
    """

    ports: Ports
    child: Child = field(repr=False)

    def connection_string(self, account: str = ACCOUNT, key: str = KEY) -> str:
        """Return the value of ``AzureWebJobsStorage`` for *account*."""
        endpoints = zip(
            _SERVICES, (self.ports.blob, self.ports.queue, self.ports.table), strict=True
        )
        return ";".join(
            [
                "DefaultEndpointsProtocol=http",
                f"AccountName={account}",
                f"AccountKey={key}",
                *(f"{name}Endpoint=http://127.0.0.1:{port}/{account}" for name, port in endpoints),
            ]
        )


def start(
    children: Children,
    run: Path,
    *,
    ports: Ports = Ports(),
    in_memory: bool = False,
    accounts: Mapping[str, str] | None = None,
) -> Azurite:
    """
    Start Azurite among *children* and wait until its three services answer.

    Args:
        children: They end it.
        run: Directory for its log and, unless *in_memory*, its data.
        ports: The ports to listen on, on loopback only.
        in_memory: Keep nothing on disk.
        accounts: Names and base64 keys of the accounts; the published one unless given.

    Raises:
        NotInstalled: ``obtain`` has not run.
        ChildFailed: It did not come up; with its output.
    """
    found = node.find()
    if found is None or not is_installed():
        raise NotInstalled("Azurite is not installed: run `python -m local.azurite`")
    named = accounts or {ACCOUNT: KEY}
    child = children.start(
        "azurite",
        [
            str(found.program),
            str(HOME / _PROGRAM),
            *_list_arguments(run, ports, in_memory=in_memory),
        ],
        env=os.environ | {"AZURITE_ACCOUNTS": ";".join(f"{n}:{key}" for n, key in named.items())},
        log=run / "azurite.log",
        cwd=run,
    )
    child.wait_until(lambda: len(_find_ports(child)) == len(_SERVICES), seconds=_START_SECONDS)
    return Azurite(Ports(**_find_ports(child)), child)


def is_installed() -> bool:
    """Return True if ``.local`` holds exactly the Azurite that the lock file names."""
    stamp = HOME / "installed"
    return stamp.is_file() and stamp.read_text() == _hash_sources()


def obtain() -> None:
    """
    Install Azurite, with Node if need be, unless it is there; show how far it is.

    Raises:
        subprocess.CalledProcessError: npm or pip failed; it has said why.
    """
    found = node.obtain()
    if is_installed():
        return
    version = _SOURCES[1].read_text().split('"azurite": "')[1].split('"')[0]
    say = f"obtaining Azurite {version} with npm (Node {found.version}): about 70 MB, once"
    print(say, flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    for source in _SOURCES:
        shutil.copy(source, HOME)
    cache = HOME / "cache"
    _run_npm([*found.npm, "ci", "--no-progress", "--loglevel=error", f"--cache={cache}"], cache)
    shutil.rmtree(cache, ignore_errors=True)
    (HOME / "installed").write_text(_hash_sources())
    print(
        f"Azurite {version} is ready, {_count_megabytes(HOME)} MB in {HOME.relative_to(node.ROOT)}"
    )


def _list_arguments(run: Path, ports: Ports, *, in_memory: bool) -> list[str]:
    where = ["--inMemoryPersistence"] if in_memory else ["--location", str(run / "azurite")]
    services = {"blob": ports.blob, "queue": ports.queue, "table": ports.table}
    return [
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",  # the SDKs are newer than the emulator
        *where,
        *(f"--{name}Host=127.0.0.1" for name in services),
        *(f"--{name}Port={port}" for name, port in services.items()),
        *(f"--{name}KeepAliveTimeout={_KEEP_ALIVE_SECONDS}" for name in services),
    ]


def _find_ports(child: Child) -> dict[str, int]:
    return {name.lower(): int(port) for name, port in _LISTENING.findall(child.output())}


def _hash_sources() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()


def _run_npm(command: list[str], cache: Path) -> None:
    """Run npm and print the fetched megabytes: npm itself prints nothing on a pipe."""
    fetched = 0
    with subprocess.Popen(command, cwd=HOME) as process:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_REPORT_SECONDS)
            fetched = max(fetched, _count_megabytes(cache))  # npm unpacks and tidies as it goes
            print(f"  {fetched} MB fetched", flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _count_megabytes(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(_size(path) for path in files) / _MEGABYTE)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # npm moves files while we look
        return 0


if __name__ == "__main__":
    try:
        obtain()
    except subprocess.CalledProcessError as error:
        sys.exit(f"could not obtain Azurite: {error.cmd[0]} ended with {error.returncode}")
