"""Views of a VM for each of its grants show the same paths; many grants cost little more each."""

import sys
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.domain.paths import bastion_paths, companion_paths
from jit.domain.paths.grant_views import GrantViews
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.grants import an_open, an_opening, through_firewall
from tests.builders.machines import behind
from tests.builders.nsgs import an_allow, an_nsg, arm_companion, arm_rule
from tests.sizes import examples

SOURCES = ("203.0.113.7", "203.0.113.0/28", "198.51.100.20", "*")
NAMES = ("g1", "g2", "g3")


@st.composite
def crowds(draw):
    """Grants of one VM port behind a firewall, and a VM with any of their rules and companions."""
    owners = draw(st.lists(st.sampled_from(NAMES), unique=True))
    places = draw(st.permutations(range(300, 303)))
    companions = [
        arm_companion(name, priority=place) for name, place in zip(owners, places, strict=False)
    ]
    texts = draw(st.lists(st.sampled_from(SOURCES), min_size=1, max_size=3, unique=True))
    denies = [arm_rule(301 + draw(st.integers(0, 2)), "Deny", name="deny")][
        : draw(st.integers(0, 1))
    ]
    jump = [a_customers(a_nat("*", mapped=22))][: draw(st.integers(0, 1))]
    settled = draw(st.booleans())
    nsg = an_nsg(*companions, *denies, an_allow(*texts), settled=settled)
    view = behind(a_firewall(a_nat(*texts), others=jump), nsg)
    makers = st.sampled_from([an_open, an_opening])
    return view, [
        through_firewall(draw(makers)(name, sources=(ip_network(SOURCES[place]),)))
        for place, name in enumerate(NAMES)
    ]


@settings(max_examples=examples(30, 300))
@given(crowds(), st.booleans())
def test_the_paths_of_many_grants_are_those_of_each_alone(crowd, knows):
    """Shared work changes no answer: each path is looked at in the whole view here."""
    view, grants = crowd
    asked = frozenset(grants[0].sources + grants[2].sources) if knows else None

    assert bastion_paths.observe_paths(grants, view, asked) == {
        grant.id: companion_paths.observe_path(grant, view, asked) for grant in grants
    }


def test_a_view_for_a_grant_has_its_companions_and_the_rules_of_others_that_are_none():
    """In the order of the NSG."""
    nsg = an_nsg(arm_companion("g1", priority=300), arm_companion("g2", priority=301), an_allow())
    view = behind(a_firewall(), nsg)

    (own,) = GrantViews(view).narrow_view(an_open("g2")).nsgs.values()
    (bare,) = GrantViews(view).narrow_view(an_open("g3")).nsgs.values()

    assert own == replace(nsg, rules=tuple(rule for rule in nsg.rules if "g1" not in rule.name))
    assert [rule.name for rule in bare.rules] == [
        rule.name for rule in nsg.rules if "jit-broker" not in rule.name
    ]


def _count_calls(size):
    """The calls of functions by which the paths of that many grants with a source each are seen."""
    texts = [f"198.18.{number // 250}.{number % 250 + 1}" for number in range(size)]
    names = [f"g{number}" for number in range(size)]
    companions = [arm_companion(name, priority=200 + place) for place, name in enumerate(names)]
    nsg = an_nsg(*companions, an_allow(*texts, priority=4000))
    view = behind(a_firewall(a_nat(*texts)), nsg)
    grants = [
        through_firewall(an_open(name, sources=(ip_network(text),)))
        for name, text in zip(names, texts, strict=True)
    ]
    calls = 0

    def count(_frame, event, _arg):
        nonlocal calls
        calls += event == "call"

    asked = frozenset(map(ip_network, texts))
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = bastion_paths.observe_paths(grants, view, asked)
    finally:
        sys.setprofile(before)
    assert {path.state.value for path in found.values()} == {"open"}
    return calls


@pytest.mark.parametrize("size", [24])
def test_the_work_for_many_grants_on_one_port_grows_as_their_number(size):
    """Each grant asks about the same rules; they are read once."""
    few, many = _count_calls(size), _count_calls(4 * size)

    assert many < 5 * few
