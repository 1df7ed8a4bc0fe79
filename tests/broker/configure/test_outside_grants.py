"""Live grants outside a JIT policy that is about to be narrowed: they are made due beforehand."""

from datetime import timedelta

import pytest

from jit.broker.configure.outside_grants import make_outside_due
from jit.domain.errors import StateConflict
from jit.domain.model.grant import Status
from tests.broker.configuring import PORTS
from tests.local.azure.sim import APP01, DB, DB01, policy

HOUR = timedelta(hours=1)


def booked(site, vm_id=DB01, **changes):
    """A grant for SSH that is looked at in an hour."""
    later = site.sim.now + HOUR
    fields = {"status": Status.OPEN, "next_check_at": later, "expires_at": later, **changes}
    return site.grant(vm_id, **fields)


def due(site, request):
    """Return True if the grants of *request* are due."""
    (grant,) = site.requests.load(request.id).grants
    return grant.next_check_at <= site.sim.now


@pytest.mark.parametrize(
    ("fields", "is_due"),
    [
        ({}, True),
        ({"status": Status.OPENING}, True),
        ({"status": Status.PENDING}, False),
        ({"status": Status.CLOSING}, False),
        ({"vm_id": APP01, "port": 3389}, False),
        ({"port": 3389}, False),
    ],
)
def test_grants_outside_are_due_before_the_policy_is_written(site, fields, is_due):
    """If the process dies after the write, the tick finds them."""
    request = booked(site, **fields)
    seen = []

    def look(name, _number):
        if name == "policies.replace":
            seen.append(due(site, request))

    site.azure.calls.before = look
    site.put(DB01, ports=[{**PORTS[0], "number": 3389, "allowedSources": ["203.0.113.0/24"]}])

    assert seen == [is_due]


def test_a_grant_with_more_time_than_the_policy_leaves_is_due(site):
    """Its end comes forward."""
    request = booked(site, expires_at=site.sim.now + 3 * HOUR)

    site.put(DB01, ports=[{**PORTS[0], "allowedSources": ["*"]}])

    assert due(site, request)


def test_a_row_that_keeps_changing_is_left_to_the_comparison(site):
    """An operator is not sent away because a person changes a request just now."""
    request = booked(site)

    def contest(name, _number):
        if name == "state.write":
            raise StateConflict("somebody wrote")

    site.azure.calls.before = contest
    make_outside_due(site.requests, policy(DB), None, now=site.sim.now)

    assert not due(site, request)


def test_a_row_that_somebody_wrote_is_read_again(site):
    """The second try makes it due."""
    request = booked(site)
    tries: list[str] = []

    def contest(name, _number):
        if name == "state.write" and not tries:
            tries.append(name)
            raise StateConflict("somebody wrote")

    site.azure.calls.before = contest
    make_outside_due(site.requests, policy(DB), None, now=site.sim.now)

    assert due(site, request)
