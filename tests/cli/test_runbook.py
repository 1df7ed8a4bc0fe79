"""The runbook that verifies the audit trail: its commands run as they are printed."""

import re
import shlex

import pytest

from jit.__main__ import run
from jit.storage import keys
from tests.api_calls import Api
from tests.broker.inprocess import BOB
from tests.cli.served import serve
from tests.test_docs import section

RUNBOOK = section("docs/operations.md", "### Verify the audit trail")
(BLOCK,) = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.DOTALL | re.MULTILINE)
KINDS = re.findall(r"^\| `([a-z ]+)` \|", RUNBOOK, re.MULTILINE)


@pytest.fixture
def answer(monkeypatch):
    """The export of a chain of a broker in this process."""
    api = Api(monkeypatch)
    for reason in ("on leave of absence", "the laptop was stolen"):
        api.call("PUT", f"barred/{BOB.id}", {"reason": reason}, user="olga")
    api.reconciling.drainer.drain(keys.PEOPLE, now=api.broker.now)
    return api.call("GET", "audit/chains/people", user="audra")


def do(line, variables):
    """Run a command of the page in this process; return its exit code."""
    words = shlex.split(re.sub(r"\$(\w+)", lambda found: variables[found[1]], line))
    assert words[:3] == ["python", "-m", "jit"]
    return run(words[3:], {"TOKEN": "secret"})


def test_the_runbook_exports_a_chain_and_verifies_it(answer, tmp_path, monkeypatch, capsys):
    """With the head that the broker names; an edit of the file is found."""
    monkeypatch.chdir(tmp_path)
    headers = {name: answer.headers[name] for name in ("Jit-Audit-Head",)}
    export, verify = BLOCK.splitlines()
    with serve({"/api/audit/chains/people?after=0": (200, headers, answer.body)}) as place:
        variables = {"URL": place.url, "HEAD": headers["Jit-Audit-Head"]}
        assert do(export, variables) == 0

    assert do(verify, variables) == 0
    file = tmp_path / "people.chain"
    file.write_bytes(file.read_bytes().replace(b"stolen", b"broken"))
    assert do(verify, variables) == 1
    assert "broken: edit at record 2, line 2" in capsys.readouterr().out


def test_the_runbook_explains_each_kind_of_break():
    from jit.domain.audit.verification import BreakKind

    assert sorted(KINDS) == sorted(BreakKind)
