"""Builders of grants, by the flat names under which a row stores their values; of requests."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

from jit.domain.model.grant import CloseReason, Footprint, Grant, Initiate, Status
from jit.domain.model.machine import Connection, Via
from jit.domain.model.people import Person
from jit.domain.model.request import Decision, Request
from jit.domain.values import arm_ids, request_ids
from tests.builders.nsgs import rule_id
from tests.builders.values import (
    FIREWALL_ID,
    HERE,
    HOME,
    HOUR,
    MINE,
    MINUTE,
    NOW,
    POLICY_ID,
    PUBLIC,
    VM,
    vm_id,
)

ALICE = Person(id="a11ce000-0000-4000-8000-000000000001", name="Alice")

_INITIATE = {
    "initiates": "ids",
    "initiated_at": "at",
    "asked": "sources",
    "asked_mark": "sources_mark",
    "asked_until": "until",
    "attempts": "attempts",
    "taken": "taken",
    "refused_at": "refused_at",
    "refusal": "refusal",
    "reopens": "reopens",
    "answered": "answered",
    "before": "before",
    "written": "written",
    "seen": "seen",
}
_FOOTPRINT = ("rules", "companions", "private_ips")


def built(**fields):
    """A grant of those fields."""
    return Grant(**_nested(fields, Initiate(), Footprint()))


def changed(grant, **fields):
    """The same grant with other values in those fields."""
    return replace(grant, **_nested(fields, grant.initiate, grant.footprint))


def _nested(fields, initiate, footprint):
    """The fields of a grant as its class has them."""
    asked = {_INITIATE[name]: value for name, value in fields.items() if name in _INITIATE}
    left = {name: value for name, value in fields.items() if name in _FOOTPRINT}
    own = {name: fields[name] for name in fields.keys() - _INITIATE.keys() - {*_FOOTPRINT}}
    return {
        **own,
        "initiate": replace(initiate, **asked),
        "footprint": replace(footprint, **left),
    }


def a_grant(name="g1", **changes):
    """A grant of two hours for SSH from HOME, due now; nothing was done for it yet."""
    return built(
        **{
            "id": name,
            "request_id": f"request-{name}",
            "vm_id": vm_id(),
            "policy_id": POLICY_ID,
            "port": 22,
            "protocol": "TCP",
            "sources": (HOME,),
            "via": Via.PUBLIC_IP,
            "starts_at": NOW,
            "duration": 2 * HOUR,
            "latest_end": NOW + 4 * HOUR,
            "next_check_at": NOW,
            **changes,
        }
    )


def an_opening(name="g1", **changes):
    """A grant whose initiate has been answered just now."""
    return a_grant(
        name,
        **{
            "status": Status.OPENING,
            "admitted_at": NOW,
            "expires_at": NOW + 2 * HOUR,
            "initiates": (MINE,),
            "initiated_at": NOW,
            "answered": True,
            "attempts": 1,
            **changes,
        },
    )


def an_open(name="g1", **changes):
    """A grant that was observed open."""
    seen = {
        "status": Status.OPEN,
        "opened_at": NOW,
        "written": True,
        "seen": True,
        "private_ips": (VM,),
    }
    return an_opening(name, **{**seen, **changes})


def an_older(number=1, /, *, sources=(HERE,), rules=(), **changes):
    """An open grant, admitted an hour ago, that ends in 30 minutes; *rules* are numbers."""
    began = NOW - HOUR
    fields = {
        "request_id": f"request{number}",
        "sources": tuple(ip_network(source) for source in sources),
        "starts_at": began,
        "duration": HOUR,
        "latest_end": NOW + HOUR,
        "next_check_at": NOW + HOUR,
        "expires_at": NOW + 30 * MINUTE,
        "admitted_at": began,
        "opened_at": began,
        "connection": Connection(via=Via.PUBLIC_IP, address=PUBLIC, port=22, command="ssh"),
        "initiated_at": began,
        "written": False,
        "attempts": 0,
        "rules": tuple(map(rule_id, rules)),
    }
    return an_open(f"request{number}-0-22", **(fields | changes))


def an_ended(number=1, /, *, ago=20 * MINUTE, reason=CloseReason.EXPIRED, **changes):
    """A closed grant whose end was so long *ago*."""
    end = NOW - ago
    fields = {
        "status": Status.CLOSED,
        "expires_at": end,
        "closing_at": end,
        "closed_at": end,
        "close_reason": reason,
    }
    return an_older(number, **(fields | changes))


def through_firewall(grant):
    """The same grant, behind the firewall."""
    return replace(grant, via=Via.FIREWALL, firewall_id=FIREWALL_ID)


# ---- requests ------------------------------------------------------------------------------------


def a_request(now, *policies, number=1):
    """A request for an hour of access under *policies*."""
    subscription = arm_ids.subscription(policies[0])
    return Request(
        id=request_ids.make_request_id(subscription, now, number.to_bytes(10, "big")),
        requester=ALICE,
        justification="CHG0030001 monthly patch",
        created_at=now,
        starts_at=now,
        duration=timedelta(hours=1),
        sources=(HOME,),
        policies=policies,
        decision=Decision(allowed=True, rule="jit-policy"),
    )


def a_grant_of(request, vm, *, index=0, port=22, **changes):
    """A grant of that request."""
    return a_grant(
        f"{request.id}-{index}-{port}",
        **{
            "request_id": request.id,
            "vm_id": vm,
            "policy_id": request.policies[0],
            "port": port,
            "starts_at": request.starts_at,
            "duration": request.duration,
            "latest_end": request.starts_at + timedelta(hours=2),
            "next_check_at": request.starts_at,
            **changes,
        },
    )
