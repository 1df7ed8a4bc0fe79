"""Narrowing: a change of a JIT policy that allows nothing that was not allowed before."""

import pytest

from jit.domain.policy_setup.narrowing import is_narrowing
from tests.builders.values import POLICY_ID, vm_id


def a_port(number=22, *, protocol="TCP", sources=("10.0.0.0/8",), most="PT3H"):
    """One port of a policy as Azure writes it."""
    return {
        "number": number,
        "protocol": protocol,
        "allowedSourceAddressPrefixes": list(sources),
        "maxRequestAccessDuration": most,
    }


def a_policy(*ports, **others):
    """A policy with these ports for one VM, and with the ports of others by name."""
    machines = {"web01": ports, **others}
    entries = [{"id": vm_id(name), "ports": list(has)} for name, has in machines.items()]
    return {"id": POLICY_ID, "properties": {"virtualMachines": entries}}


BEFORE = a_policy(a_port(), a_port(3389, protocol="*", sources=["*", "2001:db8::/32"]))


@pytest.mark.parametrize(
    "after",
    [
        None,
        BEFORE,
        a_policy(a_port()),
        a_policy(a_port(sources=["10.1.0.0/16"])),
        a_policy(a_port(sources=["10.1.0.0/16", "10.2.0.1"])),
        a_policy(a_port(most="PT1H")),
        a_policy(a_port(3389, protocol="TCP", sources=["203.0.113.0/24"])),
        a_policy(a_port(3389, protocol="*", sources=["*"])),
        a_policy(a_port(3389, protocol="UDP", sources=["2001:db8:1::/48"])),
        {"properties": {"virtualMachines": []}},
    ],
)
def test_fewer_vms_ports_sources_protocols_or_hours_are_a_narrowing(after):
    """And so is no change at all, and no policy at all."""
    assert is_narrowing(BEFORE, after)


@pytest.mark.parametrize(
    "after",
    [
        a_policy(a_port(), web02=[a_port()]),
        a_policy(a_port(), a_port(5985)),
        a_policy(a_port(2222)),
        a_policy(a_port(sources=["*"])),
        a_policy(a_port(sources=["10.0.0.0/8", "192.168.0.0/16"])),
        a_policy(a_port(sources=["8.0.0.0/6"])),
        a_policy(a_port(protocol="UDP")),
        a_policy(a_port(protocol="*")),
        a_policy(a_port(most="PT3H1M")),
        a_policy(a_port(sources=["2001:db8::/32"])),
        a_policy(a_port(sources=["VirtualNetwork"])),
        a_policy(web02=[a_port()]),
    ],
)
def test_one_thing_more_is_no_narrowing(after):
    """Also if the rest is narrower: a port that moves is one port more."""
    assert not is_narrowing(BEFORE, after)


def test_a_policy_that_does_not_exist_yet_is_not_narrowed():
    """It allows nothing."""
    assert not is_narrowing(None, BEFORE)


@pytest.mark.parametrize(
    ("before", "is_narrower"),
    [
        ([a_port(sources=["Internet"])], False),
        ([a_port(sources=["*"])], True),
        ([a_port(most="soon")], False),
        ([a_port(), a_port(sources=["192.168.0.0/16"])], False),
        ([a_port(sources=["10.0.0.0/8", "somewhere"])], True),
    ],
)
def test_a_part_that_is_not_understood_allowed_nothing(before, is_narrower):
    """Two rules for one port allow only the access that both allow."""
    assert is_narrowing(a_policy(*before), a_policy(a_port())) is is_narrower


def test_a_source_of_the_internet_is_narrower_than_the_tag():
    """The tag contains each public address."""
    before = a_policy(a_port(sources=["Internet"]))

    assert is_narrowing(before, a_policy(a_port(sources=["203.0.113.0/24"])))
