"""
The check of the resources that a test puts into the state: all faults, each with its place.

The simulator takes what Azure could show. So a later reader never fails, and a misspelt state is
no proof of anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local.azure.arm.store import Store
from local.azure.control.resource_shapes import FRAME, LINKS, RULE, SHAPES
from local.azure.network import firewall_checks, security_rules
from local.azure.values import ids
from local.azure.values.http import ArmError, Json
from local.azure.values.shapes import find_faults

_RULES = f"{ids.SECURITY_GROUPS}/securityRules"
_SUBNETS = f"{ids.NETWORKS}/subnets"
_TYPES = {each.lower(): each for each in SHAPES}


class ResourceCheck:
    """Checks resources against each other and those that are in *store* already."""

    def __init__(self, store: Store, resources: Mapping[str, Any]) -> None:
        """Check *resources*, by id; null deletes one."""
        self._store = store
        self._resources = resources
        self._given = {ids.key(name): resource for name, resource in resources.items()}

    def find_faults(self) -> Iterator[str]:
        """Yield a sentence for each fault, which begins with its place."""
        shaped = []
        for name, resource in self._resources.items():
            faults = list(self._find_shape_faults(name, resource))
            yield from faults
            if faults:
                self._given[ids.key(name)] = {"properties": {}}  # nobody reads a wrong shape
            elif resource is not None:
                shaped.append((name, resource))
        for name, resource in shaped:
            yield from self._find_meaning_faults(name, resource)

    def _find_shape_faults(self, name: str, resource: Any) -> Iterator[str]:
        place = _show_place(name)
        parts = ids.parse(name)
        if parts is None:
            yield f"{place} is not a resource id"
        elif fault := self._find_misplaced(name, parts):
            yield f"{place} {fault}"
        elif resource is not None:
            shape = {**FRAME, "properties!": SHAPES.get(_type_of(parts), {})}
            shape = RULE if parts.is_type(_RULES) else shape
            wrong = list(find_faults(resource, shape, place, strict=True))
            yield from (f"{where} is not {wanted}" for where, wanted in wrong)
            given = "" if wrong else resource.get("type") or parts.type
            if given and not parts.is_type(given):
                yield f"{place}.type is {given!r}, not {parts.type!r}"

    def _find_misplaced(self, name: str, parts: ids.ResourceId) -> str | None:
        """Return the fault of a child whose parent is not there, or that has no id of its own."""
        if parts.is_type(_RULES):
            there = self._find(ids.parent(name)) is not None
            return None if there else "is a rule of a group that is not there"
        owner = ids.lower(parts.type).rpartition("/")[0]
        return f"stands in its {_TYPES[owner]}, not alone" if owner in _TYPES else None

    def _find(self, resource_id: str) -> Json | None:
        """Return a resource as it is after the change."""
        wanted = ids.key(resource_id)
        return self._given[wanted] if wanted in self._given else self._store.get(resource_id)

    def _find_meaning_faults(self, name: str, resource: Json) -> Iterator[str]:
        """Yield the faults of a resource that has its shape: what Azure would refuse."""
        parts = ids.parse(name)
        properties, place = resource["properties"], f"{_show_place(name)}.properties"
        type_ = "" if parts is None else _type_of(parts)
        if parts is not None and parts.is_type(_RULES):
            yield from _find_rule_faults([{"name": parts.name, **resource}], place)
        elif type_ == ids.SECURITY_GROUPS:
            rules = properties.get("securityRules", ())
            yield from _find_rule_faults(rules, f"{place}.securityRules")
            defaults = list(map(_rank_default, properties.get("defaultSecurityRules", ())))
            yield from _find_rule_faults(defaults, f"{place}.defaultSecurityRules")
        elif type_ == ids.NETWORKS:
            yield from _find_subnet_faults(properties, place)
        elif type_ == ids.FIREWALLS:
            yield from self._find_firewall_faults(properties, place)
        elif type_ == ids.LOAD_BALANCERS:
            yield from _find_balancer_faults(properties, place)
        for where, target in _list_links(properties, LINKS.get(type_, ()), place):
            if not self._is_there(target):
                yield f"{where} leads to {target}, which is not there"

    def _is_there(self, target: str) -> bool:
        parts = ids.parse(target)
        if parts is None or not parts.is_type(_SUBNETS):
            return self._find(target) is not None
        network = self._find(ids.parent(target)) or {"properties": {}}
        subnets = network["properties"].get("subnets", ())
        return parts.name.lower() in [each["name"].lower() for each in subnets]

    def _find_firewall_faults(self, properties: Json, place: str) -> Iterator[str]:
        addresses = []
        for leg in properties.get("ipConfigurations", ()):
            link = leg["properties"].get("publicIPAddress") or {"id": ""}
            public = self._find(link["id"]) or {"properties": {}}
            addresses.append(public["properties"].get("ipAddress", ""))
        if not addresses:  # a firewall that was deallocated keeps its rules
            addresses = list(_list_nat_destinations(properties))
        try:
            firewall_checks.check(properties, addresses)
        except ArmError as error:
            yield f"{place}: {error.message}"


def _show_place(name: str) -> str:
    return f"resources[{name!r}]"


def _type_of(parts: ids.ResourceId) -> str:
    """Return the type as Azure writes it; empty for one that the simulator does not read."""
    return _TYPES.get(ids.lower(parts.type), "")


def _list_nat_destinations(properties: Json) -> Iterator[str]:
    for collection in properties.get("natRuleCollections", ()):
        for rule in collection["properties"].get("rules", ()):
            yield from rule.get("destinationAddresses", ())


def _find_rule_faults(rules: Any, place: str) -> Iterator[str]:
    """Yield the first fault of each rule, and the first of all of them together."""
    for index, rule in enumerate(rules):
        try:
            security_rules.read(rule["name"], rule["properties"])
        except ArmError as error:
            yield f"{place}[{index}]: {error.message}"
    try:
        security_rules.check_together(rules)
    except ArmError as error:
        yield f"{place}: {error.message}"


def _rank_default(rule: Json) -> Json:
    """Return one of Azure's own rules with a priority that a customer's rule may have."""
    priority = rule["properties"]["priority"] % 1000 + security_rules.LOWEST
    return {**rule, "properties": {**rule["properties"], "priority": priority}}


def _find_subnet_faults(properties: Json, place: str) -> Iterator[str]:
    for index, subnet in enumerate(properties.get("subnets", ())):
        inner = subnet["properties"]
        if not (inner.get("addressPrefix") or inner.get("addressPrefixes")):
            where = f"{place}.subnets[{index}].properties"
            yield f"{where} needs addressPrefix or addressPrefixes"


def _find_balancer_faults(properties: Json, place: str) -> Iterator[str]:
    names = [each["name"].lower() for each in properties.get("frontendIPConfigurations", ())]
    for index, rule in enumerate(properties.get("inboundNatRules", ())):
        frontend = rule["properties"]["frontendIPConfiguration"]["id"].rsplit("/", 1)[-1]
        if frontend.lower() not in names:
            yield f"{place}.inboundNatRules[{index}] has a frontend that is not there"


def _read_link(target: Any) -> str:
    """Return the id of a link, also in a member whose shape nobody checks."""
    return str(target.get("id")) if isinstance(target, dict) else ""


def _list_links(value: Any, names: tuple[str, ...], place: str) -> Iterator[tuple[str, str]]:
    """Yield the place and target of each link in *value* that has one of *names*."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _list_links(each, names, f"{place}[{index}]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            targets = inner if isinstance(inner, list) else [inner]
            if name in names:
                for target in filter(None, targets):
                    yield f"{place}.{name}", _read_link(target)
            else:
                yield from _list_links(inner, names, f"{place}.{name}")
