"""The command line: its words, its exit codes, the modules that it loads."""

import subprocess
import sys
from pathlib import Path

import pytest

from jit.__main__ import DONE, OUTAGE, REFUSED, WRONG_USE, run
from tests.builders.exports import CHAIN, a_trail, write_lines
from tests.cli.served import serve

PROJECT = Path(__file__).resolve().parent.parent
TRAIL = a_trail(6)
LINES = write_lines(TRAIL)
HEAD = f"6:{TRAIL[-1].hash}"
WHOLE = {f"/api/audit/chains/{CHAIN}?after=0": (200, {"Jit-Audit-Head": HEAD}, b"".join(LINES))}


@pytest.fixture
def export(tmp_path):
    """An exported chain."""
    file = tmp_path / "chain"
    file.write_bytes(b"".join(LINES))
    return str(file)


def ask(url, *words, **environment):
    asked = ["audit", "export", "--url", url, "--subscription", CHAIN, *words]
    return run(asked, environment)


def test_a_whole_export_is_0_and_a_broken_one_1(export, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"".join(LINES[1:]))

    assert run(["audit", "verify", export, "--head", HEAD], {}) == DONE
    assert run(["audit", "verify", str(broken)], {}) == REFUSED


def test_a_part_is_verified_from_its_start(tmp_path):
    part = tmp_path / "part"
    part.write_bytes(b"".join(LINES[2:]))

    assert run(["audit", "verify", str(part), "--start", f"2:{TRAIL[1].hash}"], {}) == DONE


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["audit"],
        ["audit", "verify"],
        ["audit", "verify", "nothing"],
        ["audit", "verify", "nothing", "--head", "6"],
        ["audit", "verify", "x", "--head", f"1:{'a' * 64}", "--start", f"2:{'a' * 64}"],
        ["audit", "export", "--url", "https://x", "--subscription", "people"],
        ["audit", "export", "--url", "http://x", "--subscription", "people", "--as", "audra"],
        ["audit", "export", "--url", "http://[::1]", "--subscription", "x", "--after", "-1"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_2(words, capsys):
    """And it is said why."""
    assert run(words, {}) == WRONG_USE
    assert capsys.readouterr().err


def test_help_is_0(capsys):
    assert run(["--help"], {}) == DONE
    assert "audit" in capsys.readouterr().out


def test_the_token_comes_from_the_environment(tmp_path):
    """Never from the command line, which every process of the machine can read."""
    with serve(WHOLE) as place:
        code = ask(place.url, "--token-from-env", "T", "--output", str(tmp_path / "x"), T="secret")

    assert code == DONE
    assert place.asked[0].headers["Authorization"] == "Bearer secret"
    assert (tmp_path / "x").read_bytes() == b"".join(LINES)


@pytest.mark.parametrize("token", ["", "a\nb"])
def test_a_variable_without_a_token_is_wrong_use(token, capsys):
    with serve(WHOLE) as place:
        assert ask(place.url, "--token-from-env", "T", T=token) == WRONG_USE

    assert place.asked == []


def test_a_person_of_the_local_stack_is_named(capfdbinary):
    with serve(WHOLE) as place:
        assert ask(place.url, "--as", "audra") == DONE

    assert place.asked[0].headers["X-Local-User"] == "audra"
    assert capfdbinary.readouterr().out == b"".join(LINES)


def test_a_refusal_is_1_and_an_outage_3(capsys):
    path = next(iter(WHOLE))
    for status, code in ((403, REFUSED), (503, OUTAGE)):
        with serve({path: (status, {}, b"no")}) as place:
            assert ask(place.url, "--as", "alice") == code

    assert capsys.readouterr().err == "refused: 403: no\noutage: 503: no\n"


def test_the_commands_need_the_standard_library_alone(export):
    """An auditor copies the project and verifies: nothing is installed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ISOLATED, str(PROJECT), export, HEAD],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("whole")


_ISOLATED = """
import sys
sys.path.insert(0, sys.argv[1])
from jit.__main__ import run
sys.exit(run(["audit", "verify", sys.argv[2], "--head", sys.argv[3]], {}))
"""
