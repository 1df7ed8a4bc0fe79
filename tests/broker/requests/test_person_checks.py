"""Checks of the people of an open request, before it may last longer."""

from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, CannotTell, Unavailable
from jit.settings import RequesterRbac
from tests.broker.inprocess import ALICE, farm, wish

TWO_HOURS = timedelta(hours=2)


@pytest.fixture
def open_request(broker):
    request_id = broker.ask(wish(farm(1)))
    broker.live(5)
    return request_id


def codes(error):
    return {each.code for each in error.value.violations}


def test_an_extension_needs_the_rights(broker, open_request):
    """The path stays until its end: only new and longer access asks for them."""
    broker.authorization.people[ALICE.id] = []
    end = broker.grant(open_request).expires_at

    with pytest.raises(AccessDenied) as error:
        broker.extend(open_request, TWO_HOURS)

    assert codes(error) == {"rbac-missing-action"}
    assert (broker.status(open_request), broker.grant(open_request).expires_at) == ("open", end)


def test_a_bar_is_named_before_the_rights(broker, open_request):
    broker.authorization.people[ALICE.id] = []
    broker.bar(ALICE)

    with pytest.raises(AccessDenied) as error:
        broker.extend(open_request, TWO_HOURS)

    assert [each.code for each in error.value.violations][:2] == ["barred", "rbac-missing-action"]


def test_an_extension_is_not_given_while_nobody_can_tell(broker, open_request, monkeypatch):
    def fail(path, api_version, chosen=""):
        raise Unavailable("no answer")

    monkeypatch.setattr(broker.authorization, "list", fail)

    with pytest.raises(CannotTell):
        broker.extend(open_request, TWO_HOURS)


def test_an_extension_asks_for_no_rights_if_they_do_not_count(broker, open_request):
    broker.authorization.people[ALICE.id] = []
    broker.name(*broker.subscriptions, requester_rbac=RequesterRbac.OFF)

    assert broker.extend(open_request, TWO_HOURS).changed
