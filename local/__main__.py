"""
``python -m local run``: the whole stack, until Ctrl-C. ``python -m local demo``: the main job.

Exit codes: 0 after Ctrl-C or a demo whose every step was verified, 1 otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from local.azurite import NotInstalled, Ports
from local.children import ChildFailed
from local.stack import ROOT, NoCoreTools, Options, Stack, make_run_folder

_HOST_PORTS = (7071, 7073, 7074, 7075)
_SIMULATOR_PORT = 7072
_STORAGE_PORTS = Ports(10000, 10001, 10002)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    chosen = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_interrupt)
    try:
        return _demo() if chosen.command == "demo" else _run(chosen)
    except (ChildFailed, NoCoreTools, NotInstalled) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 0


def _demo() -> int:
    """Run ``local/demo.py``, which starts a stack of its own."""
    return int(importlib.import_module("local.demo").main())


def _run(chosen: argparse.Namespace) -> int:
    options = Options(
        app=chosen.app,
        hosts=(0,) * chosen.instances if chosen.any_ports else _HOST_PORTS[: chosen.instances],
        simulator=0 if chosen.any_ports else _SIMULATOR_PORT,
        storage=Ports() if chosen.any_ports else _STORAGE_PORTS,
        in_memory=chosen.directory is None,
        env=dict(setting.split("=", 1) for setting in chosen.set),
        say=lambda line: print(line, flush=True),
    )
    folder = chosen.directory
    with nullcontext(folder) if folder else make_run_folder("jit-stack-") as run:
        print(f"starting the local stack; logs in {run}", flush=True)
        _serve(run, options)
    return 0


def _serve(run: Path, options: Options) -> None:
    """Run the stack until somebody stops it."""
    with Stack(run, options) as stack:
        print(_welcome(stack), flush=True)
        stack.wait()


def _welcome(stack: Stack) -> str:
    hosts = ", ".join(host.url for host in stack.hosts)
    return f"""
broker            {hosts}
Azure simulator   {stack.simulator_url}  (its clock: {stack.simulator_url}/_sim/clock)

  curl -s {stack.url}/api/virtual-machines
  curl -s -H 'X-Local-User: olga' {stack.url}/api/access-requests
  curl -s {stack.simulator_url}/_sim/clock -d '{{"advance": "PT1H"}}'

Ctrl-C stops everything."""


def _raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="show the main job, step by step, on a stack of its own")
    run = commands.add_parser("run", help="start the stack and leave it up")
    run.add_argument("--instances", type=int, default=1, choices=range(1, len(_HOST_PORTS) + 1))
    run.add_argument("--any-ports", action="store_true", help="where 7071 and so on are taken")
    run.add_argument("--app", type=Path, default=ROOT, help="where function_app.py lies")
    run.add_argument(
        "--directory",
        type=Path,
        help="keep data and logs there (default: no data; logs in a folder that goes at the end)",
    )
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting")
    return parser


if __name__ == "__main__":
    sys.exit(main())
