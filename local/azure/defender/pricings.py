"""Microsoft.Security pricings: which Defender plan covers a subscription or a VM."""

from __future__ import annotations

from local.azure.arm.routing import SUBSCRIPTION, Call, Route, not_found_error
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response, answer

_READ = "Microsoft.Security/pricings/read"
_FREE_PLANS = ("CloudPosture", "StorageAccounts")


def list_plans(call: Call) -> Response:
    """Answer with all plans of the subscription; this list has no pages."""
    names = ("VirtualMachines", *_FREE_PLANS)
    scope = f"/subscriptions/{call.names['subscription']}"
    return answer(200, {"value": [_build_plan(call, scope, name) for name in names]})


def get_plan(call: Call) -> Response:
    """Answer with one plan of the subscription."""
    name = _find_known_name(call.names["plan"])
    return answer(200, _build_plan(call, f"/subscriptions/{call.names['subscription']}", name))


def get_machine_plan(call: Call) -> Response:
    """Answer with the plan of one VM, which it inherits from its subscription."""
    machine = call.id(ids.MACHINES, "machine")
    if call.world.store.get(machine) is None:
        raise not_found_error(machine)
    plan = _build_plan(call, machine, _find_known_name(call.names["plan"]))
    above = f"/subscriptions/{call.names['subscription']}"
    plan["properties"].update(inherited="True", inheritedFrom=above)
    return answer(200, plan)


def _find_known_name(name: str) -> str:
    for known in ("VirtualMachines", *_FREE_PLANS):
        if known.lower() == name.lower():
            return known
    raise ArmError(404, "ResourceNotFound", f"The pricing '{name}' was not found.")


def _build_plan(call: Call, scope: str, name: str) -> Json:
    bought: Json = call.world.subscriptions[call.names["subscription"].lower()]["defenderPlan"]
    properties: Json = {"pricingTier": "Free", "freeTrialRemainingTime": "PT0S"}
    if name == "VirtualMachines":
        covered = bought["pricingTier"] == "Standard"
        coverage = "FullyCovered" if covered else "NotCovered"
        properties = {**properties, **bought, "resourcesCoverageStatus": coverage}
    return {
        "id": f"{scope}/providers/Microsoft.Security/pricings/{name}",
        "name": name,
        "type": "Microsoft.Security/pricings",
        "properties": properties,
    }


_PRICINGS = "/providers/Microsoft.Security/pricings"
_MACHINE = "/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{machine}"

ROUTES = (
    Route("GET", SUBSCRIPTION + _PRICINGS, _READ, list_plans),
    Route("GET", f"{SUBSCRIPTION}{_PRICINGS}/{{plan}}", _READ, get_plan),
    Route("GET", f"{SUBSCRIPTION}{_MACHINE}{_PRICINGS}/{{plan}}", _READ, get_machine_plan),
)
