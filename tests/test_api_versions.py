"""The versions of Azure's APIs: one for each type of resource."""

from __future__ import annotations

import re
from collections import defaultdict

from jit import api_versions
from tests.broker.inprocess import InProcess, wish
from tests.broker.reconciling import Reconciling
from tests.fakes.azure import SimulatedAzure
from tests.local.azure.sim import PRODUCTION, WEB01

VERSIONS = {value for name, value in vars(api_versions).items() if name.isupper()}
RIGHTS = ("roleAssignments", "roleDefinitions", "denyAssignments")
TYPE = re.compile(r"/providers/([^/]+/(?:locations/[^/]+/)?[^/]+)")


def list_versions(broker):
    """Return the versions of the broker's calls by type of resource."""
    found = defaultdict(set)
    for call in broker.sim.control("GET", "log"):
        if call["principal"] == "broker":
            kinds = TYPE.findall(call["path"])
            kind = re.sub("/locations/[^/]+", "", kinds[-1].lower()) if kinds else "subscriptions"
            found[kind].add(call["query"]["api-version"])
    return found


def test_lists_reads_and_writes_of_one_type_have_one_version():
    """Over the real clients: a firewall that is read in one version is written in the same."""
    broker = InProcess()
    broker.azure = SimulatedAzure(broker.sim, broker.calls)
    broker.observer = broker.azure.observer()
    broker.name(PRODUCTION)
    it = Reconciling(broker)
    request_id = broker.ask(wish(WEB01, 3389))
    broker.live(10)
    it.run(PRODUCTION)

    broker.revoke(request_id)
    broker.live(20)
    broker.observer.list_readable()
    for kind in RIGHTS:
        path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Authorization/{kind}"
        broker.azure.arm.list(path, api_versions.AUTHORIZATION)

    assert broker.status(request_id) == "closed"
    assert ("PUT", "fw-prod") in it.writes()
    versions = list_versions(broker)
    assert {kind: found for kind, found in versions.items() if len(found) > 1} == {}
    assert set.union(*versions.values()) == VERSIONS
