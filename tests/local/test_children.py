"""Child processes: they start, they end, and they never outlive their parent."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from local import watchdog
from local.children import ChildFailed, Children

READY_THEN_WAIT = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); " + READY_THEN_WAIT


@pytest.fixture
def children():
    with Children() as running:
        yield running


@pytest.fixture
def start(children, tmp_path):
    """Start a Python program as a child."""

    def run(program, name="child", **env):
        return children.start(
            name,
            [sys.executable, "-u", "-c", program],
            env=os.environ | env,
            log=tmp_path / f"{name}.log",
            cwd=tmp_path,
        )

    return run


def is_ready(child):
    child.wait_until(lambda: "ready" in child.output(), seconds=20)
    return child


def is_gone(pid):
    """Wait until no process has the id *pid*."""
    waiting = threading.Event()
    return any(not _exists(pid) or waiting.wait(0.02) for _ in range(1000))


def _exists(pid):
    """Return True if *pid* runs; a zombie that has ended does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_is_stopped_with_its_context(tmp_path):
    """Leaving the context ends it."""
    with Children() as children:
        child = children.start(
            "child",
            [sys.executable, "-c", READY_THEN_WAIT],
            env=os.environ,
            log=tmp_path / "log",
            cwd=tmp_path,
        )

    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_the_request_is_killed(children, start):
    """Nobody stays for ever."""
    assert children.stop(is_ready(start(STUBBORN)), grace=0.1) == -signal.SIGKILL


def test_a_killed_child_is_gone(children, start):
    """As after a power cut."""
    assert children.kill(is_ready(start(READY_THEN_WAIT))) == -signal.SIGKILL


def test_a_child_that_has_ended_can_be_stopped(children, start):
    """Its exit code is still its own."""
    child = start("raise SystemExit(7)")
    child.wait(seconds=20)

    assert children.stop(child) == 7


def test_a_child_that_ends_before_it_is_ready_says_why(start):
    """The error carries its last words."""
    child = start("raise SystemExit('no storage')")

    with pytest.raises(ChildFailed, match="no storage"):
        child.wait_until(lambda: False, seconds=20)


def test_a_child_that_is_never_ready_fails(start):
    """With the time that it had."""
    child = is_ready(start(READY_THEN_WAIT))

    with pytest.raises(ChildFailed, match=r"not ready in 0\.1 s"):
        child.wait_until(lambda: False, seconds=0.1)


def test_the_end_of_any_child_is_noticed(children, start):
    """Somebody who waits for a stack learns which part of it fell over."""
    start(READY_THEN_WAIT, "steady")
    start("raise SystemExit('tripped')", "clumsy")

    with pytest.raises(ChildFailed, match=r"clumsy ended with 1:\ntripped"):
        children.wait_for_any()


def test_a_child_sees_exactly_the_environment_it_is_given(children, tmp_path):
    """Nothing leaks in."""
    child = children.start(
        "child",
        [sys.executable, "-c", "import os; print('A' in os.environ, 'HOME' in os.environ)"],
        env={"A": "1"},
        log=tmp_path / "log",
        cwd=tmp_path,
    )
    child.wait(seconds=20)

    assert child.output() == "True False\n"


def test_the_output_of_a_former_child_is_not_its_own(start):
    """Started again on the same file, a child is not ready because its forerunner was."""
    start("print('ready')").wait(seconds=20)
    again = start("print('again')")
    again.wait(seconds=20)

    assert (again.output(), again.log.read_text()) == ("again\n", "ready\nagain\n")


def test_children_are_started_inside_the_context(tmp_path):
    """Outside, nobody would end them."""
    with pytest.raises(RuntimeError, match="inside the context"):
        Children().start("child", ["true"], env={}, log=tmp_path / "log", cwd=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_children_do_not_outlive_their_parent(number, project):
    """However it dies: the leash sees the pipe end."""
    program = f"""
import os, pathlib, signal, sys, tempfile
sys.path.insert(0, {str(project)!r})
from local.children import Children
folder = pathlib.Path(tempfile.mkdtemp())
with Children() as children:
    child = children.start("child", [sys.executable, "-c", {STUBBORN!r}], env=os.environ,
                           log=folder / "log", cwd=folder)
    child.wait_until(lambda: "ready" in child.output(), seconds=20)
    print(child.pid, flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(number)

    assert is_gone(pid)


def test_the_watchdog_keeps_groups_that_were_not_released():
    """A child that its parent has ended is not touched: its number may be another's by now."""
    assert watchdog.find_remaining_groups(["+1\n", "+2\n", "-1\n", "+3\n", "-9\n"]) == {2, 3}
