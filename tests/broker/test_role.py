"""Least privilege: with any one action of the broker's role taken away, something stops working."""

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jit.broker.configure.configure import Configurator
from jit.broker.rights.kept_rights import KeptRights
from jit.broker.rights.reading_pace import ReadingPace
from jit.broker.rights.rights_reader import RightsReader
from jit.domain.authorization.needed_actions import ALL
from jit.domain.errors import BrokerError
from jit.domain.model.machine import MachinePolicy, PortRule
from jit.domain.values import arm_ids
from tests.broker.inprocess import ALICE, OLGA, InProcess, farm, wish
from tests.broker.reconciling import Reconciling
from tests.builders.admin_rules import DENY, arm_admin
from tests.local.azure.sim import (
    APP01,
    DB,
    DB01,
    DEVELOPMENT,
    NEW01,
    PRODUCTION,
    WEB01,
    group,
    network,
)

ROLE = Path(__file__).resolve().parent.parent.parent / "infra" / "role.json"
ACTIONS = json.loads(ROLE.read_text())["Actions"]
PLAN_2 = {"pricingTier": "Standard", "subPlan": "P2"}
BASTION = network("bastionHosts", "bas-db", DB)
VNET_DB = network("virtualNetworks", "vnet-db", DB)
READING = {
    *("inventory", "through an NSG", "through a firewall", "configure", "take out", "take all"),
    *("tell that a Bastion is gone", "tell that the plan is missing", "tell of an admin rule"),
    "tell of a route",
}
BREAKS = {
    "Microsoft.Authorization/denyAssignments/read": {"read the rights of a requester"},
    "Microsoft.Authorization/roleAssignments/read": {"read the rights of a requester"},
    "Microsoft.Authorization/roleDefinitions/read": {"read the rights of a requester"},
    "Microsoft.Resources/subscriptions/read": {"find subscriptions"},
    "Microsoft.Compute/virtualMachines/read": READING,
    "Microsoft.Compute/virtualMachines/write": {"configure"},
    "Microsoft.Network/azureFirewalls/read": READING,
    "Microsoft.Network/azureFirewalls/write": {"through a firewall"},
    "Microsoft.Network/bastionHosts/read": {"tell that a Bastion is gone"},
    "Microsoft.Network/networkInterfaces/read": READING,
    "Microsoft.Network/networkSecurityGroups/read": READING,
    "Microsoft.Network/networkSecurityGroups/securityRules/delete": {
        "through an NSG",
        "through a firewall",
    },
    "Microsoft.Network/networkSecurityGroups/securityRules/write": {"through a firewall"},
    "Microsoft.Network/publicIPAddresses/join/action": {"through a firewall"},
    "Microsoft.Network/publicIPAddresses/read": READING,
    "Microsoft.Network/routeTables/read": {"tell of a route"},
    "Microsoft.Network/virtualNetworks/listNetworkManagerEffectiveSecurityAdminRules/action": {
        "through an NSG",
        "through a firewall",
        "tell of an admin rule",
    },
    "Microsoft.Network/virtualNetworks/read": READING,
    "Microsoft.Network/virtualNetworks/subnets/join/action": {"through a firewall"},
    "Microsoft.Security/locations/jitNetworkAccessPolicies/delete": {"take all"},
    "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action": {
        "through an NSG",
        "through a firewall",
    },
    "Microsoft.Security/locations/jitNetworkAccessPolicies/read": READING,
    "Microsoft.Security/locations/jitNetworkAccessPolicies/write": {"configure"},
    "Microsoft.Security/pricings/read": {"tell that the plan is missing"},
}
SSH = PortRule(number=22, protocol="TCP", allowed_sources=("*",), max_duration=timedelta(hours=3))


def _opens_and_closes(broker: InProcess, vm: str, port: int, minutes: float) -> bool:
    request_id = broker.ask(wish(vm, port))
    broker.live(minutes)
    opened = broker.status(request_id) == "open"
    broker.revoke(request_id)
    broker.live(2.5 * minutes)
    return opened and broker.status(request_id) == "closed"


def _configurator(broker: InProcess) -> Configurator:
    return broker.use_cases.configurator()


def _wanted(*rules: PortRule) -> tuple[MachinePolicy, ...]:
    return (MachinePolicy(id=NEW01, ports=rules, pointer="#"),)


def _everybody() -> tuple[MachinePolicy, ...]:
    return tuple(MachinePolicy(id=vm, ports=(), pointer="#") for vm in (DB01, APP01))


def _codes(broker: InProcess, vm: str) -> set[str]:
    """Look afresh; return the codes of a VM's warnings."""
    found = broker.observer.read_machines(arm_ids.subscription(vm), now=broker.now)
    (seen,) = (each for each in found if arm_ids.key(each.id) == arm_ids.key(vm))
    return {warning.code for warning in seen.warnings}


def _tells_that_a_bastion_is_gone(broker: InProcess) -> bool:
    """Its subnet is still there, and without the list of hosts looks as if it were in use."""
    broker.sim.control("PUT", "state", {"resources": {BASTION: None}})
    return not _codes(broker, DB01) & {"bastion-cut-off", "bastion-bypass"}


