"""
The rights of the person who asks: how many calls of Azure they cost, and how quick a judgement is.

A person asks for a VM while the instance knows nothing of the person, and then for another one. The
request starts tomorrow: no worker reads rights again meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from bench.measures import simulator_log
from bench.measures.figures import Figure, Goal
from bench.measures.processes import MeasurementFailed
from bench.stack import landscapes
from bench.stack.running_stack import RunningStack, start_stack
from bench.traffic import access_requests
from bench.traffic.callers import Callers
from jit.domain.authorization.machine_rights import judge_machine
from jit.domain.authorization.rights import Rights, RightsRules, build_rights
from jit.domain.authorization.role_assignments import read_assignments
from jit.domain.authorization.role_definitions import read_roles
from jit.domain.model.machine import Support, VirtualMachine

ASSIGNMENTS, MACHINES, RUNS = 200, 2_000, 5
_MOST_COLD, _MOST_WARM, _FEWEST = 3, 0, 20_000
_PERSON = "a11ce000-0000-4000-8000-000000000001"
_HERE = f"/subscriptions/{landscapes.SUBSCRIPTION}"
_PROVIDER = "/providers/Microsoft.Authorization"


def rbac_arm_calls_per_request() -> Iterator[Figure]:
    """Calls of ``Microsoft.Authorization`` for the first request of a person, and for the next."""
    start = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with start_stack(hosts=1) as place, closing(Callers(place.stack.url)) as callers:
        place.learn()
        for number, most in enumerate((_MOST_COLD, _MOST_WARM)):
            machine = landscapes.machine(0, number, 10)
            yield Figure(
                name="rbac_arm_calls_per_request",
                value=_count_calls(place, callers, machine, start),
                unit="calls of Azure for the rights of a person",
                goal=Goal(at_most=most),
                details={"instanceKnowsThePerson": bool(number)},
            )


def _count_calls(place: RunningStack, callers: Callers, machine: str, start: str) -> int:
    body = access_requests.make_body([machine], start=start)
    with simulator_log.record_calls(place.simulator) as log:
        callers.ask(f"rights-{time.monotonic_ns()}", body, landscapes.PEOPLE[0])
    return sum(f"{_PROVIDER}/" in call.path for call in log)


def rbac_evaluations_per_second(machines: int = MACHINES, runs: int = RUNS) -> Iterator[Figure]:
    """Judgements about VMs in a second of CPU, for a person with many role assignments."""
    groups = [_name_group(number % ASSIGNMENTS) for number in range(machines)]
    rights, vms = make_rights(ASSIGNMENTS), list(map(make_machine, groups, range(machines)))
    found = [machines / measure(rights, vms) for _ in range(runs)]
    yield Figure(
        name="rbac_evaluations_per_second",
        value=median(found),
        unit="judgements about a VM in a second of CPU",
        goal=Goal(at_least=_FEWEST),
        details={"assignments": ASSIGNMENTS, "machines": machines, "runs": runs},
    )


def _name_group(number: int) -> str:
    return f"{_HERE}/resourceGroups/rg-{number}"


def measure(rights: Rights, vms: list[VirtualMachine]) -> float:
    """Return the seconds of CPU for judging all of *vms*, which the person may ask for."""
    began = time.process_time()
    allowed = [judge_machine(rights, vm, "#").is_allowed for vm in vms]
    took = time.process_time() - began
    if not all(allowed):
        raise MeasurementFailed("a person with the role everywhere lacks a right")
    return took


def make_rights(assignments: int) -> Rights:
    """Return the rights of a person with so many assignments, each at a group of resources."""
    role = f"{_HERE}{_PROVIDER}/roleDefinitions/{_PERSON}"
    roles = read_roles([_make_role(role)])
    scopes = map(_name_group, range(assignments))
    listed = read_assignments([_make_assignment(role, scope) for scope in scopes], _PERSON)
    return build_rights(RightsRules(roles, ()), listed, _PERSON)


def _make_role(role_id: str) -> dict[str, Any]:
    permission = {"actions": ["*"], "notActions": [], "dataActions": [], "notDataActions": []}
    properties = {"roleName": "Owner", "permissions": [permission], "assignableScopes": [_HERE]}
    return {"id": role_id, "name": _PERSON, "properties": properties}


def _make_assignment(role_id: str, scope: str) -> dict[str, Any]:
    properties = {
        "roleDefinitionId": role_id,
        "principalId": _PERSON,
        "principalType": "User",
        "scope": scope,
        "condition": None,
    }
    return {"id": f"{scope}{_PROVIDER}/roleAssignments/r", "name": "r", "properties": properties}


def make_machine(group_id: str, number: int) -> VirtualMachine:
    """Return a VM with a JIT policy in a group of resources."""
    group = f"{group_id}/providers"
    return VirtualMachine(
        id=f"{group}/Microsoft.Compute/virtualMachines/vm{number}",
        name=f"vm{number}",
        location="x",
        support=Support.CONFIGURED,
        policy_id=f"{group}/Microsoft.Security/locations/x/jitNetworkAccessPolicies/default",
    )
