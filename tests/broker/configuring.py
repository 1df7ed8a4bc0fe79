"""A configurator of JIT policies with everything around it."""

import json
from dataclasses import replace

from jit.domain.limits import LIMITS
from jit.domain.model.people import Person
from jit.domain.requests.policy_bodies import read_policy_delete, read_policy_put
from tests.builders.grants import a_grant_of, a_request
from tests.builders.stores import Surroundings, UseCases, stores_over
from tests.fakes.azure import SimulatedAzure
from tests.fakes.clock import FakeClock
from tests.fakes.queues import FakeQueues
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import (
    DB,
    DB01,
    DEVELOPMENT,
    PRODUCTION,
    Sim,
    group,
    machine,
    policy,
)

OLGA = Person(id="01ga", name="Olga")


PORTS = [{"number": 22, "protocol": "TCP", "allowedSources": ["10.0.0.0/8"], "maxDuration": "PT2H"}]


FARM51 = machine("farm51", group("rg-farm-1", DEVELOPMENT))


class Site:
    """A broker's configurator with everything around it."""

    def __init__(self):
        self.sim = Sim()
        self.azure = SimulatedAzure(self.sim)
        self.clock = FakeClock(self.sim.now)
        self.table = FakeTable(self.clock, calls=self.azure.calls, name="state")
        self.stores = stores_over(self.table, FakeTable(self.clock))
        self.requests, self.inventory = self.stores.requests, self.stores.inventory
        self.queues = FakeQueues(self.clock, calls=self.azure.calls)
        self.turns = self.stores.locks
        self.named = (PRODUCTION, DEVELOPMENT)

    @property
    def configurator(self):
        observer = self.azure.observer()
        around = Surroundings(
            observer=lambda: observer,
            queues=self.queues,
            policies=lambda: self.azure.policies,
            network=lambda: self.azure.network,
            limits=replace(LIMITS, subscriptions=self.named),
        )
        return UseCases(self.stores, around).configurator()

    def put(self, *ids, ports=None):
        body = [{"id": vm_id, "ports": ports or PORTS} for vm_id in ids]
        machines, faults = read_policy_put({"virtualMachines": body})
        assert not faults
        return self.configurator.put(machines, OLGA, now=self.sim.now)

    def delete(self, *ids):
        machines, faults = read_policy_delete({"virtualMachines": [{"id": i} for i in ids]})
        assert not faults
        return self.configurator.delete(machines, OLGA, now=self.sim.now)

    def entries(self, where=DB):
        """The VM entries of the group's policy ``default``, by VM name."""
        found = self.sim.get(policy(where))["properties"]["virtualMachines"]
        return {entry["id"].rsplit("/", 1)[-1]: entry for entry in found}

    def grant(self, vm_id=DB01, **changes):
        """Store a request with one grant on a VM of the group's policy."""
        request = a_request(self.sim.now, policy(vm_id.partition("/providers/")[0]))
        self.requests.insert(request, [a_grant_of(request, vm_id, **changes)], [])
        return request

    def trail(self):
        """The events in the outbox."""
        docs = [json.loads(str(row.values["Doc"])) for row in self.table.rows("a|")]
        return [(doc["what"], doc["actor"], doc["facts"]) for doc in docs]


def codes(error):
    return [(v.pointer, v.code) for v in error.value.violations]


def writes(site):
    return [
        name for name in site.azure.calls.names if name in {"policies.replace", "policies.delete"}
    ]


def fault(method, *, times=1, **what):
    return {
        "match": {"method": method, "path": "jitNetworkAccessPolicies/default"},
        "times": times,
        **what,
    }


def an_azure_port(**changes):
    return {
        "number": 3389,
        "protocol": "*",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT1H",
        **changes,
    }
