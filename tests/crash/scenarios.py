"""The scenarios that faults are injected into: each function schedules the acts of people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from local.azure.values import ids
from tests.broker.inprocess import ALICE, BOB, DAVE, ELSEWHERE, HERE, OLGA, THERE, wish
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, arm_admin
from tests.crash.addresses import renumber, toggle_second_address
from tests.crash.scenario_run import ScenarioRun
from tests.local.azure.sim import APP01, DB, DB01, FW_PROD, NEW01, NSG_DB, WEB01, network

VNET_DB = network("virtualNetworks", "vnet-db", DB)
Scenario = Callable[[ScenarioRun], None]

_JUMP: Mapping[str, Any] = {
    "name": "jump",
    "properties": {
        "priority": 450,
        "action": {"type": "Dnat"},
        "rules": [
            {
                "name": "rdp",
                "protocols": ["TCP"],
                "sourceAddresses": ["*"],
                "destinationAddresses": ["52.137.62.53"],
                "destinationPorts": ["33890"],
                "translatedAddress": "10.1.1.4",
                "translatedPort": "3389",
            }
        ],
    },
}
"""A customer's NAT rule collection: it leads everybody to port 3389 of web01."""


def _open_by_nsg(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT8M"), ALICE))


def _open_by_firewall(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT15M"), ALICE))


def _open_for_a_bastion(run: ScenarioRun) -> None:
    """One person comes by the Bastion, another one shares the port from outside."""
    body = {**wish(DB01, duration="PT8M"), "via": "bastion"}
    del body["sources"]
    run.at(0, "a", run.ask("a", body, ALICE))
    run.at(2, "d", run.ask("d", wish(DB01, source=THERE, duration="PT15M"), DAVE))


def _several_machines(run: ScenarioRun) -> None:
    """Two policies and three VMs: one transaction, two workers."""
    machines = [
        {"id": DB01, "ports": [{"number": 22}, {"number": 3389}]},
        {"id": APP01, "ports": [{"number": 3389}]},
        {"id": WEB01, "ports": [{"number": 22}]},
    ]
    body = wish(DB01, duration="PT15M", virtualMachines=machines)
    run.at(0, "a", run.ask("a", body, ALICE))


def _extend_nsg(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT8M"), ALICE))
    run.at(4, "longer", run.extend("a", timedelta(minutes=10), ALICE))


def _extend_firewall(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT15M"), ALICE))
    run.at(9, "longer", run.extend("a", timedelta(minutes=20), ALICE))


def _join_nsg(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT8M"), ALICE))
    run.at(2, "d", run.ask("d", wish(DB01, source=THERE, duration="PT15M"), DAVE))


def _join_same_source(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT8M"), ALICE))
    run.at(2, "d", run.ask("d", wish(DB01, duration="PT15M"), DAVE))


def _last_of_a_companion(run: ScenarioRun) -> None:
    """
    Three people on one VM port share a companion.

    The one for whom it was written leaves first. The last one, who found it standing, removes it.
    """
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT40M"), ALICE))
    run.at(1, "d", run.ask("d", wish(WEB01, 3389, source=THERE, duration="PT50M"), DAVE))
    run.at(12, "b", run.ask("b", wish(WEB01, 3389, source=ELSEWHERE, duration="PT55M"), BOB))
    run.at(20, "end", run.revoke("a", ALICE))
    run.at(26, "over", run.revoke("d", DAVE))
    run.at(45, "last", run.revoke("b", BOB))


def _leave_nsg(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT20M"), ALICE))
    run.at(2, "d", run.ask("d", wish(DB01, source=THERE, duration="PT8M"), DAVE))


def _join_firewall(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT25M"), ALICE))
    run.at(7, "d", run.ask("d", wish(WEB01, 3389, source=THERE, duration="PT30M"), DAVE))


def _leave_firewall(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT50M"), ALICE))
    run.at(6, "d", run.ask("d", wish(WEB01, 3389, source=THERE, duration="PT20M"), DAVE))


def _revoke_nsg(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT15M"), ALICE))
    run.at(3, "end", run.revoke("a", ALICE))


def _revoke_firewall(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT30M"), ALICE))
    run.at(9, "end", run.revoke("a", ALICE))


def _revoke_opening_nsg(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT20M"), ALICE))
    run.at(0.1, "end", run.revoke("a", ALICE))


def _revoke_opening_firewall(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT40M"), ALICE))
    run.at(2, "end", run.revoke("a", ALICE))


def _revoke_shared_nsg(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT20M"), ALICE))
    run.at(1, "d", run.ask("d", wish(DB01, source=THERE, duration="PT20M"), DAVE))
    run.at(4, "end", run.revoke("a", ALICE))


def _revoke_shared_firewall(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT50M"), ALICE))
    run.at(6, "d", run.ask("d", wish(WEB01, 3389, source=THERE, duration="PT50M"), DAVE))
    run.at(14, "end", run.revoke("a", ALICE))


def _leftover_nsg(run: ScenarioRun) -> None:
    """Defender forgets to close."""
    run.parts.sim.faults({"match": {"path": "initiate"}, "leaveRules": True, "times": None})
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT6M"), ALICE))


def _second_address(run: ScenarioRun) -> None:
    """A VM has two IP configurations, and Defender forgets to close: two rules must go."""
    toggle_second_address(run.parts.sim, DB01)
    run.parts.sim.faults({"match": {"path": "initiate"}, "leaveRules": True, "times": None})
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT8M"), ALICE))


def _renumbered_while_open(run: ScenarioRun) -> None:
    """The public address of a VM changes while a person is connected to it."""
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT12M"), ALICE))
    run.schedule_event(4, lambda: renumber(run.parts.sim, DB01))


def _leftover_firewall(run: ScenarioRun) -> None:
    run.parts.sim.faults({"match": {"path": "initiate"}, "leaveRules": True, "times": None})
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT15M"), ALICE))


def _scheduled(run: ScenarioRun) -> None:
    start = run.now + timedelta(minutes=6)
    body = wish(DB01, duration="PT6M", startTime=start.isoformat())
    run.at(0, "a", run.ask("a", body, ALICE))
    later = run.now + timedelta(minutes=8)
    other = wish(APP01, 3389, duration="PT6M", startTime=later.isoformat())
    run.at(0, "b", run.ask("b", other, ALICE))
    run.at(5, "end", run.revoke("b", ALICE))


def _beside_a_stranger(run: ScenarioRun) -> None:
    """Somebody uses the portal: an equal source joins that access, another source has to wait."""
    run.schedule_event(0, lambda: _petra(run, DB01, 22, HERE, 10))
    run.at(1, "a", run.ask("a", wish(DB01, duration="PT6M"), ALICE))
    run.at(2, "d", run.ask("d", wish(DB01, source=THERE, duration="PT6M"), DAVE))


def _outlives_a_stranger(run: ScenarioRun) -> None:
    """The path of a portal user ends: within a minute the broker asks for one of its own."""
    run.promises.tolerance.gap = timedelta(minutes=2)
    run.schedule_event(0, lambda: _petra(run, DB01, 22, HERE, 6))
    run.at(1, "a", run.ask("a", wish(DB01, duration="PT15M"), ALICE))


def _superseded(run: ScenarioRun) -> None:
    """The next comparison notices it five minutes later; ten if one does not take place."""
    run.promises.tolerance.gap = timedelta(minutes=12)
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT20M"), ALICE))
    run.schedule_event(4, lambda: _petra(run, DB01, 22, ELSEWHERE, 10))


def _extend_shared(run: ScenarioRun) -> None:
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT15M"), ALICE))
    run.at(1, "d", run.ask("d", wish(DB01, source=THERE, duration="PT15M"), DAVE))
    run.at(5, "longer", run.extend("a", timedelta(minutes=20), ALICE))


def _three_on_one_port(run: ScenarioRun) -> None:
    """The second leaves last, the third in the middle."""
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT10M"), ALICE))
    run.at(1, "d", run.ask("d", wish(DB01, source=THERE, duration="PT25M"), DAVE))
    run.at(2, "o", run.ask("o", wish(DB01, source=ELSEWHERE, duration="PT18M"), BOB))


def _deleted_while_open(run: ScenarioRun) -> None:
    """The owner deletes the VM: the rules for its address must still be removed."""
    run.promises.tolerance.gap = timedelta(hours=1)
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT12M"), ALICE))
    run.schedule_event(4, lambda: _delete(run, DB01))


def _wiped_while_open(run: ScenarioRun) -> None:
    """
    Terraform writes the NSG without Defender's rules: the next comparison asks once more.

    If its message is lost, the comparison after it does.
    """
    run.promises.tolerance.gap = timedelta(minutes=12)
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT20M"), ALICE))
    run.schedule_event(4, lambda: _wipe(run, NSG_DB))


def _denied_while_open(run: ScenarioRun) -> None:
    """
    A network manager denies the path, and later allows it again.

    A comparison reads the rules of a network once in a quarter of an hour, or one comparison later.
    """
    run.promises.tolerance.gap = timedelta(minutes=27)
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT50M"), ALICE))
    run.schedule_event(4, lambda: _manage(run, arm_admin(DENY, "Internet")))
    run.schedule_event(34, lambda: _manage(run, arm_admin(ALLOW)))


def _denied_from_the_beginning(run: ScenarioRun) -> None:
    """A network manager denies the path until the grant has waited for some minutes."""
    _manage(run, arm_admin(DENY, GROUP))
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT15M"), ALICE))
    run.schedule_event(6, lambda: _manage(run))


def _always_allowed_while_open(run: ScenarioRun) -> None:
    """A network manager lets the person in before every NSG: the grant ends and closes as usual."""
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT8M"), ALICE))
    run.schedule_event(4, lambda: _manage(run, arm_admin(ALWAYS, "203.0.113.0/24")))
    run.schedule_event(30, lambda: _manage(run))


def _published_while_open(run: ScenarioRun) -> None:
    """
    A customer's NAT rule leads everybody to the port, and is taken back later.

    The companion goes by the next comparison, before the rule is in force, or a minute after. The
    one after it comes five minutes later. Then the grant opens again.
    """
    run.promises.tolerance.exposure = timedelta(minutes=7)
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT50M"), ALICE))
    run.schedule_event(9, lambda: _publish(run, on=True))
    run.schedule_event(22, lambda: _publish(run, on=False))


def _published_for_good(run: ScenarioRun) -> None:
    """A customer's NAT rule leads everybody to the port and stays: the grant fails."""
    run.promises.tolerance.exposure = timedelta(minutes=7)
    run.at(0, "a", run.ask("a", wish(WEB01, 3389, duration="PT50M"), ALICE))
    run.schedule_event(9, lambda: _publish(run, on=True))


def _revoke_a_part(run: ScenarioRun) -> None:
    """A person gives one VM back, and one port of another VM; the rest stays until its end."""
    machines = [
        {"id": DB01, "ports": [{"number": 22}, {"number": 3389}]},
        {"id": APP01, "ports": [{"number": 3389}]},
    ]
    body = wish(DB01, duration="PT12M", virtualMachines=machines)
    part = ({"id": DB01, "ports": [{"number": 22}]}, {"id": APP01})
    run.at(0, "a", run.ask("a", body, ALICE))
    run.at(4, "part", run.revoke("a", ALICE, *part))


def _revoke_twice(run: ScenarioRun) -> None:
    """Two people revoke it in the same minute, and one of them does it twice."""
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT20M"), ALICE))
    run.at(3, "end", run.revoke("a", ALICE))
    run.at(3, "operator", run.revoke("a", OLGA))
    run.at(3.5, "again", run.revoke("a", ALICE))


def _configure(run: ScenarioRun) -> None:
    """A VM joins a policy while another VM of the policy is in use; then a person uses it."""
    ports = [{"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}]
    run.schedule_event(0, lambda: _petra(run, DB01, 3389, HERE, 12))
    run.at(1, "c", run.configure("c", NEW01, ports, OLGA))
    run.at(3, "a", run.ask("a", wish(NEW01, duration="PT6M"), ALICE))


def _configure_beside_access(run: ScenarioRun) -> None:
    """The broker refuses it while access under the policy is live, and does it afterwards."""
    ports = [{"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}]
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT6M"), ALICE))
    run.at(0.05, "c", run.configure("c", NEW01, ports, OLGA))
    run.at(14, "later", run.configure("later", NEW01, ports, OLGA))


def _burst(run: ScenarioRun) -> None:
    vm_ports = ((DB01, 22), (DB01, 3389), (DB01, 5985), (APP01, 3389))
    for number, (vm, port) in enumerate(vm_ports):
        body = wish(vm, port, duration="PT6M")
        run.at(number / 20, f"r{number}", run.ask(f"r{number}", body, ALICE))


def _revoke_beside_trouble(run: ScenarioRun) -> None:
    """Azure refuses to open one port for an hour; meanwhile another one is revoked."""
    refusal = {"status": 403, "code": "AuthorizationFailed"}
    match = {"path": "initiate", "bodyContains": "3389"}
    run.parts.sim.faults({"match": match, "answer": refusal, "times": None})
    run.at(0, "a", run.ask("a", wish(DB01, duration="PT20M"), ALICE))
    run.at(3, "b", run.ask("b", wish(DB01, 3389, duration="PT20M"), DAVE))
    run.at(5, "end", run.revoke("a", ALICE))


def _petra(run: ScenarioRun, vm: str, port: int, source: str, minutes: float) -> None:
    run.parts.sim.initiate(vm, port, source, minutes, as_="petra")
    run.promises.note_foreign_access(vm, port, source, run.now + timedelta(minutes=minutes))


def _delete(run: ScenarioRun, vm: str) -> None:
    run.parts.sim.control("PUT", "state", {"resources": {vm: None}})


def _wipe(run: ScenarioRun, nsg: str) -> None:
    """Write an NSG as its owner's template has it: without the rules of requests."""
    body = run.parts.sim.call("GET", nsg, as_="petra").json()
    rules = body["properties"]["securityRules"]
    body["properties"]["securityRules"] = [r for r in rules if "JITRule-" not in r["name"]]
    run.parts.sim.call("PUT", nsg, body, as_="petra")


def _manage(run: ScenarioRun, *rules: object) -> None:
    """Let the network of DB01 have these security admin rules."""
    run.parts.sim.control("PUT", "state", {"adminRules": {VNET_DB: list(rules)}})


def _publish(run: ScenarioRun, *, on: bool) -> None:
    """Write a customer's NAT rule to port 3389 of web01, or remove it; repeat it until it works."""
    body = run.parts.sim.call("GET", FW_PROD, as_="petra").json()
    nats = [n for n in body["properties"]["natRuleCollections"] if n["name"] != _JUMP["name"]]
    body["properties"]["natRuleCollections"] = [*nats, _JUMP] if on else nats
    answer = run.parts.sim.call("PUT", FW_PROD, body, as_="petra")
    if answer.status == 400:
        raise AssertionError(answer.json())
    if answer.status >= 300:
        later = (run.now - run.begin) / timedelta(minutes=1) + 1
        run.schedule_event(later, lambda: _publish(run, on=on))
        return
    run.promises.published.add((ids.key(WEB01), 3389))
    run.promises.note_customer_change()


def _named(*scenarios: Scenario) -> dict[str, Scenario]:
    return {scenario.__name__.strip("_").replace("_", "-"): scenario for scenario in scenarios}


SCENARIOS: Mapping[str, Scenario] = _named(
    _open_by_nsg,
    _open_by_firewall,
    _open_for_a_bastion,
    _several_machines,
    _extend_nsg,
    _extend_firewall,
    _join_nsg,
    _join_same_source,
    _join_firewall,
    _last_of_a_companion,
    _leave_nsg,
    _leave_firewall,
    _revoke_nsg,
    _revoke_firewall,
    _revoke_opening_nsg,
    _revoke_opening_firewall,
    _revoke_shared_nsg,
    _revoke_shared_firewall,
    _leftover_nsg,
    _second_address,
    _renumbered_while_open,
    _leftover_firewall,
    _scheduled,
    _beside_a_stranger,
    _outlives_a_stranger,
    _superseded,
    _extend_shared,
    _three_on_one_port,
    _deleted_while_open,
    _wiped_while_open,
    _denied_while_open,
    _denied_from_the_beginning,
    _always_allowed_while_open,
    _published_while_open,
    _published_for_good,
    _revoke_a_part,
    _revoke_twice,
    _configure,
    _configure_beside_access,
    _burst,
    _revoke_beside_trouble,
)
