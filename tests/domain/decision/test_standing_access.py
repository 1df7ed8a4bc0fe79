"""Decision about access that stands: does its JIT policy still allow it?"""

from datetime import timedelta
from ipaddress import ip_network

import pytest

from jit.domain.decision.standing_access import find_denials, find_earlier_end
from jit.domain.model.machine import PolicyFault, PolicyField, Via
from jit.domain.model.policy_entry import PolicyEntry
from tests.builders.grants import an_open
from tests.builders.machines import a_rule
from tests.builders.values import HOUR, NOW

V6 = ip_network("2001:db8::7/128")
MACHINE, SOURCES = "#/virtualMachines/0", "#/sources"


def an_entry(*rules, faults=()):
    """The entry of a VM; each fault is its port and its field."""
    found = [PolicyFault(port=port, field=field, detail="odd") for port, field in faults]
    return PolicyEntry(ports=rules, faults=tuple(found))


def a_standing(**changes):
    """An open grant of two hours for SSH."""
    return an_open("request-0-22", request_id="request", **changes)


def denied(entry, grant=None):
    """The pointers and codes of the reasons."""
    return [(each.pointer, each.code) for each in find_denials(grant or a_standing(), entry)]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (an_entry(a_rule()), []),
        (an_entry(a_rule(protocol="*")), []),
        (an_entry(a_rule(allowed_sources=("203.0.113.0/24",))), []),
        (an_entry(a_rule(allowed_sources=("Internet",))), []),
        (None, [(f"{MACHINE}/id", "no-jit-policy")]),
        (an_entry(), [(MACHINE, "port-not-in-policy")]),
        (an_entry(a_rule(3389)), [(MACHINE, "port-not-in-policy")]),
        (an_entry(a_rule(protocol="UDP")), [(MACHINE, "protocol-not-in-policy")]),
        (an_entry(a_rule(allowed_sources=("10.0.0.0/8",))), [(SOURCES, "source-not-allowed")]),
    ],
)
def test_access_that_its_policy_no_longer_allows_is_denied(entry, found):
    """Its VM, its port, its protocol, its source: each may have left the policy."""
    assert denied(entry) == found


def test_one_source_outside_is_enough():
    """A grant is open to all its sources, or it is not open."""
    grant = a_standing(sources=(*a_standing().sources, ip_network("198.51.100.9/32")))
    entry = an_entry(a_rule(allowed_sources=("203.0.113.0/24",)))
    (found,) = find_denials(grant, entry)

    assert found.detail == (
        "198.51.100.9/32 may no longer reach port 22 of web01, which allows 203.0.113.0/24"
    )


@pytest.mark.parametrize(
    ("sources", "via", "found"),
    [
        (("*", "2001:db8::/32"), Via.PUBLIC_IP, []),
        (("*",), Via.PUBLIC_IP, [(SOURCES, "source-not-allowed")]),
    ],
)
def test_an_asterisk_alone_no_longer_allows_ipv6(sources, via, found):
    """As when it is asked for."""
    grant = a_standing(sources=(V6,), via=via)

    assert denied(an_entry(a_rule(allowed_sources=sources)), grant) == found


@pytest.mark.parametrize(
    "entry",
    [
        an_entry(a_rule(3389), faults=[(None, PolicyField.ENTRIES)]),
        an_entry(faults=[(None, PolicyField.PORTS)]),
        an_entry(faults=[(None, PolicyField.NUMBER)]),
        an_entry(a_rule(protocol="UDP"), faults=[(22, PolicyField.NUMBER)]),
        an_entry(a_rule(protocol="ICMP"), faults=[(22, PolicyField.PROTOCOL)]),
        an_entry(a_rule(allowed_sources=("?",)), faults=[(22, PolicyField.SOURCE)]),
        an_entry(a_rule(allowed_sources=("?",)), faults=[(22, PolicyField.SOURCES)]),
    ],
)
def test_a_part_that_is_not_understood_ends_nothing(entry):
    """It allows no new access; nobody can tell if it still allows the access that stands."""
    assert denied(entry) == []


@pytest.mark.parametrize(
    ("most", "end"),
    [
        (3 * HOUR, None),
        (2 * HOUR, None),
        (2 * HOUR - timedelta(seconds=30), None),
        (HOUR, NOW + HOUR),
        (HOUR + timedelta(microseconds=1), NOW + HOUR),
    ],
)
def test_nobody_keeps_access_for_longer_than_the_policy_gives_from_now_on(most, end):
    """An end that is not later than that stays: its length was allowed when it was decided."""
    entry = an_entry(a_rule(max_duration=most))

    assert find_earlier_end(a_standing(), entry, now=NOW) == end


@pytest.mark.parametrize(
    ("grant", "entry"),
    [
        (a_standing(), None),
        (a_standing(), an_entry()),
        (a_standing(expires_at=None), an_entry(a_rule(max_duration=HOUR))),
        (
            a_standing(),
            an_entry(a_rule(max_duration=0 * HOUR), faults=[(22, PolicyField.DURATION)]),
        ),
        (a_standing(), an_entry(a_rule(max_duration=HOUR), faults=[(22, PolicyField.NUMBER)])),
        (a_standing(), an_entry(a_rule(max_duration=HOUR), faults=[(None, PolicyField.ENTRIES)])),
    ],
)
def test_an_end_stays_if_the_policy_says_nothing_clear_about_it(grant, entry):
    """A grant without an end gets one when it is admitted, by the policy of then."""
    assert find_earlier_end(grant, entry, now=NOW) is None
