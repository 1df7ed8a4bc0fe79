"""Observed paths: which rules are there, if packets pass, and the address to connect to."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from jit.domain.azure.companion_rule import build_companion_name
from jit.domain.model.machine import Connection, Via
from jit.domain.paths.connection import build_connection
from jit.domain.paths.effective import PathState, observe_path
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import an_opening, changed, through_firewall
from tests.builders.machines import a_nic, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule, jit_name, the_deny
from tests.builders.values import BEHIND, FRONT, HOME, NSG_ID, OFFICE, OTHER_NSG_ID, PUBLIC, VM

GRANT = an_opening()
WALLED = through_firewall(GRANT)
LET_IN = arm_rule(300, name=build_companion_name(GRANT.id), source=BEHIND, port="22", to=VM)
BOTH_NSGS = {"interfaces": (a_nic(nsg_ids=(NSG_ID, OTHER_NSG_ID)),)}


def seen(view, grant=GRANT):
    """The state of the path."""
    return observe_path(grant, view).state


# ---- through an NSG --------------------------------------------------------------------------


def test_a_path_is_open_when_its_rule_lets_the_source_through():
    """Present, settled, effective."""
    found = observe_path(GRANT, a_view(an_nsg(an_allow())))

    assert found.state is PathState.OPEN
    assert found.rule_ids == (f"{NSG_ID}/securityRules/{jit_name('-', 1)}",)
    assert found.connection == Connection(
        via=Via.PUBLIC_IP, address=PUBLIC, port=22, command=f"ssh -p 22 user@{PUBLIC}"
    )


def test_without_a_rule_a_path_is_absent():
    """202 is all that Azure has said so far."""
    found = observe_path(GRANT, a_view())

    assert (found.state, found.rules, found.why) == (PathState.ABSENT, (), "no rule is there yet")


def test_a_path_for_two_sources_is_open_when_both_have_their_rule():
    """Defender may write one rule or two."""
    grant = an_opening(sources=(HOME, OFFICE))
    one = an_nsg(an_allow("203.0.113.7", "198.51.100.0/24"))
    two = an_nsg(an_allow("203.0.113.7"), an_allow("198.51.100.0/24", number=2))

    assert seen(a_view(one), grant) is PathState.OPEN
    assert seen(a_view(two), grant) is PathState.OPEN


def test_a_path_for_two_sources_is_partial_while_one_of_them_lacks_its_rule():
    """Open for one of them is not open."""
    grant = an_opening(sources=(HOME, OFFICE))

    found = observe_path(grant, a_view(an_nsg(an_allow())))

    assert (found.state, found.connection) == (PathState.PARTIAL, None)
    assert found.why == "not every rule is there yet"


def test_a_rule_for_a_part_of_a_prefix_is_partial():
    """The whole prefix was asked for."""
    grant = an_opening(sources=(OFFICE,))

    assert seen(a_view(an_nsg(an_allow("198.51.100.7"))), grant) is PathState.PARTIAL


def test_a_customers_deny_above_the_rule_blocks_the_path():
    """P4: open means effective."""
    deny = arm_rule(99, "Deny", name="never-ssh", port="22")

    found = observe_path(GRANT, a_view(an_nsg(an_allow(), deny)))

    assert found.state is PathState.BLOCKED
    assert found.why == "nsg-web: rule never-ssh blocks it"
    assert found.connection is None


def test_a_rule_in_doubt_blocks_the_path():
    """A path in doubt is not open."""
    doubt = arm_rule(99, "Deny", name="tagged", source="AzureCloud", port="22")

    found = observe_path(GRANT, a_view(an_nsg(an_allow(), doubt)))

    assert found.state is PathState.BLOCKED
    assert found.why == "nsg-web: cannot tell whether rule tagged lets it pass"


def test_an_nsg_whose_rules_are_unknown_to_the_end_blocks_the_path():
    """Not even a default rule decides."""
    nsg = an_nsg(an_allow())
    only_allow_for_others = replace(nsg, rules=())

    found = observe_path(GRANT, a_view(only_allow_for_others))

    assert found.state is PathState.BLOCKED
    assert found.why == "nsg-web: no rule is known to decide"


def test_every_nsg_on_the_way_must_let_the_source_through():
    """The subnet's as well as the interface's."""
    interface, subnet = an_nsg(an_allow()), an_nsg(nsg_id=OTHER_NSG_ID)

    blocked = observe_path(GRANT, a_view(interface, subnet, **BOTH_NSGS))
    opened = observe_path(
        GRANT, a_view(interface, an_nsg(an_allow(), nsg_id=OTHER_NSG_ID), **BOTH_NSGS)
    )

    assert (blocked.state, opened.state) == (PathState.BLOCKED, PathState.OPEN)


def test_another_grants_companion_does_not_make_a_path_effective():
    """It goes when that grant goes."""
    others = arm_rule(99, name=build_companion_name("g2"), source="203.0.113.7", port="22", to=VM)
    deny = arm_rule(100, "Deny", name="never-ssh", port="22")

    found = observe_path(GRANT, a_view(an_nsg(an_allow(priority=101), deny, others)))

    assert found.state is PathState.BLOCKED


# ---- a VM with several addresses -------------------------------------------------------------

SECOND = "10.1.1.5"
SECOND_PUBLIC = "20.71.10.12"


def two_addresses(*nsgs, first=None, **second):
    """A VM with two IP configurations: *first* and *second* change their fields."""
    configurations = (
        a_nic(**(first or {})),
        a_nic(**{"private_ip": SECOND, "public_ip": SECOND_PUBLIC, "primary": False, **second}),
    )
    return a_view(*nsgs, interfaces=configurations)


def _address(found):
    """The address to connect to."""
    return found.connection.address if found.connection else None


HIDDEN = {"public_ip": None, "public_ip_id": None}


def test_a_rule_to_an_address_without_a_public_address_is_not_the_path():
    """People connect to the public address, and packets to it reach another private one."""
    found = observe_path(GRANT, two_addresses(an_nsg(an_allow(to=SECOND)), **HIDDEN))

    assert (found.state, found.address) == (PathState.PARTIAL, VM)


def test_the_public_address_of_a_second_ip_configuration_is_offered():
    """It is the one that leads to the VM."""
    found = observe_path(GRANT, two_addresses(an_nsg(an_allow(to=SECOND)), first=HIDDEN))

    assert (found.state, found.address) == (PathState.OPEN, SECOND)
    assert _address(found) == SECOND_PUBLIC


def test_if_both_addresses_lead_in_the_primary_one_is_offered():
    """A person gets one address."""
    both = an_nsg(an_allow(to=SECOND), an_allow(number=2))

    found = observe_path(GRANT, two_addresses(both))

    assert (found.state, _address(found)) == (PathState.OPEN, PUBLIC)
    assert len(found.rules) == 2


def test_the_address_that_a_person_was_told_stays_while_it_leads_in():
    """The primary one was blocked when the path opened; now both lead in."""
    both = an_nsg(an_allow(to=SECOND), an_allow(number=2))
    told = changed(GRANT, connection=build_connection(GRANT, SECOND_PUBLIC, 22))

    assert _address(observe_path(told, two_addresses(both))) == SECOND_PUBLIC


def test_the_address_that_packets_reach_is_offered_if_the_primary_one_is_blocked():
    """Its own NSG stops them there."""
    walled = an_nsg(
        an_allow(), arm_rule(99, "Deny", name="never-ssh", port="22"), nsg_id=OTHER_NSG_ID
    )
    view = two_addresses(
        an_nsg(an_allow(to=SECOND, number=2)), walled, first={"nsg_ids": (OTHER_NSG_ID,)}
    )

    found = observe_path(GRANT, view)

    assert (found.state, _address(found)) == (PathState.OPEN, SECOND_PUBLIC)


def test_a_path_by_no_address_says_what_stops_the_most_advanced_one():
    """The rule there is blocked; at the other address there is no rule."""
    deny = arm_rule(99, "Deny", name="never-ssh", port="22", to=SECOND)

    found = observe_path(GRANT, two_addresses(an_nsg(an_allow(to=SECOND), deny)))

    assert (found.state, found.why) == (PathState.BLOCKED, "nsg-web: rule never-ssh blocks it")


def test_an_nsg_of_any_interface_that_is_being_updated_makes_a_path_unclear():
    """Its rules are rules of the path too."""
    busy = an_nsg(nsg_id=OTHER_NSG_ID, settled=False)

    found = observe_path(GRANT, two_addresses(an_nsg(an_allow()), busy, nsg_ids=(OTHER_NSG_ID,)))

    assert (found.state, found.leaving) == (PathState.UNCLEAR, False)


def test_while_unclear_a_path_is_leaving_only_if_no_address_lets_the_sources_in():
    """Somebody took away the rule of one address; the other still leads in."""
    busy = an_nsg(an_allow(to=SECOND), settled=False)

    assert not observe_path(GRANT, two_addresses(busy)).leaving
    assert observe_path(GRANT, two_addresses(busy, **HIDDEN)).leaving


def test_a_dual_stack_vm_is_offered_by_the_address_of_the_sources_ip_version():
    """An IPv4 address cannot be reached from an IPv6 one."""
    six = {"private_ip": "fd00:db8:1::5", "public_ip": "2001:db8:7::5"}
    rule = an_allow("2001:db8::/64", to="FD00:DB8:1:0::5/128")
    grant = an_opening(sources=(ip_network("2001:db8::/64"),))

    found = observe_path(grant, two_addresses(an_nsg(rule), **six))

    assert (found.state, _address(found)) == (PathState.OPEN, "2001:db8:7::5")


def test_the_firewalls_nat_rule_chooses_the_address_and_the_companions_nsg():
    """Defender translated to the second address; the NSG there stops the firewall."""
    view = behind(
        a_firewall(a_nat(to=SECOND)),
        an_nsg(the_deny(to=SECOND)),
        interfaces=(
            a_nic(nsg_ids=(), **HIDDEN),
            a_nic(private_ip=SECOND, primary=False, **HIDDEN),
        ),
    )

    found = observe_path(WALLED, view)

    assert (found.state, found.address) == (PathState.BLOCKED, SECOND)
    assert list(found.blocked_by or ()) == [NSG_ID]


def test_an_ipv6_source_cannot_reach_an_ipv4_address():
    """The rules do not matter."""
    grant = an_opening(sources=(ip_network("2001:db8::/64"),))

    found = observe_path(grant, a_view(an_nsg(an_allow("2001:db8::/64"))))

    assert found.state is PathState.BLOCKED
    assert "another IP version" in found.why


def test_a_public_address_without_any_nsg_is_not_called_open():
    """It is open to everybody, or to nobody: which of the two is not known."""
    inside = a_nic(id="2", private_ip="10.1.1.5", primary=False, public_ip=None, public_ip_id=None)
    view = a_view(an_nsg(an_allow()), interfaces=(a_nic(nsg_ids=()), inside))

    found = observe_path(GRANT, view)

    assert (found.state, found.why) == (PathState.BLOCKED, "a public address without any NSG")


def test_a_vm_without_an_interface_is_unclear():
    """Its rules may lead to an address that it had."""
    grant = an_opening(private_ips=(VM,))

    found = observe_path(grant, a_view(an_nsg(an_allow()), interfaces=()))

    assert (found.state, found.why) == (PathState.UNCLEAR, "the VM has no interface")


def test_a_private_path_leads_to_the_private_address():
    """There is no other."""
    grant = an_opening(via=Via.PRIVATE)
    view = a_view(
        an_nsg(an_allow()), via=Via.PRIVATE, interfaces=(a_nic(public_ip=None, public_ip_id=None),)
    )

    found = observe_path(grant, view)

    assert found.connection == Connection(
        via=Via.PRIVATE, address=VM, port=22, command=f"ssh -p 22 user@{VM}"
    )
    assert "route" in found.why


def test_a_public_address_that_is_not_known_yet_shows_the_private_one():
    """A dynamic address of a stopped VM; better than none."""
    nic = a_nic(public_ip=None, public_ip_id=f"{NSG_ID}-pip")
    found = observe_path(GRANT, a_view(an_nsg(an_allow()), interfaces=(nic,)))

    assert found.connection
    assert found.connection.address == VM
    assert "public address is not known" in found.why


def test_a_path_by_a_public_address_that_was_taken_away_is_not_open():
    """The rule is there, and no way leads to it from where the person is."""
    found = observe_path(
        GRANT, a_view(an_nsg(an_allow()), interfaces=(a_nic(public_ip=None, public_ip_id=None),))
    )

    assert found.state is PathState.BLOCKED
    assert found.why == "the VM's interface has no public address any more"


@pytest.mark.parametrize(
    ("port", "protocol", "state"),
    [
        (22, "*", PathState.OPEN),
        (22, "TCP", PathState.OPEN),
        (5985, "*", PathState.BLOCKED),
        (5985, "TCP", PathState.OPEN),
    ],
)
def test_ssh_and_rdp_are_tcp_even_if_the_policy_says_any(port, protocol, state):
    """A blocked UDP does not keep a session from working; elsewhere both were promised."""
    no_udp = arm_rule(90, "Deny", name="no-udp", protocol="Udp")
    grant = an_opening(port=port, protocol=protocol)

    found = observe_path(grant, a_view(an_nsg(no_udp, an_allow(port=str(port)))))

    assert found.state is state


# ---- resources in change, or not read --------------------------------------------------------


def test_an_nsg_that_is_being_updated_makes_the_path_unclear():
    """A rule that is there may not be in force yet, one that is not may be."""
    found = observe_path(GRANT, a_view(an_nsg(an_allow(), settled=False)))

    assert (found.state, found.why) == (PathState.UNCLEAR, "NSG nsg-web is being updated")
    assert found.connection is None


def test_a_failed_update_of_an_nsg_makes_the_path_unclear_with_advice():
    """Packets may meet other rules than the listed ones."""
    found = observe_path(GRANT, a_view(replace(an_nsg(an_allow(), settled=False), failed=True)))

    assert found.state is PathState.UNCLEAR
    assert found.why == "the last update of NSG nsg-web failed; repeat it in Azure"


def test_an_nsg_of_another_interface_that_could_not_be_read_is_unclear():
    """Defender writes a rule for each interface."""
    second = a_nic(id="nics/second", nsg_ids=(OTHER_NSG_ID,), primary=False)

    found = observe_path(GRANT, a_view(an_nsg(an_allow()), interfaces=(a_nic(), second)))

    assert (found.state, found.why) == (PathState.UNCLEAR, "an NSG of second could not be read")


@pytest.mark.parametrize(
    ("firewall", "why"),
    [
        (None, "the firewall could not be read"),
        (a_firewall(a_nat(), settled=False), "firewall fw-prod is being updated"),
        (
            a_firewall(a_nat(), settled=False, failed=True),
            "the last update of firewall fw-prod failed; repeat it in Azure",
        ),
    ],
)
def test_a_firewall_that_has_not_succeeded_is_unclear(firewall, why):
    """Some of its instances may run old rules, some new."""
    found = observe_path(WALLED, behind(firewall, an_nsg(LET_IN)))

    assert (found.state, found.why) == (PathState.UNCLEAR, why)


def test_a_firewall_that_is_gone_is_not_waited_for():
    """The inventory knows of none any more: a grant of before can end."""
    gone = {"firewall_id": None, "firewall_sources": ()}

    assert seen(behind(None, **gone), WALLED) is PathState.ABSENT
    assert seen(behind(None, an_nsg(an_allow()), **gone), WALLED) is PathState.PARTIAL


def test_an_unread_nsg_speaks_before_the_firewall():
    """Both are waited for; one is named."""
    view = behind(a_firewall(settled=False), an_nsg(settled=False))

    found = observe_path(WALLED, view)

    assert found.why == "NSG nsg-web is being updated"


def test_a_firewall_is_of_no_concern_to_a_path_past_it():
    """A grant of before the firewall came still ends."""
    view = a_view(an_nsg(an_allow()), firewall=a_firewall(settled=False))

    assert seen(view) is PathState.OPEN


def test_an_unclear_look_still_shows_the_rules():
    """People want to know the rules that are there meanwhile."""
    found = observe_path(GRANT, a_view(an_nsg(an_allow(), settled=False)))

    assert [rule.name for rule in found.rules] == [jit_name("-", 1)]


# ---- behind a firewall -----------------------------------------------------------------------


def test_a_path_behind_a_firewall_is_open_when_the_firewalls_own_address_gets_through():
    """The VM sees an address of AzureFirewallSubnet, and people dial the mapped port."""
    found = observe_path(
        WALLED, behind(a_firewall(a_nat(mapped=10022)), an_nsg(an_allow(), LET_IN))
    )

    assert found.state is PathState.OPEN
    assert found.connection == Connection(
        via=Via.FIREWALL, address=FRONT, port=10022, command=f"ssh -p 10022 user@{FRONT}"
    )


@pytest.mark.parametrize(
    ("port", "protocol", "forwarded", "expected"),
    [
        (22, "TCP", ["TCP"], PathState.OPEN),
        (22, "TCP", ["Any"], PathState.OPEN),
        (22, "TCP", ["UDP", "Tcp"], PathState.OPEN),
        (22, "Tcp", ["TCP"], PathState.OPEN),
        (22, "TCP", ["UDP"], PathState.PARTIAL),
        (22, "TCP", [], PathState.PARTIAL),
        (22, "*", ["TCP"], PathState.OPEN),
        (8080, "*", ["TCP"], PathState.PARTIAL),
        (8080, "*", ["TCP", "UDP"], PathState.OPEN),
        (8080, "UDP", ["UDP"], PathState.OPEN),
    ],
)
def test_a_nat_rule_must_forward_every_protocol_of_the_grant(port, protocol, forwarded, expected):
    """P4: a rule for another protocol opens nothing."""
    let_in = arm_rule(300, name="bastion", source=BEHIND, port=str(port), protocol="*")
    grant = replace(WALLED, port=port, protocol=protocol)

    view = behind(a_firewall(a_nat(port=port, protocols=forwarded)), an_nsg(let_in))
    assert observe_path(grant, view).state is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"destinationAddresses": ["*"]},
        {"destinationAddresses": ["52.137.62.0/24"]},
        {"destinationAddresses": []},
        {"destinationPorts": ["10022-10030"]},
        {"destinationPorts": []},
    ],
)
def test_a_nat_rule_without_one_address_and_port_is_nothing_to_connect_to(changes):
    """P4: people must be able to use the command."""
    found = observe_path(WALLED, behind(a_firewall(a_nat(**changes)), an_nsg(an_allow(), LET_IN)))

    assert (found.state, found.connection) == (PathState.PARTIAL, None)


@pytest.mark.parametrize(("source", "port"), [("198.51.100.7/32", 10022), (str(OFFICE), 10023)])
def test_the_connection_shows_a_mapped_port_that_lets_all_sources_in(source, port):
    """A rule for one host of a network is not the network's."""
    nats = (
        a_nat("198.51.100.7", name="MDC-JIT-1", mapped=10022),
        a_nat(str(OFFICE), name="MDC-JIT-2", mapped=10023),
    )
    grant = replace(WALLED, sources=(ip_network(source),))

    found = observe_path(grant, behind(a_firewall(*nats), an_nsg(LET_IN)))

    assert found.connection is not None
    assert found.connection.port == port


