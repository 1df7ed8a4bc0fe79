"""Smaller views: rules that do not concern a port are left out, and every path stays the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.paths.effective import observe_path
from jit.domain.paths.port_views import PortViews
from tests.builders.grants import an_opening
from tests.builders.machines import a_view
from tests.builders.nsgs import an_allow, an_nsg, arm_rule
from tests.builders.values import VM

ports = st.sampled_from(["22", "20-25", "3389", "*"])
places = st.sampled_from([VM, "10.1.1.9", "10.1.1.0/24", "*"])
sources = st.sampled_from(["203.0.113.7", "0.0.0.0/0", "Internet", "192.0.2.1"])
accesses = st.sampled_from(["Allow", "Deny", "Perhaps"])
rules = st.lists(st.tuples(accesses, sources, ports, places), max_size=6)


def names(view):
    """The names of all rules in *view* that are no default rules."""
    return [rule.name for nsg in view.nsgs.values() for rule in nsg.rules if rule.priority < 65000]


@given(rules, st.sampled_from(["22", "3389"]))
def test_a_path_is_the_same_in_the_smaller_view(others, port):
    """The NSG may have any other rules, also unreadable ones."""
    customers = [
        arm_rule(200 + number, access, source=source, port=opened, to=place)
        for number, (access, source, opened, place) in enumerate(others)
    ]
    grant = an_opening(port=int(port))
    view = a_view(an_nsg(an_allow(port=port), *customers))

    assert observe_path(grant, PortViews().narrow_view(view, int(port))) == observe_path(
        grant, view
    )


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"port": "3389"}, False),
        ({"to": "10.1.1.9"}, False),
        ({"to": "10.1.1.0/24"}, True),
        ({"port": "3389", "access": "Perhaps"}, True),
        ({"port": "3389", "provisioningState": "Updating"}, True),
    ],
)
def test_only_a_rule_for_another_port_or_address_is_left_out(changes, kept):
    """A rule that cannot be read, or is being changed, may concern any port."""
    rule = arm_rule(300, name="own", **({"port": "22", "to": VM} | changes))
    view = a_view(an_nsg(an_allow(), rule))

    assert ("own" in names(PortViews().narrow_view(view, 22))) is kept


def test_allow_rules_for_another_port_are_left_out():
    """Defender writes one rule for each port."""
    view = a_view(an_nsg(an_allow(), an_allow(port="3389", number=2)))

    (nsg,) = PortViews().narrow_view(view, 3389).nsgs.values()

    assert [str(rule.destination_ports[0]) for rule in nsg.allows] == ["3389"]
