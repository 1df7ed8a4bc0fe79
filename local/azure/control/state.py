"""The state as a document: a test reads it, or changes it like a person with the portal."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from local.azure.arm.versions import read_versions
from local.azure.control.rights_state import find_right_faults, patch_rights, show_rights
from local.azure.control.state_check import ResourceCheck
from local.azure.landscape.arm_forms import group_properties
from local.azure.network.admin_rules import parse_rules
from local.azure.options import Options
from local.azure.values import ids
from local.azure.values.http import Json
from local.azure.values.shapes import find_faults
from local.azure.values.times import format_rfc3339
from local.azure.world import World

_RULE = f"{ids.SECURITY_GROUPS}/securityRules"
_DOCUMENT = {
    "resources": {},
    "options": {},
    "deniedActions": list,
    "plans": {},
    "adminRules": {},
    "apiVersions": {},
    "authorization": {},
}
_PARTS = _DOCUMENT.keys()
_DENIAL = {"person!": str, "action!": str}
_MOST_FAULTS = 20


def show_state(world: World) -> Json:
    """Return the whole state as JSON: resources by id as ARM shows them, the switches."""
    return {
        "now": format_rfc3339(world.timeline.now),
        "resources": {resource["id"]: resource for resource in world.store.all()},
        "options": world.options.document(),
        "deniedActions": [
            what if who == "broker" else {"person": who, "action": what}
            for who, what in world.directory.denied
        ],
        "plans": {each["id"]: each["defenderPlan"] for each in world.subscriptions.values()},
        "adminRules": world.admin_rules,
        "apiVersions": world.api_versions,
        "authorization": show_rights(world.directory.rights),
    }


def patch_state(world: World, document: Json) -> None:
    """
    Change the parts that *document* names, leave the rest.

    ``resources`` are replaced one by one, null deletes; a rule of an NSG has an id
    of its own here as in ARM. ``options`` are merged. ``deniedActions`` replace
    the denied ones: patterns for the broker, or ``{"person", "action"}``. ``plans``
    replace Defender's plans by subscription: ``{"pricingTier", "subPlan"?}``. ``adminRules``
    replace the effective security admin rules of the virtual networks that they name.
    ``apiVersions`` replace the versions that types take; other types take the usual ones.
    ``authorization`` replaces roles, assignments, groups one by one; null deletes.

    A null deletes a resource even if others still lead to it: a list may lack it for a moment.

    Raises:
        ValueError: It makes no sense; nothing has been changed then. The message names the place
            of each fault, at most 20 of them.
    """
    faults = list(_find_faults(world, document))
    if faults:
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        raise ValueError("; ".join(faults[:_MOST_FAULTS]) + more)
    patch_rights(world.directory.rights, document.get("authorization", {}))
    if "apiVersions" in document:
        world.api_versions = read_versions(document["apiVersions"])
    world.options.change(document.get("options", {}))
    for network_id, rules in document.get("adminRules", {}).items():
        world.admin_rules[ids.key(network_id)] = parse_rules(network_id, rules)
    if "deniedActions" in document:
        world.directory.denied[:] = map(_read_denial, document["deniedActions"])
    for subscription, plan in document.get("plans", {}).items():
        world.subscriptions[subscription.lower()]["defenderPlan"] = plan
    for resource_id, resource in document.get("resources", {}).items():
        _replace(world, resource_id, copy.deepcopy(resource))


def _find_faults(world: World, document: Json) -> Iterator[str]:
    """Yield a sentence for each fault of *document*."""
    unknown = sorted(document.keys() - _PARTS - {"now"})
    if unknown:
        yield f"known are {', '.join(sorted(_PARTS))}; unknown: {unknown}"
    wrong = list(find_faults(document, _DOCUMENT, "", strict=True))
    yield from (f"{place.removeprefix('.')} is not {wanted}" for place, wanted in wrong)
    if unknown or wrong:
        return
    yield from _tell_fault("options", lambda: Options().change(document.get("options", {})))
    for network_id, rules in document.get("adminRules", {}).items():
        yield from _tell_fault("", partial(parse_rules, network_id, rules))
    yield from _find_version_faults(document.get("apiVersions", {}))
    given = document.get("authorization", {})
    yield from find_right_faults(world.directory.rights, given, "authorization")
    for index, denial in enumerate(document.get("deniedActions", ())):
        place = f"deniedActions[{index}]"
        yield from _tell_fault(place, partial(_check_denial, world, denial, place))
    for subscription, plan in document.get("plans", {}).items():
        place = f"plans[{subscription!r}]"
        yield from _tell_fault(place, partial(_check_plan, world, subscription, plan))
    yield from ResourceCheck(world.store, document.get("resources", {})).find_faults()


def _find_version_faults(versions: Json) -> Iterator[str]:
    shape = {kind: [str] for kind in versions}
    wrong = list(find_faults(versions, shape, "apiVersions", strict=True))
    yield from (f"{place} is not {wanted}" for place, wanted in wrong)
    if not wrong:
        yield from _tell_fault("", partial(read_versions, versions))


def _tell_fault(place: str, check: Callable[[], object]) -> Iterator[str]:
    """Yield the fault that *check* raises, after its place."""
    try:
        check()
    except ValueError as error:
        yield f"{place}: {error}" if place else str(error)


def _check_denial(world: World, given: Any, place: str) -> None:
    if not isinstance(given, str):
        for where, wanted in find_faults(given, _DENIAL, place):
            raise ValueError(f"{where} is not {wanted}")
    person, _ = _read_denial(given)
    if person not in world.directory.principals:
        raise ValueError(f"nobody is called {person!r}")


def _read_denial(given: Any) -> tuple[str, str]:
    return ("broker", given) if isinstance(given, str) else (given["person"], given["action"])


def _check_plan(world: World, subscription: str, plan: object) -> None:
    if subscription.lower() not in world.subscriptions:
        raise ValueError("there is no such subscription")
    if not isinstance(plan, dict) or plan.get("pricingTier") not in {"Free", "Standard"}:
        raise ValueError("a plan has a pricingTier: Free or Standard")


def _replace(world: World, resource_id: str, resource: Json | None) -> None:
    parts = ids.parse(resource_id)
    if parts is None:
        raise AssertionError("the check comes before")
    if parts.is_type(_RULE):
        _replace_rule(world, ids.parent(resource_id), parts.name, resource)
    elif resource is None:
        world.store.remove(resource_id)
    else:
        _replace_whole(world, resource_id, parts, resource)


def _replace_whole(world: World, resource_id: str, parts: ids.ResourceId, resource: Json) -> None:
    old = world.store.get(resource_id) or {}
    frame = {
        "name": old.get("name", parts.name),
        "id": old.get("id", resource_id),
        "type": old.get("type", parts.type),
        "location": old.get("location", "westeurope"),
        "properties": {**_default_properties(parts), **resource["properties"]},
    }
    world.groups.add((parts.subscription.lower(), ids.lower(parts.group)))
    stored = world.store.put({**resource, **frame})
    if parts.is_type(ids.JIT_POLICIES):
        world.defender.adopt(stored)


def _default_properties(parts: ids.ResourceId) -> Json:
    """Return the properties that Azure never leaves out, for a test that does."""
    if parts.is_type(ids.SECURITY_GROUPS):
        return group_properties([])
    if parts.is_type(ids.JIT_POLICIES):
        return {"provisioningState": "Succeeded", "virtualMachines": [], "requests": []}
    return {}


def _replace_rule(world: World, group_id: str, name: str, rule: Json | None) -> None:
    group = world.store.get(group_id)
    if group is None:  # a null before it in the same patch took the group away
        return
    rules = group["properties"]["securityRules"]
    others = [each for each in rules if each["name"].lower() != name.lower()]
    fresh = [] if rule is None else [{"name": name, "properties": rule["properties"]}]
    group["properties"]["securityRules"] = [*others, *fresh]
    world.store.put(group)
