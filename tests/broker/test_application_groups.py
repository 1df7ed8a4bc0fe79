"""Application security groups from the list of interfaces to packets: one exported rule set."""

import json
from pathlib import Path

import pytest

from jit.domain.errors import AccessDenied
from tests.broker.inprocess import ALICE, OLGA, wish
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import PRODUCTION, group, machine, network

CASE = Path(__file__).parents[1] / "cases" / "application-security-groups.json"
WEB1 = machine("web1", group("rg-asg"))
NIC = network("networkInterfaces", "i", group("rg-asg"))
NSG = network("networkSecurityGroups", "n", group("rg-asg"))


@pytest.fixture
def it(broker):
    """A VM in the group *web*; its NSG denies SSH to *db* and lets an office in to *jump*."""
    made = Reconciling(broker)
    made.edit(**json.loads(CASE.read_text())["resources"])
    return made


def warnings_of(it):
    it.run(PRODUCTION)
    found, _ = it.broker.queries.list_machines(PRODUCTION, OLGA, now=it.broker.now)
    return [warning.code for vm, _ in found if vm.name == "web1" for warning in vm.warnings]


def join(it, *names):
    """Change the memberships of the VM's interface."""
    nic = it.broker.sim.get(NIC)
    ids = [{"id": network("applicationSecurityGroups", name, group("rg-asg"))} for name in names]
    nic["properties"]["ipConfigurations"][0]["properties"]["applicationSecurityGroups"] = ids
    it.edit(**{NIC: nic})


def open_web1(it):
    request_id = it.broker.ask(wish(WEB1))
    it.broker.live(5)
    return it.broker.grant(request_id)


def test_a_rule_for_another_group_neither_stops_nor_warns(it):
    """The path opens, as packets say; nobody is told to move the office's rule."""
    before = warnings_of(it)

    grant = open_web1(it)

    assert (before, grant.status.value, it.broker.reachable(WEB1)) == ([], "open", True)


def test_a_rule_for_the_vms_own_group_is_an_obstacle_that_the_refusal_names(it):
    """It would stop the path, so nobody waits for it."""
    join(it, "web", "db")

    with pytest.raises(AccessDenied) as refused:
        it.broker.ask(wish(WEB1))

    (violation,) = refused.value.violations
    assert violation.code == "nsg-rule-blocks"
    assert "no-ssh-to-db" in violation.detail


def test_a_rule_for_a_group_that_the_vm_joined_meanwhile_stops_its_path(it):
    """The grant names the rule; packets agree."""
    it.run(PRODUCTION)
    request_id = it.broker.accept(wish(WEB1), ALICE).request.id
    join(it, "web", "db")
    it.broker.live(5)

    grant = it.broker.grant(request_id)
    told = [grant.note or "", *(each.detail for each in grant.denials)]
    assert any("no-ssh-to-db" in text for text in told)
    assert not it.broker.reachable(WEB1)


def test_a_vm_that_joins_a_group_with_a_standing_rule_is_warned_about(it):
    """From now on the office gets in without a grant."""
    join(it, "jump")

    assert warnings_of(it) == ["jit-bypassed"]
    assert it.broker.reachable(WEB1, source="203.0.113.14")


def test_a_path_ends_to_be_open_if_its_vm_joins_a_denied_group(it):
    """A comparison has read the interface again; an open grant is judged by it."""
    grant = open_web1(it)
    join(it, "db")
    it.run(PRODUCTION)

    it.broker.live(3)

    assert not it.broker.reachable(WEB1)
    assert it.broker.grant(grant.request_id).status.value != "open"
