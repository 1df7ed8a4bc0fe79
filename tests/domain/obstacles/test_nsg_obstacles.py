"""Rules in NSGs that stop packets whatever a grant adds."""

from ipaddress import ip_network

import pytest

from jit.domain.model.machine import Via
from jit.domain.obstacles.nsg_obstacles import find_first_free, find_nsg_obstacles
from jit.domain.values import arm_ids
from tests.builders.firewalls import a_firewall
from tests.builders.machines import a_nic, a_rule, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_companion, arm_rule, rules_of, the_deny
from tests.builders.values import BEHIND, NSG_ID, OTHER_NSG_ID, VM

OFFICE = "198.51.100.0/24"
SSH = a_rule(22, allowed_sources=("203.0.113.0/24", OFFICE))
FIRST = arm_rule(100, "Deny", name="deny-ssh", source=OFFICE, port="22")
BOTH = (a_nic(nsg_ids=(NSG_ID, OTHER_NSG_ID)),)


def stopped(*nsgs, **changes):
    """The sources that are stopped on their way to port 22."""
    view = a_view(*nsgs, **{"ports": (SSH,), **changes})
    return [[str(source) for source in each.sources] for each in find_nsg_obstacles(view)]


def beside(*rules, deny=False):
    """The other NSG of the interface; Defender's deny rule is not in it."""
    return an_nsg(*rules, nsg_id=OTHER_NSG_ID, deny=deny)


# ---- in front of Defender's rule -----------------------------------------------------------------


def test_a_deny_rule_in_front_of_every_free_priority_stops_its_sources():
    """Defender takes numbers from 100 up, so its rule can never decide first."""
    assert stopped(an_nsg(FIRST)) == [[OFFICE]]


@pytest.mark.parametrize(
    "rules",
    [
        [arm_rule(101, "Deny", source=OFFICE)],
        [arm_rule(100), arm_rule(102, "Deny", source=OFFICE)],
        [arm_rule(100, direction="Outbound"), arm_rule(101, "Deny", source=OFFICE)],
        [an_allow(priority=100), arm_rule(101, "Deny", source=OFFICE)],
        [arm_companion(priority=100), arm_rule(101, "Deny", source=OFFICE)],
        [the_deny("22", priority=100)],
        [arm_rule(100, "Deny", source=OFFICE, port="3389")],
        [arm_rule(100, "Deny", source=OFFICE, protocol="Icmp")],
        [arm_rule(100, "Deny", source="192.0.2.0/24")],
    ],
)
def test_a_rule_with_a_free_priority_before_it_or_for_others_stops_nobody(rules):
    """Rules of grants are gone when the next one comes, and Defender moves its own."""
    assert stopped(an_nsg(*rules)) == []


def test_a_deny_rule_behind_a_row_of_taken_priorities_is_in_front_too():
    """A source that an earlier rule allows is let in."""
    row = [arm_rule(100, source="198.51.100.128/25"), arm_rule(101, "Deny", source=OFFICE)]

    assert stopped(an_nsg(*row)) == [["198.51.100.0/25"]]


@pytest.mark.parametrize(
    "nsg",
    [
        an_nsg(FIRST, settled=False),
        an_nsg(arm_rule(100, "Deny", source="AzureCloud")),
        an_nsg(arm_rule(100, "Deny", source=OFFICE, provisioningState="Updating")),
    ],
)
def test_a_doubt_is_no_obstacle(nsg):
    """The grant is accepted, and its path is looked at."""
    assert stopped(nsg) == []


def test_an_nsg_that_was_not_read_is_no_obstacle():
    """The other one may say anything."""
    assert stopped(an_nsg(FIRST), interfaces=BOTH) == []


def test_the_obstacle_says_what_to_do():
    """To the person who is refused."""
    (obstacle,) = find_nsg_obstacles(a_view(an_nsg(FIRST), ports=(SSH,)))

    assert (obstacle.port, obstacle.code, obstacle.until) == (22, "nsg-rule-blocks", None)
    assert "rule deny-ssh of NSG nsg-web (priority 100) stops the packets" in obstacle.detail
    assert "ask the owner of the NSG" in obstacle.detail


