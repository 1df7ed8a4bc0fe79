"""The one proof of P5: the owners of a rule, and its users."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.grants import removal
from jit.domain.grants.removal import Evidence, judge
from jit.domain.grants.timing import FOREIGN_GRACE
from jit.domain.model.grant import Status
from jit.domain.paths.rules import find_port_rules
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import a_grant, an_open, an_opening, through_firewall
from tests.builders.machines import a_view, behind
from tests.builders.nsgs import an_allow, an_nsg
from tests.builders.values import ELSEWHERE, HOME, HOUR, MINE, NOW, OFFICE, VM, vm_id

SECOND = timedelta(seconds=1)
CLOSING = {"status": Status.CLOSING, "closing_at": NOW}


def nsg_rule(*sources, **changes):
    """One of Defender's NSG rules for the VM port, as a look finds it."""
    (found,) = find_port_rules(a_view(an_nsg(an_allow(*sources, **changes))), 22)
    return found


def nat_rule(*sources):
    """One of Defender's NAT rules for the VM port, as a look finds it."""
    (found,) = find_port_rules(behind(a_firewall(a_nat(*sources))), 22)
    return found


def evidence(*grants, **changes):
    """Evidence for a rule of the VM port of those grants, all of them asked for."""
    fields = {
        "recorded_by": (),
        "on_port": grants,
        "users": grants,
        "asked": {grant.vm_port: grant.sources for grant in grants},
        "foreign": (),
        **changes,
    }
    return Evidence(**fields)


def owners(rule, known):
    """The ids of the grants that a rule is proved to belong to."""
    return [grant.id for grant in judge(rule, known, now=NOW).owners]


# ---- owners --------------------------------------------------------------------------------------


def test_a_recorded_rule_belongs_to_its_grant_in_any_form():
    """The id was stored when the rule was first seen."""
    grant = an_open(**CLOSING)

    assert owners(nsg_rule("*"), evidence(on_port=(), recorded_by=[grant])) == ["g1"]


def test_a_rule_for_exactly_the_sources_asked_for_belongs_to_the_grant():
    """Defender wrote it, and nobody has looked yet."""
    assert owners(nsg_rule(), evidence(an_open(**CLOSING))) == ["g1"]


@pytest.mark.parametrize(
    "rule",
    [
        nsg_rule("203.0.113.0/24"),
        nsg_rule("203.0.113.7", "192.0.2.1"),
        nsg_rule("*"),
        nsg_rule("192.0.2.1"),
        nsg_rule(port=["22", "3389"]),
        nsg_rule(to=[VM, "10.1.1.9"]),
    ],
)
def test_a_rule_that_opens_something_else_belongs_to_no_grant(rule):
    """Its name alone proves nothing."""
    assert owners(rule, evidence(an_open(**CLOSING))) == []


def test_a_grant_that_asked_azure_for_nothing_owns_no_rule():
    """It came in by a stranger's request. The rule of that request looks the same."""
    joined = an_open(initiates=(), initiated_at=None, **CLOSING)

    assert owners(nsg_rule(), evidence(joined)) == []


def test_a_rule_of_two_grants_belongs_to_both():
    """Defender writes the union of the sources on a VM port."""
    both = (an_open("g1", **CLOSING), an_open("g2", sources=(OFFICE,), **CLOSING))
    rule = nsg_rule("203.0.113.7", "198.51.100.0/24")
    known = evidence(*both, asked={both[0].vm_port: (HOME, OFFICE)})

    assert owners(rule, known) == ["g1", "g2"]


@pytest.mark.parametrize(("text", "found"), [("192.0.2.0/24", ["g1"]), ("192.0.2.0/25", [])])
def test_defenders_own_list_proves_a_rule_that_is_wider_than_asked(text, found):
    """Azure took our initiate for something else. It lists the opened sources with our id."""
    listed = [an_entry("192.0.2.0/24", initiate_id=MINE)]

    assert owners(nsg_rule(text), evidence(an_open(**CLOSING), listed=listed)) == found


def test_a_strangers_entry_proves_nothing():
    """It is listed without our id."""
    listed = [an_entry("192.0.2.0/24", initiate_id=None)]

    assert owners(nsg_rule("192.0.2.0/24"), evidence(an_open(**CLOSING), listed=listed)) == []


@pytest.mark.parametrize(
    ("rule", "addresses", "recorded"),
    [
        (nsg_rule(), [], True),
        (nsg_rule("192.0.2.1"), [], True),
        (nat_rule(), [VM], True),
        (nat_rule(), ["10.1.1.9"], False),
        (nat_rule("192.0.2.1"), [VM], False),
        (replace(nat_rule(), port=3389), [VM], False),
    ],
)
def test_a_recorded_nat_rule_must_still_lead_where_the_grant_leads(rule, addresses, recorded):
    """Defender may use its name again for somebody else. Names of NSG rules are unique."""
    grant = through_firewall(an_open(rules=(rule.id.upper(),)))

    assert removal.is_recorded(rule, grant, addresses) is recorded


