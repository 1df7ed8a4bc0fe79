"""Everything the simulated Azure knows at one instant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local.azure.arm import directory
from local.azure.arm.directory import Directory
from local.azure.arm.operations import Operations
from local.azure.arm.store import Guids, Store
from local.azure.arm.throttle import Throttle
from local.azure.arm.tokens import Tokens
from local.azure.control.faults import Faults
from local.azure.control.journal import Journal
from local.azure.defender.service import Defender
from local.azure.defender.write_queues import WriteQueues
from local.azure.landscape.file import Landscape
from local.azure.options import Options
from local.azure.timeline import Timeline
from local.azure.values import ids
from local.azure.values.http import Json

_BEGINNINGS: dict[str, bytes] = {}
"""The resources of each landscape as they are at first. To build them takes longer than to load."""


@dataclass
class World:
    """
    The parts, put together; see each one's own module.

    Attributes:
        subscriptions: By id in lower case: ``id, name, defenderPlan``.
        groups: Resource groups as (subscription, name), in lower case.
        api_versions: The versions of a type in lower case, if not the usual ones.
        admin_rules: The effective security admin rules of virtual networks, by the network's key.
    """

    tenant: str
    subscriptions: dict[str, Json]
    groups: set[tuple[str, str]]
    timeline: Timeline
    options: Options
    guids: Guids
    store: Store
    operations: Operations
    directory: Directory
    tokens: Tokens
    throttle: Throttle
    faults: Faults
    journal: Journal
    defender: Defender
    latency_seconds: float = 0.0
    api_versions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    admin_rules: dict[str, list[Json]] = field(default_factory=dict)


def create_world(landscape: Landscape, timeline: Timeline, identity_header: str | None) -> World:
    """Return the world as *landscape* describes it."""
    options, guids, faults = Options(), Guids(), Faults()
    options.change(landscape.document.get("options", {}))
    store = Store(guids)
    operations = Operations(
        timeline, store, guids, keeps_old=lambda type_: _keeps_old(options, type_)
    )
    turns = WriteQueues(store, operations, options, faults)
    operations.on_freed = turns.start_next
    people = directory.read(landscape.document, landscape.roles)
    world = World(
        tenant=landscape.tenant,
        subscriptions={each["id"].lower(): dict(each) for each in landscape.subscriptions},
        groups=landscape.groups(),
        timeline=timeline,
        options=options,
        guids=guids,
        store=store,
        operations=operations,
        directory=people,
        tokens=Tokens(people, landscape.tenant, identity_header),
        throttle=Throttle(timeline.elapsed_seconds),
        faults=faults,
        journal=Journal(),
        defender=Defender(timeline, store, options, faults, turns),
    )
    key = json.dumps(landscape.document)
    if key not in _BEGINNINGS:
        _populate(world, landscape)
        _BEGINNINGS[key] = store.save()
    store.load(_BEGINNINGS[key])
    return world


def _keeps_old(options: Options, type_: str) -> bool:
    return options.firewall_keeps_old_on_failure or type_.lower() != ids.FIREWALLS.lower()


def _populate(world: World, landscape: Landscape) -> None:
    for resource in landscape.resources():
        world.store.put(resource)
    for resource in world.store.all():
        for name, target, user in _find_group_users(resource):
            _note_user(world.store, name, target, user)
    for resource in list(world.store.all()):
        if resource["type"] == ids.JIT_POLICIES:
            world.defender.protection.protect(resource, at_once=True)


def _find_group_users(resource: Json) -> Iterator[tuple[str, str, str]]:
    """Yield the NSGs that *resource* uses: the list there, the NSG, the id it lists."""
    properties: dict[str, Any] = resource["properties"]
    if resource["type"] == ids.INTERFACES and "networkSecurityGroup" in properties:
        yield "networkInterfaces", properties["networkSecurityGroup"]["id"], resource["id"]
    for subnet in properties.get("subnets", ()) if resource["type"] == ids.NETWORKS else ():
        if "networkSecurityGroup" in subnet["properties"]:
            yield "subnets", subnet["properties"]["networkSecurityGroup"]["id"], subnet["id"]


def _note_user(store: Store, name: str, target: str, user: str) -> None:
    group = store.get(target)
    if group is not None:
        group["properties"].setdefault(name, []).append({"id": user})
