"""
All ARM resources, as ARM would show them.

A resource is the JSON that a GET returns. Rules, subnets, other children live
inside their parent; one write gives the parent with all its children one new
etag, as the network provider does. Beside these shown properties the store keeps the
*effective* ones, which packets meet. They follow when an update has succeeded.
"""

from __future__ import annotations

import copy
import pickle
import uuid
from collections.abc import Iterator

from local.azure.values import ids
from local.azure.values.http import Json

_CHILDREN = {
    ids.SECURITY_GROUPS.lower(): {
        "securityRules": "securityRules",
        "defaultSecurityRules": "defaultSecurityRules",
    },
    ids.FIREWALLS.lower(): {
        "ipConfigurations": "azureFirewallIpConfigurations",
        "natRuleCollections": "natRuleCollections",
        "networkRuleCollections": "networkRuleCollections",
        "applicationRuleCollections": "applicationRuleCollections",
    },
    ids.INTERFACES.lower(): {"ipConfigurations": "ipConfigurations"},
    ids.NETWORKS.lower(): {"subnets": "subnets"},
    ids.BASTIONS.lower(): {"ipConfigurations": "bastionHostIpConfigurations"},
    ids.ADDRESSES.lower(): {},
    ids.LOAD_BALANCERS.lower(): {
        "frontendIPConfigurations": "frontendIPConfigurations",
        "inboundNatRules": "inboundNatRules",
    },
}
_LAGGING = {ids.SECURITY_GROUPS.lower(), ids.FIREWALLS.lower()}
_SPACE = uuid.UUID("4d8b8c2e-7d0d-4c43-9b6f-51a2d4f0a3e1")


class Guids:
    """New GUIDs, the same ones in each run: a failing run can be repeated exactly."""

    def __init__(self) -> None:
        self.last = 0

    def new(self) -> str:
        """Return a GUID that was not returned before."""
        self.last += 1
        return str(uuid.uuid5(_SPACE, str(self.last)))


class Store:
    """The resources by id, found without regard to case."""

    def __init__(self, guids: Guids) -> None:
        self._guids = guids
        self._resources: dict[str, Json] = {}
        self._effective: dict[str, Json] = {}

    def save(self) -> bytes:
        """Return everything in the store, for ``load``."""
        return pickle.dumps((self._guids.last, self._resources, self._effective))

    def load(self, saved: bytes) -> None:
        """Hold again what was in a store when it was saved, as new objects."""
        parts = pickle.loads(saved)  # noqa: S301 - bytes of this process
        self._guids.last, self._resources, self._effective = parts

    def get(self, resource_id: str) -> Json | None:
        """Return the stored resource itself, not a copy: a change of it changes the store."""
        return self._resources.get(ids.key(resource_id))

    def put(self, resource: Json) -> Json:
        """Store *resource* under its id, effective at once; return it as stored."""
        self._resources[ids.key(resource["id"])] = resource
        self.stamp(resource, resource.get("properties", {}).get("provisioningState", "Succeeded"))
        self.take_effect(resource)
        return resource

    def add(self, resource: Json) -> Json:
        """Store *resource* without effect yet; return it as stored."""
        self._resources[ids.key(resource["id"])] = resource
        return resource

    def remove(self, resource_id: str) -> None:
        """Forget the resource, shown or effective."""
        self._resources.pop(ids.key(resource_id), None)
        self._effective.pop(ids.key(resource_id), None)

    def all(self) -> Iterator[Json]:
        """Yield every resource in the order of their ids."""
        return (self._resources[each] for each in sorted(self._resources))

    def list_of_type(self, type_: str, subscription: str, group: str | None = None) -> list[Json]:
        """Return the resources of *type_* in a subscription or group, in the order of ids."""
        prefix = ids.lower(f"/subscriptions/{subscription}/resourcegroups/{group or ''}")
        prefix = prefix + "/" if group else prefix
        found = [
            each
            for each, resource in self._resources.items()
            if each.startswith(prefix) and resource["type"].lower() == type_.lower()
        ]
        return [self._resources[each] for each in sorted(found)]

    def take_effect(self, resource: Json) -> None:
        """Let packets meet the resource as it is shown now; only rules can lag behind."""
        if resource["type"].lower() not in _LAGGING:
            return
        properties = copy.deepcopy(resource.get("properties", {}))
        self._effective[ids.key(resource["id"])] = properties

    def effective(self, resource_id: str) -> Json:
        """Return the properties of an NSG or firewall that packets meet; empty without one."""
        return self._effective.get(ids.key(resource_id), {})

    def stamp(self, resource: Json, state: str) -> None:
        """
        Give *resource* with its children a new etag and *state* as provisioning state.

        Children get the ids, types of their place. A child that is being deleted
        stays so while its parent is updating. Providers other than the network's
        have no etags; theirs stay as they are.
        """
        lists = _CHILDREN.get(resource["type"].lower())
        if lists is None:
            return
        etag = f'W/"{self._guids.new()}"'
        resource["etag"] = etag
        resource.setdefault("properties", {})["provisioningState"] = state
        for name, segment in lists.items():
            for child in resource["properties"].get(name, ()):
                _stamp_child(resource, child, segment, etag, state)


def _stamp_child(parent: Json, child: Json, segment: str, etag: str, state: str) -> None:
    child["id"] = f"{parent['id']}/{segment}/{child['name']}"
    child["etag"] = etag
    if not segment.endswith("RuleCollections"):  # those have no type in the specification
        child["type"] = f"{parent['type']}/{segment}"
    properties = child.setdefault("properties", {})
    leaving = properties.get("provisioningState") == "Deleting" and state == "Updating"
    properties["provisioningState"] = "Deleting" if leaving else state
