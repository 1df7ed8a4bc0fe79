"""Rows of grants that nobody asked for: somebody holds the key of the storage account."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from jit.domain.model.grant import CloseReason, Status
from tests.broker.inprocess import InProcess, policy_of
from tests.builders.grants import a_grant_of, a_request
from tests.local.azure.sim import DB01, NSG_DB

HOUR = timedelta(hours=1)


def forge(broker: InProcess, **fields: Any) -> str:
    """Write a request with one grant for db01 past every decision; return its id."""
    request = a_request(broker.now, policy_of(DB01))
    broker.requests.insert(request, [a_grant_of(request, DB01, **fields)], [])
    return str(request.id)


def opening(broker: InProcess, **fields: Any) -> dict[str, Any]:
    """The fields of a forged grant that looks admitted already."""
    end = broker.now + 720 * HOUR
    return {
        "status": Status.OPENING,
        "admitted_at": broker.now,
        "expires_at": end,
        "latest_end": end,
        **fields,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"port": 4444},
        {"port": 3389, "sources": (ip_network("198.51.100.9/32"),)},
    ],
)
@pytest.mark.parametrize("admitted", [True, False])
def test_a_forged_grant_opens_nothing_outside_the_jit_policy(broker, fields, admitted):
    """The policy in Azure is read in each pass, and the key of the storage does not write it."""
    request_id = forge(broker, **(opening(broker, **fields) if admitted else fields))

    broker.live(5)

    assert broker.initiates() == []
    assert broker.grant(request_id).close_reason is CloseReason.DENIED


def test_a_forged_end_is_cut_to_the_longest_access_of_the_jit_policy(broker):
    """Inside the policy a row is a decision: that is why the account must be guarded."""
    request_id = forge(broker, **opening(broker))

    broker.live(2)

    assert broker.grant(request_id).expires_at <= broker.now + 3 * HOUR


def test_a_forged_record_makes_the_broker_remove_no_rule_of_a_customer(broker):
    """A rule without a name of Defender's belongs to no grant, also if a row says so."""
    rule = f"{NSG_DB}/securityRules/allow-postgres"
    request_id = forge(
        broker,
        **opening(broker, status=Status.CLOSING, rules=(rule,), initiates=("x" * 26,)),
        port=5432,
        closing_at=broker.now,
        close_reason=CloseReason.REVOKED,
        private_ips=("10.2.1.4",),
    )

    broker.live(40)

    assert broker.status(request_id) == "closed"
    assert rule.rpartition("/")[2] in [
        each["name"] for each in broker.sim.get(NSG_DB)["properties"]["securityRules"]
    ]
