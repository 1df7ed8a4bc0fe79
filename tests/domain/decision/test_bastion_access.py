"""Access by a Bastion: its sources, and every reason to refuse it."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from jit.domain.decision.bastion_access import (
    check_bastion,
    check_bastion_port,
    find_bastion,
    is_stopped_by,
    join_sources,
    list_bastion_sources,
)
from jit.domain.decision.jit_policy import decide
from jit.domain.decision.verdict import FindingKind
from jit.domain.limits import LIMITS
from jit.domain.model.machine import Obstacle, Occupation, Via
from tests.builders.bastions import a_bastion
from tests.builders.bodies import a_draft
from tests.builders.machines import a_rule, a_vm, inventory
from tests.builders.values import BASTION_NET, HERE, HOUR, NOW

NET, OTHER = ip_network(BASTION_NET), "10.1.3.0/26"
ONLY = a_draft(sources=None, via="bastion")
BOTH = a_draft(via="bastion")


def reached(*bastions, **changes):
    """A VM that those Bastions reach; one, if none is named."""
    return a_vm(bastions=bastions or (a_bastion(),), **changes)


def refused(wish, machine, limits=LIMITS):
    """Kind, pointer and code of each finding."""
    return [
        (each.kind, each.violation.pointer, each.violation.code)
        for each in decide(wish, inventory(machine), now=NOW, limits=limits)
    ]


# ---- sources -----------------------------------------------------------------------------------


def test_people_come_by_the_first_bastion_with_a_known_subnet():
    """The own network's stands first; the SKU Developer has no subnet."""
    assert find_bastion(reached(a_bastion(prefixes=()), a_bastion(OTHER))) == a_bastion(OTHER)


@pytest.mark.parametrize("bastions", [None, (), (a_bastion(prefixes=()),)])
def test_without_a_known_subnet_there_is_no_bastion(bastions):
    """A source is never guessed."""
    assert find_bastion(a_vm(bastions=bastions)) is None


@pytest.mark.parametrize(
    ("wish", "sources"),
    [
        (ONLY, [BASTION_NET, OTHER]),
        (BOTH, [f"{HERE}/32", BASTION_NET, OTHER]),
        (a_draft(), [f"{HERE}/32"]),
        (a_draft(via="bastion", sources=["10.1.2.5"]), [BASTION_NET, OTHER]),
        (a_draft(via="bastion", sources=["10.1.2.0/24"]), ["10.1.2.0/24", OTHER]),
    ],
)
def test_the_sources_are_those_named_and_all_prefixes_of_the_bastion(wish, sources):
    """None is inside another one: Azure refuses a rule with such prefixes."""
    machine = reached(a_bastion(BASTION_NET, OTHER))

    assert [str(each) for each in join_sources(wish, machine)] == sources


def test_the_pointer_of_a_bastions_source_is_the_field_that_asks_for_it():
    """The caller did not write the prefix."""
    assert list(list_bastion_sources(ONLY, reached())) == [("#/via", NET)]
    assert list(list_bastion_sources(a_draft(), reached())) == []


# ---- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("via", list(Via))
@pytest.mark.parametrize("wish", [ONLY, a_draft()])
def test_a_bastion_is_allowed_whichever_way_others_take(via, wish):
    """Its subnet is neither public nor the caller's, and it is a source."""
    machine = reached(via=via)
    own = [] if wish is ONLY or via is not Via.PRIVATE else [("policy", "source-not-private")]

    assert [(kind, code) for kind, _, code in refused(wish, machine)] == own


@pytest.mark.parametrize(
    ("machine", "code", "words"),
    [
        (a_vm(), "bastion-not-known", "could not be read"),
        (a_vm(bastions=()), "no-bastion", "an operator can deploy a Bastion"),
        (reached(a_bastion(prefixes=())), "bastion-not-known", "the SKU Developer has none"),
    ],
)
def test_a_bastion_that_is_not_known_is_refused_with_the_next_step(machine, code, words):
    """Unread is not the same as absent, and neither is allowed."""
    (finding,) = check_bastion(ONLY, machine, LIMITS)

    assert (finding.violation.pointer, finding.violation.code) == ("#/via", code)
    assert words in finding.violation.detail
    assert "name sources" in finding.violation.detail


