"""
``python -m local.host``: start the development host on one app.

Exit codes: 0 after SIGTERM or Ctrl-C, 1 for an app that cannot run, with all of
its faults on standard error.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.functions as func

from local.host.app import checks, functions, host_options, settings
from local.host.process import Host, Plan
from local.host.web import platform_auth

_log = logging.getLogger("local.host")
_ROOT = Path(__file__).resolve().parent.parent.parent
# ``excludedPaths`` of App Service authentication, as the deployed app has them.
_EXCLUDED = ("/api/health", "/api/webhooks/*", "/page", "/page/*")


class Unusable(Exception):
    """The app cannot run; the message says everything that is wrong."""


def main() -> int:
    """Run until a signal comes; return the exit code."""
    arguments = _read_arguments()
    _log_to_stderr()
    try:
        host = Host(plan(arguments.app.resolve(), arguments.port, arguments.landscape.resolve()))
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    os.environ.setdefault("JIT_PUBLIC_BASE_URL", host.server.url)  # https://localhost is nobody's
    host.start()
    print(f"host ready on {host.server.url}", flush=True)
    stopping.wait()
    _log.info("host stopping")
    host.stop()
    _log.info("host stopped")
    return 0


def plan(folder: Path, port: int, landscape: Path) -> Plan:
    """
    Load the app in *folder*, check it, and return how to host it.

    Sets the process's environment as the platform would: settings files,
    ``WEBSITE_AUTH_ENABLED``, ``WEBSITE_AUTH_V2_CONFIG_JSON``, ``WEBSITE_HOSTNAME``; and
    ``JIT_TENANT_ID`` and ``JIT_APP_CLIENT_ID``, those of the landscape.

    Raises:
        Unusable: With every fault that was found.
    """
    os.environ.update(_build_environment(folder, port))
    os.chdir(folder)
    app = _load(folder)
    host_json = _read_host_json(folder)
    faults = checks.find_faults(app, os.environ, host_json)
    if faults:
        raise Unusable(_list_faults(f"{folder} cannot be hosted", faults))
    options = host_options.options(host_json)
    authentication = _read_authentication(landscape)
    _install_crash_point()
    return Plan(
        folder=folder,
        functions=functions.index(app),
        settings=dict(os.environ),
        options=options,
        authentication=authentication,
        clock=_share_clock(folder),
        port=port,
    )


def _read_authentication(landscape: Path) -> platform_auth.Authentication:
    """Return the stand-in for the platform's authentication, after telling the broker of it."""
    client_id = os.environ.setdefault("JIT_APP_CLIENT_ID", platform_auth.CLIENT_ID)
    authentication = platform_auth.read(landscape, _EXCLUDED, client_id)
    os.environ.setdefault("JIT_TENANT_ID", authentication.tenant)
    configuration = authentication.write_configuration()
    os.environ.setdefault("WEBSITE_AUTH_V2_CONFIG_JSON", configuration)
    return authentication


def _build_environment(folder: Path, port: int) -> dict[str, str]:
    platform = {
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_AUTH_ENABLED": "True",
        "WEBSITE_HOSTNAME": f"localhost:{port}",
    }
    return platform | settings.read(folder, os.environ)


def _load(folder: Path) -> func.FunctionApp:
    try:
        return functions.load(folder)
    except Exception as error:
        _log.exception("function_app.py cannot be imported")
        raise Unusable(f"{folder}: function_app.py cannot be imported: {error}") from error


def _read_host_json(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "host.json").read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise Unusable(f"{folder}: host.json cannot be read: {error}") from error


def _share_clock(folder: Path) -> Callable[[], datetime]:
    """Return the clock that the timers follow, after giving it to the broker as well."""
    path = os.environ.get("JIT_LOCAL_CLOCK")
    if not path:
        return lambda: datetime.now(UTC)
    from local.clock import FileClock

    clock = FileClock(path).now
    if (folder / "jit" / "wiring.py").is_file():
        importlib.import_module("jit.wiring").clock = clock  # type: ignore[attr-defined]
    return clock


def _install_crash_point() -> None:
    """Have this process die at the call that a test has chosen, if one has."""
    if os.environ.get("JIT_LOCAL_DIES"):
        from local.host import crash_point

        crash_point.install(crash_point.read_crash_point(os.environ))


def _list_faults(heading: str, faults: list[str]) -> str:
    return "\n".join([f"{heading}:", *(f"  - {fault}" for fault in faults)])


def _log_to_stderr() -> None:
    """Forward formatted messages only, as the worker does: ``extra`` never arrives."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--port", type=int, default=7071, help="0 means any free port")
    parser.add_argument("--app", type=Path, default=Path(), help="where function_app.py lies")
    parser.add_argument("--landscape", type=Path, default=_ROOT / "local" / "landscape.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