def test_sources_that_no_one_mapped_port_lets_in_are_not_open():
    """There is one command, and it would be of no use from one of them."""
    nats = (
        a_nat("203.0.113.7", name="MDC-JIT-1", mapped=10022),
        a_nat("198.51.100.0/24", name="MDC-JIT-2", mapped=10023),
    )
    grant = replace(WALLED, sources=(HOME, OFFICE))

    found = observe_path(grant, behind(a_firewall(*nats), an_nsg(LET_IN)))

    assert found.state is PathState.PARTIAL
    assert found.why == "no NAT rule lets all its sources in by one address and port"


def test_the_remote_desktop_line_names_the_mapped_port():
    """As the contract shows it."""
    grant = replace(WALLED, port=3389)
    let_in = arm_rule(300, name="bastion", source=BEHIND, port="3389")

    found = observe_path(grant, behind(a_firewall(a_nat(port=3389, mapped=13389)), an_nsg(let_in)))

    assert found.connection
    assert found.connection.command == "mstsc /v:52.137.62.53:13389"


def test_defenders_own_allow_rule_does_not_help_behind_a_firewall():
    """It names the requester, whose address the VM never sees."""
    found = observe_path(WALLED, behind(a_firewall(a_nat()), an_nsg(an_allow())))

    assert found.state is PathState.BLOCKED
    assert found.blocked_by == {NSG_ID: 4096}


