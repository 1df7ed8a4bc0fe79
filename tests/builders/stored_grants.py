"""Builders of requests and grants as the store holds them."""

from datetime import timedelta
from ipaddress import ip_network

from jit.domain.model.grant import Status
from jit.domain.model.machine import Via
from jit.domain.model.people import Person
from jit.domain.model.request import Decision, Request
from jit.domain.values import arm_ids, request_ids
from tests.builders.flat_grants import built

ALICE = Person(id="a11ce", name="Alice")
HERE = (ip_network("203.0.113.7/32"),)


def a_request(now, *policies, number=1):
    """A request for an hour of access under *policies*."""
    subscription = arm_ids.subscription(policies[0])
    return Request(
        id=request_ids.new_request_id(subscription, now, number.to_bytes(10, "big")),
        requester=ALICE,
        justification="CHG0030001 monthly patch",
        created_at=now,
        starts_at=now,
        duration=timedelta(hours=1),
        sources=HERE,
        policies=policies,
        decision=Decision(allowed=True, rule="jit-policy"),
    )


def a_grant(request, vm_id, *, index=0, port=22, status=Status.PENDING, **changes):
    """One grant of that request."""
    return built(
        **{
            "id": f"{request.id}-{index}-{port}",
            "request_id": request.id,
            "vm_id": vm_id,
            "policy_id": request.policies[0],
            "port": port,
            "protocol": "TCP",
            "sources": HERE,
            "via": Via.PUBLIC_IP,
            "starts_at": request.starts_at,
            "duration": request.duration,
            "latest_end": request.starts_at + timedelta(hours=2),
            "next_check_at": request.starts_at,
            "status": status,
            **changes,
        }
    )
