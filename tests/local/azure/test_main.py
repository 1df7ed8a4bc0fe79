"""``python -m local.azure`` as others start it."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure.landscape.file import load
from local.azure.options import Options
from local.clock import read

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running program with the line that it said when it was ready."""
    command = [sys.executable, "-m", "local.azure", "--port", "0"]
    command += ["--clock-file", str(tmp_path / "clock.json")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline()
        process.kill()


def test_program_says_one_line_when_it_is_ready(program):
    """The line has the address, and the address answers."""
    _, line = program
    url = re.search(r"http://127\.0\.0\.1:\d+", line)
    with urllib.request.urlopen(f"{url and url[0]}/_sim/clock", timeout=10) as response:
        clock = json.load(response)

    assert clock["frozen"] is False


def test_program_keeps_the_clock_file(program, tmp_path):
    """It is there before the line is said."""
    assert read(tmp_path / "clock.json").frozen_at is None


def test_program_ends_on_sigterm(program):
    """Orderly, with nothing more to say."""
    process, _ = program
    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    assert process.stdout.read() == ""


@pytest.mark.parametrize("text", ["[]", "{}", "5"])
def test_file_that_is_no_landscape_is_refused(tmp_path, text):
    """Rather than an empty Azure."""
    (tmp_path / "landscape.json").write_text(text)
    with pytest.raises(ValueError, match="not a landscape"):
        load(tmp_path / "landscape.json")


def test_every_option_is_described():
    """The README's table has all options, and no others."""
    text = (ROOT / "local" / "README.md").read_text()
    table = text.partition("**Options**")[2].partition("A landscape file may")[0]
    first_cells = re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE)

    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == set(
        Options().document()
    )


def test_simulator_knows_nothing_of_the_broker():
    """It judges the broker, so it shares no code with it."""
    sources = [each.read_text() for each in (ROOT / "local" / "azure").glob("*.py")]

    assert [
        text for text in sources if re.search(r"^\s*(?:from|import) jit\b", text, re.MULTILINE)
    ] == []