def test_every_nsg_that_stops_the_firewall_is_named_with_its_first_rule():
    """Each of them may need a companion."""
    nsgs = (
        an_nsg(an_allow(), arm_rule(200, "Deny", name="no", port="22")),
        an_nsg(nsg_id=OTHER_NSG_ID),
    )
    nic = a_nic(public_ip=None, public_ip_id=None, nsg_ids=(NSG_ID, OTHER_NSG_ID))

    found = observe_path(WALLED, behind(a_firewall(a_nat()), *nsgs, interfaces=(nic,)))

    assert found.blocked_by == {NSG_ID: 200, OTHER_NSG_ID: 4096}


def test_the_firewall_prefix_that_is_stopped_first_counts():
    """The companion must decide before both rules."""
    early = arm_rule(200, "Deny", name="half", source="10.1.0.0/27", port="22")

    found = observe_path(
        WALLED,
        behind(
            a_firewall(a_nat()),
            an_nsg(early),
            firewall_sources=("10.1.0.32/27", "10.1.0.0/27"),
        ),
    )

    assert found.blocked_by == {NSG_ID: 200}


def test_an_nsg_without_a_single_rule_is_outdone_by_any_priority():
    """There is no rule whose priority to name."""
    bare = replace(an_nsg(), rules=())

    found = observe_path(WALLED, behind(a_firewall(a_nat()), bare))

    assert found.blocked_by == {NSG_ID: 65500}


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (a_nat("192.0.2.1"),),
        (a_nat(to="10.1.1.9"),),
        (a_nat(port=3389),),
        (a_nat(destinationAddresses=[]),),
        (a_nat(destinationPorts=["10022-10023"]),),
    ],
)
def test_without_its_nat_rule_a_path_behind_a_firewall_is_partial(rules):
    """The NSG's rule comes minutes before the firewall's."""
    found = observe_path(WALLED, behind(a_firewall(*rules), an_nsg(an_allow())))

    assert (found.state, found.why) == (PathState.PARTIAL, "the NAT rule is not there yet")