def _tells_that_the_plan_is_missing(broker: InProcess) -> bool:
    broker.sim.control("PUT", "state", {"plans": {PRODUCTION: {"pricingTier": "Free"}}})
    told = "plan-missing" in _codes(broker, WEB01)
    broker.sim.control("PUT", "state", {"plans": {PRODUCTION: PLAN_2}})  # the others need it
    return told


def _tells_of_an_admin_rule(broker: InProcess) -> bool:
    deny = arm_admin(DENY, "Internet", port="22")
    broker.sim.control("PUT", "state", {"adminRules": {VNET_DB: [deny]}})
    Reconciling(broker).run(PRODUCTION)
    told = "admin-rule-blocks" in _codes(broker, DB01)
    broker.sim.control("PUT", "state", {"adminRules": {VNET_DB: []}})
    return told


def _tells_of_a_route(broker: InProcess) -> bool:
    route = {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualNetworkGateway"}
    table = network("routeTables", "rt-farm-1", group("rg-farm-1", DEVELOPMENT))
    vnet = network("virtualNetworks", "vnet-farm-1", group("rg-farm-1", DEVELOPMENT))
    before = broker.sim.control("GET", "state")["resources"][vnet]
    body = copy.deepcopy(before)
    body["properties"]["subnets"][0]["properties"]["routeTable"] = {"id": table}
    routes = {"properties": {"routes": [{"name": "out", "properties": route}]}}
    broker.sim.control("PUT", "state", {"resources": {table: routes, vnet: body}})
    told = "forced-tunnelling" in _codes(broker, farm(1))
    broker.sim.control("PUT", "state", {"resources": {table: None, vnet: before}})
    return told


def _reads_rights(broker: InProcess) -> bool:
    """Find the rights of a person by the lists of Azure."""
    kept = KeptRights(RightsReader(lambda: broker.azure.arm, ReadingPace()))
    known = kept.find(ALICE.id, PRODUCTION, since=broker.now, now=broker.now)
    return known.rights.find_at(DB01).allowed == ALL


JOBS: dict[str, Callable[[InProcess], object]] = {
    "find subscriptions": lambda broker: broker.azure.observer().list_readable(),
    "read the rights of a requester": _reads_rights,
    "inventory": lambda broker: broker.queries.list_machines(None, OLGA, now=broker.now),
    "tell that a Bastion is gone": _tells_that_a_bastion_is_gone,
    "tell that the plan is missing": _tells_that_the_plan_is_missing,
    "tell of an admin rule": _tells_of_an_admin_rule,
    "tell of a route": _tells_of_a_route,
    "through an NSG": lambda broker: _opens_and_closes(broker, farm(1), 22, 2),
    "through a firewall": lambda broker: _opens_and_closes(broker, WEB01, 3389, 8),
    "configure": lambda broker: _configurator(broker).put(_wanted(SSH), OLGA, now=broker.now),
    "take out": lambda broker: _configurator(broker).delete(_wanted(), OLGA, now=broker.now),
    "take all": lambda broker: _configurator(broker).delete(_everybody(), OLGA, now=broker.now),
}


def _succeeds(job: Callable[[InProcess], object], broker: InProcess) -> bool:
    try:
        return bool(job(broker))
    except BrokerError:
        return False


def _works(*denied: str) -> set[str]:
    """Do every job of the broker without the *denied* actions; return the jobs that worked."""
    broker = InProcess()
    broker.sim.control("PUT", "state", {"deniedActions": list(denied)})
    return {name for name, job in JOBS.items() if _succeeds(job, broker)}


def test_the_role_is_enough_for_everything():
    """Nothing more has to be granted."""
    assert _works() == set(JOBS)


def test_the_role_grants_nothing_that_is_not_proved_to_be_needed():
    """An action without a line here would be one too many."""
    assert set(ACTIONS) == set(BREAKS)


@pytest.mark.parametrize("action", ACTIONS)
def test_taking_one_action_away_breaks_its_job(action):
    """No action is there for nothing, and none for more than is known."""
    assert set(JOBS) - _works(action) == BREAKS[action]


def test_with_reading_alone_the_broker_can_be_tried_and_changes_nothing():
    """Inventory, warnings, decisions and plans; a request that is accepted fails, and says why."""
    broker = InProcess()
    writing = [action for action in ACTIONS if not action.endswith("/read")]
    broker.sim.control("PUT", "state", {"deniedActions": writing})
    it = Reconciling(broker)
    it.run(PRODUCTION)
    listed, _ = broker.queries.list_machines(None, OLGA, now=broker.now)

    decision = broker.preview(wish(WEB01, 3389))
    planned = it.planned(PRODUCTION)
    request_id = broker.ask(wish(farm(1)))
    broker.live(5)

    assert {vm.name for vm, _ in listed} >= {"web01", "db01"}
    assert _codes(broker, DB01) == {"bastion-cut-off"}
    assert (decision.allowed, planned) == (True, [])
    assert broker.status(request_id) == "closed"
    assert "Azure refused to open it" in (broker.grant(request_id).note or "")
    assert {status for _, status in _changes(broker)} == {403}


def _changes(broker: InProcess) -> set[tuple[str, int]]:
    """Return the methods of the broker's calls that would change something, with the answers."""
    log = broker.sim.control("GET", "log")
    return {
        (each["method"], each["status"])
        for each in log
        if each["principal"] == "broker" and each["method"] != "GET"
    }
