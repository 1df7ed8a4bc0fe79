"""The state as a document: a test reads it, or changes it like a person with the portal."""

from __future__ import annotations

import copy
from typing import Any

from local.azure.arm.supported_versions import read_supported
from local.azure.landscape.arm_forms import group_properties
from local.azure.network.admin_rules import parse_rules
from local.azure.values import ids
from local.azure.values.http import Json
from local.azure.values.times import format_rfc3339
from local.azure.world import World

_PARTS = {"resources", "options", "deniedActions", "plans", "adminRules", "apiVersions"}
_RULE = f"{ids.SECURITY_GROUPS}/securityRules"


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
    }


def patch_state(world: World, document: Json) -> None:
    """
    Change the parts that *document* names, leave the rest.

    ``resources`` are replaced one by one, null deletes; a rule of an NSG has an id
    of its own here as in ARM. ``options`` are merged. ``deniedActions`` replace
    the denied ones: patterns for the broker, or ``{"person", "action"}``. ``plans``
    replace Defender's plans by subscription: ``{"pricingTier", "subPlan"?}``. ``adminRules``
    replace the effective security admin rules of the virtual networks that they name.
    ``apiVersions`` replace the versions that types take; a type that is not there takes every one.

    Raises:
        ValueError: It makes no sense; nothing has been changed then.
    """
    unknown = document.keys() - _PARTS - {"now"}
    if unknown:
        raise ValueError(f"known are {', '.join(sorted(_PARTS))}; unknown: {sorted(unknown)}")
    resources = document.get("resources", {})
    parts = {name: _parse_resource(world, name, resource) for name, resource in resources.items()}
    plans = document.get("plans", {})
    for subscription, plan in plans.items():
        _check_plan(world, subscription, plan)
    denied = [_read_denial(world, each) for each in document.get("deniedActions", ())]
    admin = {
        ids.key(network_id): parse_rules(network_id, rules)
        for network_id, rules in document.get("adminRules", {}).items()
    }
    versions = read_supported(document.get("apiVersions", world.api_versions))
    world.options.change(document.get("options", {}))
    world.admin_rules.update(admin)
    world.api_versions = versions
    if "deniedActions" in document:
        world.directory.denied[:] = denied
    for subscription, plan in plans.items():
        world.subscriptions[subscription.lower()]["defenderPlan"] = plan
    for resource_id, resource in resources.items():
        _replace(world, resource_id, parts[resource_id], copy.deepcopy(resource))


def _read_denial(world: World, given: Any) -> tuple[str, str]:
    person, action = (
        ("broker", given) if isinstance(given, str) else (given["person"], given["action"])
    )
    if person not in world.directory.principals:
        raise ValueError(f"nobody is called {person!r}")
    return person, str(action)


def _check_plan(world: World, subscription: str, plan: object) -> None:
    if subscription.lower() not in world.subscriptions:
        raise ValueError(f"there is no subscription {subscription}")
    if not isinstance(plan, dict) or plan.get("pricingTier") not in {"Free", "Standard"}:
        raise ValueError("a plan has a pricingTier: Free or Standard")


def _parse_resource(world: World, resource_id: str, resource: object) -> ids.ResourceId:
    parts = ids.parse(resource_id)
    if parts is None:
        raise ValueError(f"{resource_id!r} is not a resource id")
    if parts.is_type(_RULE) and world.store.get(ids.parent(resource_id)) is None:
        raise ValueError(f"there is no group for {resource_id}")
    properties = resource.get("properties") if isinstance(resource, dict) else None
    if resource is not None and not isinstance(properties, dict):
        raise ValueError(f"{resource_id} needs properties")
    return parts


def _replace(world: World, resource_id: str, parts: ids.ResourceId, resource: Json | None) -> None:
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
