"""Which grants a companion is for, by its name."""

import pytest

from jit.domain.azure.companion_rule import build_companion_name
from jit.domain.model.grant import Status
from jit.domain.model.machine import Via
from jit.domain.paths.companion_owners import (
    find_shared_owner,
    group_addresses,
    list_owners,
    list_wanted_owners,
)
from tests.builders.bastions import a_bastion
from tests.builders.grants import an_open, changed, through_firewall
from tests.builders.values import HOME, NSG_ID, THERE

GRANT = through_firewall(an_open())


def test_all_grants_of_a_vm_port_share_an_owner():
    """For all people and sources."""
    other = through_firewall(an_open("g2", sources=(THERE,)))

    assert find_shared_owner(other) == find_shared_owner(GRANT)


@pytest.mark.parametrize("changes", [{"port": 8443}, {"protocol": "UDP"}, {"policy_id": "/other"}])
def test_grants_that_need_another_rule_share_another_owner(changes):
    """So a companion never has to change for one of its grants."""
    assert find_shared_owner(changed(GRANT, **changes)) != find_shared_owner(GRANT)


def test_a_grant_owns_the_companion_of_its_vm_port_and_one_of_its_own():
    """Older versions wrote one for each grant."""
    assert list_owners(GRANT) == ("g1", find_shared_owner(GRANT))


def test_a_grant_that_comes_by_no_firewall_shares_no_companion():
    """It would keep one standing that it does not need."""
    assert list_owners(changed(GRANT, via=Via.PUBLIC_IP)) == ("g1",)


def test_a_grant_that_comes_by_a_bastion_alone_shares_no_companion():
    """With own sources beside the Bastion's, it does."""
    by_bastion = changed(GRANT, bastion=a_bastion(), sources=a_bastion().sources)
    both = changed(by_bastion, sources=(*by_bastion.sources, HOME))

    assert list_owners(by_bastion) == ("g1",)
    assert list_owners(both) == list_owners(GRANT)


@pytest.mark.parametrize("status", [Status.PENDING, Status.CLOSING, Status.CLOSED])
def test_only_grants_that_want_their_path_keep_a_companion(status):
    """One that is to come has it written again."""
    idle = changed(GRANT, status=status)

    assert list_wanted_owners([idle]) == frozenset()
    assert list_wanted_owners([idle, GRANT]) == frozenset(list_owners(GRANT))


def test_a_withdrawn_companion_is_kept_for_nobody():
    """Others come in by it until it is gone. The other companions of the grants stay."""
    shared = find_shared_owner(GRANT)
    withdrawn = f"{NSG_ID}/securityRules/{build_companion_name(shared)}"

    assert list_wanted_owners([GRANT], [withdrawn]) == frozenset({"g1"})


def test_the_grants_of_a_vm_port_know_together_where_its_companion_leads():
    """The record of one of them about its own companion is its own knowledge."""
    first = changed(GRANT, private_ips=("10.1.1.4",))
    second = changed(through_firewall(an_open("g2")), private_ips=("10.1.1.44",))

    assert group_addresses([first, second]) == {
        "g1": {"10.1.1.4"},
        "g2": {"10.1.1.44"},
        find_shared_owner(GRANT): {"10.1.1.4", "10.1.1.44"},
    }
