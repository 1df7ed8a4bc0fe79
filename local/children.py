"""
Child processes that never outlive their parent.

Each child leads a process group of its own, so that Ctrl-C reaches only the
parent, which then ends its children in order. If the parent dies suddenly, the
watchdog (``local/watchdog.py``) ends them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

_WATCHDOG = Path(__file__).with_name("watchdog.py")
_LOOK_SECONDS = 0.02
_WATCH_SECONDS = 0.2
_TAIL_LINES = 30


class ChildFailed(Exception):
    """A child process ended, or was not ready in time."""


class Child:
    """One running child process; its output goes to the end of the file *log*."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log: Path, begin: int = 0
    ) -> None:
        self.name = name
        self.log = log
        self._begin = begin
        self._process = process

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs; negative if a signal ended it."""
        return self._process.poll()

    def output(self) -> str:
        """Return this child's output so far, without the earlier content of the file."""
        return self.log.read_bytes()[self._begin :].decode(errors="replace")

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """Return the last *lines* lines of its output."""
        return "\n".join(self.output().splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """
        Wait until *ready* answers True.

        Raises:
            ChildFailed: The child ended first, or *seconds* passed; with its last words.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_code is not None:
                raise ChildFailed(f"{self.name} ended with {self.exit_code}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.name} was not ready in {seconds:g} s:\n{self.tail()}")
            time.sleep(_LOOK_SECONDS)

    def wait(self, *, seconds: float) -> int:
        """
        Wait for the end of the child and return its exit code.

        Raises:
            ChildFailed: It still runs after *seconds*.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise ChildFailed(f"{self.name} did not end in {seconds:g} s") from error

    def signal(self, number: signal.Signals) -> None:
        """Send signal *number* to the child's process group, if it still runs."""
        if self.exit_code is None:
            os.killpg(self.pid, number)


class Children:
    """
    The child processes of this process; leaving the context ends them all.

    The last one started ends first.
    """

    def __init__(self) -> None:
        self._running: list[Child] = []
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start the watchdog."""
        command = [sys.executable, "-I", str(_WATCHDOG)]
        self._watchdog = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, *_: object) -> None:
        """End every child, then the watchdog."""
        for child in reversed(self._running.copy()):
            self.stop(child)
        if self._watchdog is not None:
            self._open_pipe().close()
            self._watchdog.wait()

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path
    ) -> Child:
        """
        Start *command* in *cwd* with exactly the environment *env*.

        Its standard output and error go to the end of the file *log*.
        """
        self._open_pipe()  # without the watchdog the child might never end
        with log.open("ab") as output:
            begin = output.tell()
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        child = Child(name, process, log, begin)
        self._send_command(f"+{child.pid}")
        self._running.append(child)
        return child

    def stop(self, child: Child, *, grace: float = 10.0) -> int:
        """
        End *child* with SIGTERM, after *grace* seconds with SIGKILL.

        Returns:
            Its exit code.
        """
        child.signal(signal.SIGTERM)
        try:
            code = child.wait(seconds=grace)
        except ChildFailed:
            code = self.kill(child)
        self._forget(child)
        return code

    def kill(self, child: Child) -> int:
        """End *child* with SIGKILL, as a power cut would; return its exit code."""
        child.signal(signal.SIGKILL)
        code = child.wait(seconds=10)
        self._forget(child)
        return code

    def wait_for_any(self) -> None:
        """
        Wait until a child ends by itself.

        Raises:
            ChildFailed: Always, in the end; with its last words.
        """
        while True:
            for child in self._running:
                if child.exit_code is not None:
                    raise ChildFailed(f"{child.name} ended with {child.exit_code}:\n{child.tail()}")
            time.sleep(_WATCH_SECONDS)

    def _forget(self, child: Child) -> None:
        if child in self._running:
            self._running.remove(child)
            self._send_command(f"-{child.pid}")

    def _send_command(self, command: str) -> None:
        with self._lock:
            self._open_pipe().write(f"{command}\n".encode())
            self._open_pipe().flush()

    def _open_pipe(self) -> IO[bytes]:
        if self._watchdog is None or self._watchdog.stdin is None:
            raise RuntimeError("children are started inside the context")
        return self._watchdog.stdin
