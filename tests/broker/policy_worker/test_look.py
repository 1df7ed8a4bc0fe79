"""A look at Azure: a gap in it decides nothing."""

import pytest

from tests.broker.inprocess import (
    wish,
)
from tests.local.azure.sim import WEB01


@pytest.mark.parametrize(
    "kind",
    [
        "virtualMachines/",
        "networkInterfaces",
        "virtualNetworks",
        "azureFirewalls",
        "Groups/nsg-web",
    ],
)
def test_a_short_gap_in_a_look_denies_no_request(broker, kind):
    """Half a VM looks unsupported, or reached another way: it is not decided about."""
    request_id = broker.ask(wish(WEB01, 3389))
    down = {"status": 503, "code": "ServerUnavailable"}
    broker.sim.faults({"match": {"method": "GET", "path": kind}, "times": 4, "answer": down})

    broker.live(9)

    assert broker.status(request_id) == "open"
    assert broker.grant(request_id).connection.via == "firewall"


def test_a_firewall_that_is_called_absent_once_does_not_make_for_another_way(broker):
    """The inventory knows it: whether it is gone is for a comparison to find out."""
    request_id = broker.ask(wish(WEB01, 3389))
    absent = {"status": 404, "code": "ResourceNotFound"}
    match = {"method": "GET", "path": "azureFirewalls/fw-prod"}
    broker.sim.faults({"match": match, "times": 1, "answer": absent})

    broker.live(9)

    assert broker.grant(request_id).connection.via == "firewall"
    assert broker.status(request_id) == "open"
