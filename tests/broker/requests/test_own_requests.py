"""The caller's own live requests for a VM port: a refusal names them."""

from jit.broker.requests.own_requests import OwnRequests
from tests.broker.inprocess import ALICE, DAVE, farm, wish


def test_the_own_request_among_grants_is_found(broker):
    """Other people on the port are not named."""
    theirs, own = broker.accept(wish(farm(1)), DAVE), broker.accept(wish(farm(1)), ALICE)
    found = OwnRequests(broker.requests, ALICE)

    assert found.find([*theirs.grants, *own.grants]) == own.request.id
    assert found.find(theirs.grants) is None
    assert found.find([]) is None


def test_a_sentence_names_the_own_request_if_there_is_one(broker):
    """Otherwise it stays as it is."""
    own = broker.accept(wish(farm(1)), ALICE)
    found, other = OwnRequests(broker.requests, ALICE), OwnRequests(broker.requests, DAVE)

    assert found.name_in("no", own.grants) == f"no; your own request {own.request.id} has it"
    assert other.name_in("no", own.grants) == "no"


def test_the_own_requests_are_read_once(broker):
    """A crowded port, or many occupied ones, cost one query."""
    crowd = [broker.accept(wish(farm(1), justification=f"for {n:05}"), DAVE) for n in range(5)]
    own = broker.accept(wish(farm(1)), ALICE)
    grants = [grant for whole in (*crowd, own) for grant in whole.grants]
    before = broker.calls.count("state.")

    found = OwnRequests(broker.requests, ALICE)

    assert [found.find(grants), found.find(own.grants)] == [own.request.id] * 2
    assert broker.calls.count("state.") - before == 1
