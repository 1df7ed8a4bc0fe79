"""``python -m local.azure``: the simulator as a program of its own."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from local.azure.landscape.file import load
from local.azure.server import Server
from local.azure.simulator import Azure
from local.azure.timeline import Timeline

_HERE = Path(__file__).resolve().parent.parent


def main() -> int:
    """Serve until a signal comes; say one line when ready."""
    options = _options()
    timeline = Timeline(options.clock_file)
    header = os.environ.get("IDENTITY_HEADER")
    azure = Azure(load(options.landscape), timeline, header)
    server = Server(azure, options.port)
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"Azure simulator ready on {server.url}", flush=True)
    stop.wait()
    server.shutdown()
    server.server_close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.azure", description=__doc__)
    parser.add_argument("--port", type=int, default=7072, help="0 takes any free port")
    parser.add_argument("--landscape", type=Path, default=_HERE / "landscape.json")
    parser.add_argument("--clock-file", type=Path, help="kept in step with the clock")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