def test_without_the_wish_for_a_bastion_nothing_is_checked():
    """Most requests name sources."""
    assert list(check_bastion(a_draft(), a_vm(), LIMITS)) == []


def test_a_bastions_subnet_is_not_wider_than_any_other_source():
    """The operator's limit holds for it as well."""
    limits = replace(LIMITS, widest_source_v4=28)

    assert refused(ONLY, reached(), limits) == [("policy", "#/via", "source-too-wide")]
    assert refused(ONLY, reached(), replace(LIMITS, widest_source_v4=26)) == []


def test_a_policy_that_allows_other_sources_only_refuses_the_bastion():
    """The sentence says who can change that."""
    machine = reached(ports=(a_rule(allowed_sources=("203.0.113.0/24", "Internet")),))
    (finding,) = decide(ONLY, inventory(machine), now=NOW)

    assert (finding.violation.pointer, finding.violation.code) == ("#/via", "source-not-allowed")
    assert "an operator can add the Bastion's subnet to it" in finding.violation.detail


def test_an_ipv6_source_cannot_be_asked_for_beside_a_bastion():
    """No rule has both, and a Bastion connects by IPv4."""
    machine = reached(ports=(a_rule(allowed_sources=("*", "2a02::/32")),))
    wish = a_draft(via="bastion", sources=["2a02::1"])

    assert refused(wish, machine) == [("body", "#/sources/0", "source-families")]


@pytest.mark.parametrize(
    ("asked", "protocol", "codes"),
    [(None, "UDP", ["bastion-needs-tcp"]), ("UDP", "*", ["bastion-needs-tcp"]), (None, "*", [])],
)
def test_a_bastion_connects_by_tcp_only(asked, protocol, codes):
    """A grant for UDP would open, and nobody could come."""
    (port,) = a_draft().machines[0].ports
    found = check_bastion_port(ONLY, replace(port, protocol=asked), protocol, "port 22")

    assert [each.violation.code for each in found] == codes
    assert list(check_bastion_port(a_draft(), port, "UDP", "port 22")) == []


@pytest.mark.parametrize("code", ["nat-rule-blocks", "nsg-rule-blocks", "admin-rule-blocks"])
def test_an_obstacle_to_the_firewall_stops_only_those_who_come_through_it(code):
    """A Bastion reaches the VM itself, and needs no companion rule."""
    obstacle = Obstacle(port=22, code=code, detail="a rule stops the firewall")
    machine = reached(via=Via.FIREWALL, obstacles=(obstacle,))

    assert refused(ONLY, machine) == []
    assert [found for *_, found in refused(BOTH, machine)] == [code]
    assert is_stopped_by(replace(obstacle, code="another"), ONLY)


def test_an_obstacle_to_the_bastions_subnet_stops_those_who_come_by_it():
    """The NSG that Defender does not write into must let the subnet in."""
    stopped = (ip_network(BASTION_NET),)
    obstacle = Obstacle(port=22, code="nsg-rule-blocks", detail="it stops it", sources=stopped)

    assert refused(ONLY, reached(obstacles=(obstacle,))) == [
        (FindingKind.POLICY, "#/via", "nsg-rule-blocks")
    ]


def test_a_foreign_request_for_the_bastions_subnet_occupies_nothing():
    """Equal sources join."""
    theirs = Occupation(port=22, sources=(BASTION_NET,), ends_at=NOW + HOUR)

    assert refused(ONLY, reached(occupations=(theirs,))) == []
    assert [code for *_, code in refused(BOTH, reached(occupations=(theirs,)))] == ["occupied"]