def test_a_rule_with_another_id_was_not_recorded():
    """However much it looks like the recorded one."""
    assert not removal.is_recorded(nsg_rule(), an_open(rules=("another",)), [VM])


# ---- users ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "needs"),
    [
        (an_open("g2"), True),
        (an_opening("g2"), True),
        (an_open("g2", initiates=(), initiated_at=None), True),
        (an_open("g2", expires_at=None), True),
        (an_open("g2", expires_at=NOW), False),
        (an_open("g2", **CLOSING), False),
        (a_grant("g2"), False),
        (an_open("g2", sources=(ELSEWHERE,)), False),
    ],
)
def test_a_grant_needs_a_rule_that_lets_it_in_while_it_should_have_a_path(user, needs):
    """Even a grant that came in by a stranger's request."""
    leaver = an_open(**CLOSING)

    found = judge(nsg_rule(), evidence(leaver, users=[leaver, user]), now=NOW)

    assert [grant.id for grant in found.grants] == (["g2"] if needs else [])
    assert found.may_be_removed is not needs


@pytest.mark.parametrize(
    ("sources", "needs"),
    [
        (("203.0.113.7",), True),
        (("203.0.113.0/24",), True),
        (("*",), True),
        (("VirtualNetwork",), True),
        ((), True),
        (("192.0.2.1", "Internet"), True),
        (("192.0.2.1",), False),
        (("2001:db8::/64",), False),
    ],
)
def test_a_request_needs_every_rule_that_may_let_it_in(sources, needs):
    """A source that cannot be read may be anybody."""
    entry = replace(an_entry(initiate_id=None), sources=sources)

    found = judge(nsg_rule(), evidence(an_open(**CLOSING), foreign=[entry]), now=NOW)

    assert bool(found.requests) is needs
    assert found.may_be_removed is not needs


def test_a_rule_that_belongs_to_no_grant_may_not_be_removed():
    """Even if nobody needs it."""
    assert not judge(nsg_rule("192.0.2.1"), evidence(an_open()), now=NOW).may_be_removed


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"initiate_id": MINE}, False),
        ({"initiate_id": "z" * 26}, True),
        ({"active": False}, False),
        ({"active": False, "reason": "Expired", "ends_at": NOW - FOREIGN_GRACE + SECOND}, True),
        ({"active": False, "reason": "Expired", "ends_at": NOW - FOREIGN_GRACE}, False),
        ({"ends_at": NOW - FOREIGN_GRACE + SECOND}, True),
        ({"ends_at": NOW - FOREIGN_GRACE}, False),
        ({"active": False, "reason": "NewerRequestInitiated"}, False),
    ],
)
def test_other_peoples_requests_count_in_force_and_a_while_after_their_end(changes, counts):
    """Azure removes its rules first."""
    entry = an_entry(**{"initiate_id": None, **changes})

    assert bool(removal.find_foreign_requests([entry], {MINE}, now=NOW)) is counts


def test_only_foreign_requests_for_its_own_vm_port_hold_a_rule_back():
    """Read once more, just before the removal."""
    elsewhere = [
        an_entry(initiate_id=None, port=3389),
        an_entry(initiate_id=None, vm_id=vm_id("web02")),
        an_entry(initiate_id=MINE),
    ]
    rule = nsg_rule()

    assert removal.keep_free_rules([rule], elsewhere, {MINE}, now=NOW) == [rule]
    assert removal.keep_free_rules([rule], elsewhere, frozenset(), now=NOW) == []


@pytest.mark.parametrize(
    ("changes", "is_free"),
    [
        ({"ends_at": NOW + SECOND}, False),
        ({"ends_at": NOW}, True),
        ({"active": False}, True),
    ],
)
def test_a_foreign_request_holds_a_rule_back_until_its_end(changes, is_free):
    """Defender may list it as active after that."""
    entry = an_entry(**{"initiate_id": None, **changes})
    rule = nsg_rule()

    found = removal.keep_free_rules([rule], [entry], frozenset(), now=NOW)

    assert found == ([rule] if is_free else [])


# ---- the sources that it may open ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "accounted"),
    [
        (("203.0.113.7",), True),
        (("203.0.113.7", "192.0.2.1"), True),
        (("203.0.113.7", "198.51.100.0/24"), False),
        (("203.0.113.7", "Internet"), False),
        (("203.0.113.0/24",), False),
    ],
)
def test_a_rule_is_accounted_for_if_all_that_it_lets_in_is_entitled(sources, accounted):
    """By a live grant, or by another person's request in Defender."""
    grants, requests = [an_open()], [an_entry("192.0.2.0/24", initiate_id=None)]

    assert removal.is_accounted_for(nsg_rule(*sources), grants, requests) is accounted


def test_a_rule_without_sources_is_accounted_for_by_nobody():
    """It may let in anybody."""
    rule = replace(nsg_rule(), sources=())

    assert not removal.is_accounted_for(rule, [an_open(expires_at=NOW + HOUR)])
