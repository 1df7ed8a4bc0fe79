"""Groups with letters beyond ASCII: what the broker lists it opens, compares and closes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jit.domain.values import arm_ids
from tests.broker.inprocess import HERE, InProcess, wish
from tests.broker.reconciling import Reconciling
from tests.fakes.azure import SimulatedAzure
from tests.local.azure.sim import PRODUCTION, ROLE


@pytest.mark.parametrize("name", ["rg-täst", "rg-日本", "RG-ÄÖ_(1)"])
def test_a_vm_of_a_group_with_any_letters_has_its_whole_life(name):
    """Over the real SDK: its id is part of each path."""
    text = json.dumps(ROLE.document, ensure_ascii=False).replace("rg-db", name)
    broker = InProcess(replace(ROLE, document=json.loads(text)))
    broker.azure = SimulatedAzure(broker.sim, broker.calls)
    broker.observer = broker.azure.observer()
    broker.name(PRODUCTION)
    it = Reconciling(broker)
    it.run(PRODUCTION)
    (listed,) = (vm for vm in broker.inventory.list_machines(PRODUCTION) if vm.name == "db01")

    request_id = broker.ask(wish(listed.id))
    broker.live(5)
    it.run(PRODUCTION)

    assert arm_ids.key(arm_ids.resource_group(listed.id)) == arm_ids.key(name)
    assert (broker.status(request_id), broker.reachable(listed.id)) == ("open", True)
    assert it.planned(PRODUCTION) == []

    broker.revoke(request_id)
    broker.live(5)

    assert (broker.status(request_id), broker.reachable(listed.id, source=HERE)) == (
        "closed",
        False,
    )
