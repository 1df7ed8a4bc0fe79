"""
The watchdog: a process that ends the stack's children when their parent dies.

Started by ``local.children`` with a pipe as standard input. It reads one
command a line, ``+<pid>`` or ``-<pid>``; each pid leads its own process group.
When the pipe ends, the parent is gone, by SIGKILL perhaps: every group that is
still watched gets SIGTERM, then SIGKILL.

It is run as a file with ``python -I``: standard library only, up in milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 3.0
_LOOK_SECONDS = 0.05


def find_remaining_groups(commands: Iterable[str]) -> set[int]:
    """Return the process groups that are still watched at the end of *commands*."""
    groups: set[int] = set()
    for command in commands:
        group = int(command[1:])
        (groups.add if command[0] == "+" else groups.discard)(group)
    return groups


def end_groups(groups: set[int]) -> None:
    """End every process group in *groups*: politely, then for certain."""
    for group in groups:
        _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(_signal(group, 0) for group in groups) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
    for group in groups:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Send signal *number* to *group*; False if there is no such group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def main() -> None:
    """Read commands until standard input ends, then end the groups."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # only the end of the pipe counts
    end_groups(find_remaining_groups(sys.stdin))


if __name__ == "__main__":
    main()