def test_the_companion_can_be_made_while_the_nat_rule_is_still_to_come():
    """Both take their time; neither need wait for the other."""
    waiting = observe_path(WALLED, behind(a_firewall(), an_nsg(an_allow())))
    updating = observe_path(WALLED, behind(a_firewall(settled=False), an_nsg(an_allow())))

    assert waiting.blocked_by == {NSG_ID: 4096}
    assert updating.blocked_by == {NSG_ID: 4096}


def test_an_nsg_that_is_being_updated_is_not_judged():
    """Its next rules are not known."""
    found = observe_path(WALLED, behind(a_firewall(settled=False), an_nsg(settled=False)))

    assert found.blocked_by == {}


def test_a_path_past_the_firewall_has_nothing_to_accompany():
    """Only DNAT changes the address."""
    found = observe_path(GRANT, a_view(an_nsg(settled=False)))

    assert found.blocked_by == {}


def test_a_firewall_whose_subnet_is_unknown_opens_nothing():
    """Nobody can tell which address the NSG will see."""
    found = observe_path(WALLED, behind(a_firewall(a_nat()), an_nsg(LET_IN), firewall_sources=()))

    assert (found.state, found.why) == (PathState.BLOCKED, "the firewall's subnet is unknown")


def test_behind_a_firewall_no_nsg_is_no_hindrance():
    """Inside a VNet an unguarded interface is open; the firewall decides."""
    view = behind(
        a_firewall(a_nat()), interfaces=(a_nic(public_ip=None, public_ip_id=None, nsg_ids=()),)
    )

    assert seen(view, WALLED) is PathState.OPEN


def test_a_vm_whose_address_azure_does_not_name_has_no_path():
    """An interface that is being changed may name none for a moment."""
    nameless = (a_nic(private_ip="", public_ip=None, public_ip_id=None),)
    grant = changed(WALLED, private_ips=(VM,))

    found = observe_path(grant, behind(a_firewall(a_nat()), an_nsg(LET_IN), interfaces=nameless))

    assert found.state is PathState.PARTIAL
    assert observe_path(grant, behind(a_firewall(), interfaces=nameless)).state is PathState.ABSENT


def test_a_vm_without_an_interface_has_no_path_behind_a_firewall():
    """The NAT rule leads to an address that it had."""
    grant = changed(WALLED, private_ips=(VM,))

    found = observe_path(grant, behind(a_firewall(a_nat()), interfaces=()))

    assert found.state is PathState.PARTIAL