def test_the_first_free_priority_is_that_of_the_whole_nsg():
    """Rules for other VMs take numbers too."""
    rules = rules_of(arm_rule(100), arm_rule(101, to="10.9.9.9"), an_allow(priority=102))

    assert (find_first_free(rules), find_first_free(rules_of())) == (102, 100)


def test_a_view_of_a_few_rules_takes_the_first_free_priority_from_its_caller():
    """A comparison shows a VM only the rules that may concern it."""
    view = a_view(an_nsg(arm_rule(101, "Deny", source=OFFICE)), ports=(SSH,))

    assert find_nsg_obstacles(view) == ()
    assert len(find_nsg_obstacles(view, {arm_ids.key(NSG_ID): 102})) == 1


# ---- the other NSG -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "sources"),
    [
        ([], [["203.0.113.0/24", OFFICE]]),
        ([arm_rule(300, source=OFFICE, port="22")], [["203.0.113.0/24"]]),
        ([arm_rule(300, source="*", port="20-25")], []),
    ],
)
def test_an_nsg_that_defender_does_not_write_into_must_let_the_sources_in_itself(rules, sources):
    """Both NSGs of an interface apply, and the allow rule is in one of them."""
    found = [sorted(each) for each in stopped(an_nsg(), beside(*rules), interfaces=BOTH)]

    assert found == [sorted(each) for each in sources]


@pytest.mark.parametrize("deny", [True, False])
def test_without_knowing_where_defender_writes_only_rules_in_front_count(deny):
    """Its deny rule is in both NSGs, or in none."""
    first = an_nsg(deny=deny)

    assert stopped(first, beside(deny=deny), interfaces=BOTH) == []
    assert stopped(first, beside(FIRST, deny=deny), interfaces=BOTH) == [[OFFICE]]


def test_the_other_nsg_lets_in_the_virtual_network_by_default():
    """And packets from elsewhere in private networks are a doubt."""
    private = {"via": Via.PRIVATE, "ports": (a_rule(22, allowed_sources=("10.0.0.0/8",)),)}

    assert stopped(an_nsg(), beside(), interfaces=BOTH, **private) == []


# ---- several addresses, firewalls ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "sources"),
    [
        ([], []),
        ([FIRST], [[OFFICE]]),
        ([arm_rule(100, "Deny", source="198.51.100.0/25")], [["198.51.100.0/25"]]),
    ],
)
def test_a_source_is_stopped_only_if_it_is_at_every_address(second, sources):
    """A grant is open if one address works; of parts, the common one is stopped."""
    other = a_nic("second", private_ip="10.1.0.5", nsg_ids=(OTHER_NSG_ID,), primary=False)

    assert stopped(an_nsg(FIRST), beside(*second), interfaces=(a_nic(), other)) == sources


def test_behind_a_firewall_what_stops_its_addresses_stops_everybody():
    """Companions are added before every rule that has a free priority before it."""
    deny = arm_rule(100, "Deny", source=BEHIND, port="22")
    beside_it = beside(arm_rule(4000, "Deny", source=BEHIND))
    nics = {"interfaces": BOTH, "ports": (a_rule(22),)}

    (found,) = find_nsg_obstacles(behind(a_firewall(), an_nsg(deny), beside_it, **nics))

    assert (found.port, found.sources) == (22, ())
    assert find_nsg_obstacles(behind(a_firewall(), an_nsg(), beside_it, **nics)) == ()


def test_a_policy_for_any_source_is_refused_public_sources_only_on_a_public_path():
    """The private ones are refused for another reason."""
    every = arm_rule(100, "Deny", source="*", port="22", to=VM)
    (sources,) = stopped(an_nsg(every), ports=(a_rule(22),))

    assert "11.0.0.0/8" in sources
    assert not any(ip_network(text).overlaps(ip_network("10.0.0.0/8")) for text in sources)
