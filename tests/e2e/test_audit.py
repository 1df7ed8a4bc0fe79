"""The audit trail over HTTP on the whole local stack: read, exported, verified, erased."""

import pytest

from jit.__main__ import run
from tests.e2e.stack_client import farm, wish
from tests.local.azure.sim import DEVELOPMENT

pytestmark = pytest.mark.e2e

ALICE = "a11ce000-0000-4000-8000-000000000001"
REASON = "a reason that nobody else wrote"


def accepted(client, query=""):
    """Return the records of acceptances of this chain."""
    path = f"audit?subscription={DEVELOPMENT}&what=request.accepted{query}"
    found = client.api("GET", path, as_="audra").json["value"]
    return list(found)


def export(client, file, capsys):
    """Export the chain by the command line, and return the head that it prints."""
    url = client.stack.hosts[0].url
    asked = ["audit", "export", "--url", url, "--subscription", DEVELOPMENT, "--as", "audra"]
    assert run([*asked, "--output", str(file)], {}) == 0
    return capsys.readouterr().err.split()[-1]


def test_an_auditor_reads_exports_and_verifies_and_an_operator_erases(client, tmp_path, capsys):
    """By two hosts over real tables; the export from before still verifies, and has the texts."""
    before, after = tmp_path / "before", tmp_path / "after"
    client.ask(wish(farm(1), justification=REASON))
    client.until(lambda: bool(accepted(client)), 3)
    (record,) = accepted(client, "&vm=" + farm(1).rpartition("/")[2])
    head = export(client, before, capsys)
    assert record["texts"]["justification"]["text"] == REASON

    body = {"person": ALICE, "reason": "INC0010002: asked for it"}
    assert client.api("POST", "audit/erasures", body, as_="olga").status == 202
    client.until(lambda: "erased" in accepted(client)[0], 8)
    newest = export(client, after, capsys)

    heads = client.api("GET", "audit/chains", as_="audra").json["value"]
    assert {head["brokenAt"] for head in heads} == {None}
    assert accepted(client)[0]["hash"] == record["hash"]
    assert run(["audit", "verify", str(before), "--head", head], {}) == 0
    assert run(["audit", "verify", str(after), "--head", newest], {}) == 0
    assert "erased" in capsys.readouterr().out
    assert REASON.encode() in before.read_bytes()
    assert REASON.encode() not in after.read_bytes()
