"""What people do in the lives that are struck: one function each, which fills an agenda."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from tests.broker.inprocess import ALICE, BOB, DAVE, ELSEWHERE, HERE, OLGA, THERE, wish
from tests.crash.life import Life
from tests.local.azure.sim import APP01, DB01, NEW01, NSG_DB, WEB01

Agenda = Callable[[Life], None]


def _open_by_nsg(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT8M"), ALICE))


def _open_by_firewall(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT15M"), ALICE))


def _several_machines(life: Life) -> None:
    """Two policies, three VMs: one transaction, two workers."""
    machines = [
        {"id": DB01, "ports": [{"number": 22}, {"number": 3389}]},
        {"id": APP01, "ports": [{"number": 3389}]},
        {"id": WEB01, "ports": [{"number": 22}]},
    ]
    body = wish(DB01, duration="PT15M", virtualMachines=machines)
    life.at(0, "a", life.ask("a", body, ALICE))


def _extend_nsg(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT8M"), ALICE))
    life.at(4, "longer", life.extend("a", timedelta(minutes=10), ALICE))


def _extend_firewall(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT15M"), ALICE))
    life.at(9, "longer", life.extend("a", timedelta(minutes=20), ALICE))


def _join_nsg(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT8M"), ALICE))
    life.at(2, "d", life.ask("d", wish(DB01, source=THERE, duration="PT15M"), DAVE))


def _join_same_source(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT8M"), ALICE))
    life.at(2, "d", life.ask("d", wish(DB01, duration="PT15M"), DAVE))


def _leave_nsg(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT20M"), ALICE))
    life.at(2, "d", life.ask("d", wish(DB01, source=THERE, duration="PT8M"), DAVE))


def _join_firewall(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT25M"), ALICE))
    life.at(7, "d", life.ask("d", wish(WEB01, 3389, source=THERE, duration="PT30M"), DAVE))


def _leave_firewall(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT50M"), ALICE))
    life.at(6, "d", life.ask("d", wish(WEB01, 3389, source=THERE, duration="PT20M"), DAVE))


def _revoke_nsg(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT15M"), ALICE))
    life.at(3, "end", life.revoke("a", ALICE))


def _revoke_firewall(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT30M"), ALICE))
    life.at(9, "end", life.revoke("a", ALICE))


def _revoke_opening_nsg(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT20M"), ALICE))
    life.at(0.1, "end", life.revoke("a", ALICE))


def _revoke_opening_firewall(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT40M"), ALICE))
    life.at(2, "end", life.revoke("a", ALICE))


def _revoke_shared_nsg(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT20M"), ALICE))
    life.at(1, "d", life.ask("d", wish(DB01, source=THERE, duration="PT20M"), DAVE))
    life.at(4, "end", life.revoke("a", ALICE))


def _revoke_shared_firewall(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT50M"), ALICE))
    life.at(6, "d", life.ask("d", wish(WEB01, 3389, source=THERE, duration="PT50M"), DAVE))
    life.at(14, "end", life.revoke("a", ALICE))


def _leftover_nsg(life: Life) -> None:
    """Defender forgets to close."""
    life.plant.sim.faults({"match": {"path": "initiate"}, "leaveRules": True, "times": None})
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT6M"), ALICE))


def _leftover_firewall(life: Life) -> None:
    life.plant.sim.faults({"match": {"path": "initiate"}, "leaveRules": True, "times": None})
    life.at(0, "a", life.ask("a", wish(WEB01, 3389, duration="PT15M"), ALICE))


def _scheduled(life: Life) -> None:
    start = life.now + timedelta(minutes=6)
    body = wish(DB01, duration="PT6M", startTime=start.isoformat())
    life.at(0, "a", life.ask("a", body, ALICE))
    later = life.now + timedelta(minutes=8)
    other = wish(APP01, 3389, duration="PT6M", startTime=later.isoformat())
    life.at(0, "b", life.ask("b", other, ALICE))
    life.at(5, "end", life.revoke("b", ALICE))


def _beside_a_stranger(life: Life) -> None:
    """Somebody uses the portal: with the same source one joins; with another one has to wait."""
    life.happen(0, lambda: _petra(life, DB01, 22, HERE, 10))
    life.at(1, "a", life.ask("a", wish(DB01, duration="PT6M"), ALICE))
    life.at(2, "d", life.ask("d", wish(DB01, source=THERE, duration="PT6M"), DAVE))


def _outlives_a_stranger(life: Life) -> None:
    """Whose path ends: the next look, a minute later at most, asks for an own one."""
    life.promises.patience.gap = timedelta(minutes=2)
    life.happen(0, lambda: _petra(life, DB01, 22, HERE, 6))
    life.at(1, "a", life.ask("a", wish(DB01, duration="PT15M"), ALICE))


def _superseded(life: Life) -> None:
    """Noticed by the next comparison, five minutes later; ten if one does not take place."""
    life.promises.patience.gap = timedelta(minutes=12)
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT20M"), ALICE))
    life.happen(4, lambda: _petra(life, DB01, 22, ELSEWHERE, 10))


def _extend_shared(life: Life) -> None:
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT15M"), ALICE))
    life.at(1, "d", life.ask("d", wish(DB01, source=THERE, duration="PT15M"), DAVE))
    life.at(5, "longer", life.extend("a", timedelta(minutes=20), ALICE))


def _three_on_one_port(life: Life) -> None:
    """The second leaves last, the third in the middle."""
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT10M"), ALICE))
    life.at(1, "d", life.ask("d", wish(DB01, source=THERE, duration="PT25M"), DAVE))
    life.at(2, "o", life.ask("o", wish(DB01, source=ELSEWHERE, duration="PT18M"), BOB))


def _deleted_while_open(life: Life) -> None:
    """Its owner deletes the VM: what stands in the NSG for its address still has to go."""
    life.promises.patience.gap = timedelta(hours=1)
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT12M"), ALICE))
    life.happen(4, lambda: _delete(life, DB01))


def _wiped_while_open(life: Life) -> None:
    """
    Terraform writes the NSG without Defender's rules: the next comparison asks once more.

    If that one does not take place, because its message is lost for instance, the one after it.
    """
    life.promises.patience.gap = timedelta(minutes=12)
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT20M"), ALICE))
    life.happen(4, lambda: _wipe(life, NSG_DB))


def _revoke_twice(life: Life) -> None:
    """Two people revoke it in the same minute, one of them two times."""
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT20M"), ALICE))
    life.at(3, "end", life.revoke("a", ALICE))
    life.at(3, "operator", life.revoke("a", OLGA))
    life.at(3.5, "again", life.revoke("a", ALICE))


def _configure(life: Life) -> None:
    """A VM joins the policy of others, one of which somebody is using, and is used itself."""
    ports = [{"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}]
    life.happen(0, lambda: _petra(life, DB01, 3389, HERE, 12))
    life.at(1, "c", life.configure("c", NEW01, ports, OLGA))
    life.at(3, "a", life.ask("a", wish(NEW01, duration="PT6M"), ALICE))


def _configure_beside_access(life: Life) -> None:
    """Refused while access under the policy is live; done afterwards."""
    ports = [{"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}]
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT6M"), ALICE))
    life.at(0.05, "c", life.configure("c", NEW01, ports, OLGA))
    life.at(14, "later", life.configure("later", NEW01, ports, OLGA))


def _burst(life: Life) -> None:
    doors = ((DB01, 22), (DB01, 3389), (DB01, 5985), (APP01, 3389))
    for number, (vm, port) in enumerate(doors):
        body = wish(vm, port, duration="PT6M")
        life.at(number / 20, f"r{number}", life.ask(f"r{number}", body, ALICE))


def _revoke_beside_trouble(life: Life) -> None:
    """Azure refuses to open one port for an hour; another one is given back meanwhile."""
    refusal = {"status": 403, "code": "AuthorizationFailed"}
    match = {"path": "initiate", "bodyContains": "3389"}
    life.plant.sim.faults({"match": match, "answer": refusal, "times": None})
    life.at(0, "a", life.ask("a", wish(DB01, duration="PT20M"), ALICE))
    life.at(3, "b", life.ask("b", wish(DB01, 3389, duration="PT20M"), DAVE))
    life.at(5, "end", life.revoke("a", ALICE))


def _petra(life: Life, vm: str, port: int, source: str, minutes: float) -> None:
    life.plant.sim.initiate(vm, port, source, minutes, as_="petra")
    life.promises.stranger(vm, port, source, life.now + timedelta(minutes=minutes))


def _delete(life: Life, vm: str) -> None:
    life.plant.sim.control("PUT", "state", {"resources": {vm: None}})


def _wipe(life: Life, nsg: str) -> None:
    """Write an NSG as its owner's template has it: without the rules of requests."""
    body = life.plant.sim.call("GET", nsg, as_="petra").json()
    rules = body["properties"]["securityRules"]
    body["properties"]["securityRules"] = [r for r in rules if "JITRule-" not in r["name"]]
    life.plant.sim.call("PUT", nsg, body, as_="petra")


def _named(*agendas: Agenda) -> dict[str, Agenda]:
    return {agenda.__name__.strip("_").replace("_", "-"): agenda for agenda in agendas}


SCENARIOS: Mapping[str, Agenda] = _named(
    _open_by_nsg,
    _open_by_firewall,
    _several_machines,
    _extend_nsg,
    _extend_firewall,
    _join_nsg,
    _join_same_source,
    _join_firewall,
    _leave_nsg,
    _leave_firewall,
    _revoke_nsg,
    _revoke_firewall,
    _revoke_opening_nsg,
    _revoke_opening_firewall,
    _revoke_shared_nsg,
    _revoke_shared_firewall,
    _leftover_nsg,
    _leftover_firewall,
    _scheduled,
    _beside_a_stranger,
    _outlives_a_stranger,
    _superseded,
    _extend_shared,
    _three_on_one_port,
    _deleted_while_open,
    _wiped_while_open,
    _revoke_twice,
    _configure,
    _configure_beside_access,
    _burst,
    _revoke_beside_trouble,
)
