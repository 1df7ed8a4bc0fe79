"""The stored form of an accepted request."""

from dataclasses import replace
from datetime import timedelta

from tests.broker.inprocess import ALICE, farm, wish


def test_a_request_has_what_was_asked_for_and_by_whom(broker):
    """Each JIT policy once, although two VMs are in it; no role of the person, which may change."""
    body = wish((farm(1), farm(2)), duration="PT2H", ticket={"system": "jira", "id": "OPS-1"})

    request = broker.accept(body, ALICE).request

    assert (request.requester, request.created_at) == (
        replace(ALICE, roles=frozenset()),
        broker.now,
    )
    assert (request.duration, len(request.policies)) == (timedelta(hours=2), 1)
    assert (request.ticket.system, request.ticket.id) == ("jira", "OPS-1")
    assert (request.decision.allowed, request.decision.rule) == (True, "jit-policy")


def test_the_event_of_an_acceptance_names_each_vm_and_its_ports(broker):
    broker.accept(wish((farm(1), farm(2))))

    documents = [str(row.values["Doc"]) for row in broker.state.rows("a|")]
    (accepted,) = (doc for doc in documents if "request.accepted" in doc)
    assert farm(1).rsplit("/", 1)[1] in accepted
    assert farm(2).rsplit("/", 1)[1] in accepted
