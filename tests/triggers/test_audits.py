"""Functions of the audit trail, over a whole broker in this process."""

import pytest

from jit.domain.audit.verification import parse_anchor, verify_lines
from tests.api_calls import Api
from tests.broker.inprocess import farm, wish
from tests.local.azure.sim import DEVELOPMENT


@pytest.fixture
def api(monkeypatch):
    """An API with the trail of one request, and of one denial."""
    api = Api(monkeypatch)
    api.call("POST", "access-requests", wish(farm(1)))
    api.call("POST", "access-requests", wish(farm(1), 23))
    api.reconciling.reconciler.drain(DEVELOPMENT, now=api.broker.now)
    return api


def test_an_auditor_reads_names_beside_object_ids(api):
    shown = api.call("GET", "audit", user="audra").doc["value"]

    assert [each["event"]["what"] for each in shown] == ["request.denied", "request.accepted"]
    assert {each["texts"]["actorName"]["text"] for each in shown} == {"alice@example.com"}


def test_a_page_goes_on_by_its_token(api, monkeypatch):
    monkeypatch.setattr("jit.broker.auditing.record_pages.PAGE", 1)

    first = api.call("GET", "audit", user="audra").doc
    second = api.call("GET", f"audit?continuationToken={first['continuationToken']}", user="audra")

    assert [each["event"]["what"] for each in second.doc["value"]] == ["request.accepted"]


def test_records_are_found_by_name_person_and_vm(api):
    found = api.call("GET", "audit?what=request.accepted&person=alice@example.com", user="audra")
    other = api.call("GET", "audit?vm=web99", user="audra")

    assert [each["event"]["what"] for each in found.doc["value"]] == ["request.accepted"]
    assert other.doc["value"] == []


def test_an_export_is_verified_against_its_head(api):
    answer = api.call("GET", f"audit/chains/{DEVELOPMENT}", user="audra")

    head = parse_anchor(answer.headers["Jit-Audit-Head"])
    verdict = verify_lines(answer.body.splitlines(keepends=True), known=head)
    assert (verdict.broken, verdict.records) == (None, 2)


@pytest.mark.parametrize("user", ["alice", "olga", "bob"])
@pytest.mark.parametrize("path", ["audit", "audit/chains", f"audit/chains/{DEVELOPMENT}"])
def test_only_an_auditor_reads_the_trail(api, user, path):
    """It has the names, reasons and tickets of everybody."""
    assert api.call("GET", path, user=user).status == 403


def test_a_chain_that_cannot_be_is_not_found(api):
    assert api.call("GET", "audit/chains/x", user="audra").status == 404
