"""Limits of one person: each number has its code, and the wait until it lets a call pass."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.decision.person_limits import find_full_counts, find_full_ports
from jit.domain.decision.verdict import FindingKind
from jit.domain.limits import LIMITS
from jit.domain.model.machine import VmPort
from jit.domain.model.sums.accepted_requests import AcceptedRequests
from tests.builders.bodies import a_draft
from tests.builders.grants import a_grant
from tests.builders.values import NOW

HOUR = timedelta(hours=1)
LIVE = LIMITS.live_requests
FEW = replace(LIMITS, requests_per_day=2)


def accepted(*hours):
    return AcceptedRequests(person="p", times=tuple(NOW - each * HOUR for each in hours))


def told(findings):
    return [(each.violation.code, each.kind, each.wait_seconds) for each in findings]


@pytest.mark.parametrize(("live", "codes"), [(LIVE - 1, []), (LIVE, ["limit-live-requests"])])
def test_one_person_has_so_many_live_requests(live, codes):
    """The number is in the words."""
    found = list(find_full_counts(live, accepted(), now=NOW, limits=LIMITS))

    assert [each.violation.code for each in found] == codes
    assert all("20 live requests" in each.violation.detail for each in found)


def test_one_person_makes_so_many_requests_a_day():
    """The wait ends when the first of them is a day old."""
    limit = ("limit-requests-per-day", FindingKind.LIMIT, 4 * 3600)

    assert told(find_full_counts(0, accepted(23), now=NOW, limits=FEW)) == []
    assert told(find_full_counts(0, accepted(25, 3), now=NOW, limits=FEW)) == []
    assert told(find_full_counts(0, accepted(20, 3), now=NOW, limits=FEW)) == [limit]


def test_a_lower_limit_counts_from_the_last_requests():
    """A setting that was lowered today: the wait is that of the second newest request."""
    (found,) = find_full_counts(0, accepted(23, 22, 5, 1), now=NOW, limits=FEW)

    assert found.wait_seconds == 19 * 3600


def held(*ends, sources=()):
    """Live grants of one person on the port that `a_draft` asks for."""
    access = a_draft().request
    vm_port = VmPort.of(access.machines[0].id, access.machines[0].ports[0].number)
    grants = [
        replace(a_grant(), expires_at=NOW + end * HOUR, sources=tuple(sources)) for end in ends
    ]
    return access, {vm_port: grants}


def test_one_person_has_so_many_live_grants_on_a_port():
    """The wait ends when one of them does."""
    limit = ("limit-live-on-port", FindingKind.LIMIT, 3600)

    for ends, limits in (((1,), []), ((2, 1), [limit]), ((3, 1, 0.5), [limit])):
        access, own = held(*ends)
        assert told(find_full_ports(access, own, now=NOW, limits=LIMITS)) == limits


@pytest.mark.parametrize(
    ("limit", "faults"), [(32, 1), (31, 1), (30, 1), (24, 0)], ids=["1", "2", "4", "256"]
)
def test_the_live_sources_of_a_person_on_a_port_count_together(limit, faults):
    """Otherwise ten requests open a port to ten times as many addresses."""
    access, own = held(1, sources=[ip_network("198.51.100.0/30")])
    limits = replace(LIMITS, widest_source_v4=limit)

    found = list(find_full_ports(access, own, now=NOW, limits=limits))

    assert [each.kind for each in found] == [FindingKind.BODY] * faults


def test_a_port_without_a_live_grant_of_the_person_has_only_the_new_sources():
    """They are judged as the body's own fault."""
    access, _ = held(1)

    assert list(find_full_ports(access, {}, now=NOW, limits=LIMITS)) == []


def test_the_subnet_of_a_bastion_is_not_in_the_sum():
    """The person did not choose it."""
    access, own = held(1, sources=[ip_network("198.51.100.0/24")])
    by_bastion = replace(access, sources=())

    assert list(find_full_ports(by_bastion, own, now=NOW, limits=LIMITS)) == []
