"""Microsoft.Security: JIT network access policies with the requests made under them."""

from __future__ import annotations

from dataclasses import replace

from local.azure.arm.routing import GROUP, SUBSCRIPTION, Call, Route, answer_page, not_found_error
from local.azure.control.faults import Subject
from local.azure.defender import jit_bodies
from local.azure.network.topology import find_jit_firewall, list_interfaces
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response, answer
from local.azure.values.times import format_dotnet

_TYPE = ids.JIT_POLICIES
_READ = f"{_TYPE}/read"
_LOCATED = "/providers/Microsoft.Security/locations/{location}/jitNetworkAccessPolicies"
_ANYWHERE = "/providers/Microsoft.Security/jitNetworkAccessPolicies"
_ONE = f"{GROUP}{_LOCATED}/{{policy}}"


def list_all(call: Call) -> Response:
    """Answer with the policies of a subscription or group, everywhere or in one region."""
    names = call.names
    found = call.world.store.list_of_type(_TYPE, names["subscription"], names.get("group"))
    location = names.get("location")
    return answer_page(call, [e for e in found if location is None or _is_in(e, location)])


def get(call: Call) -> Response:
    """Answer with one policy; there is no etag."""
    return answer(200, _find_policy(call))


def put(call: Call) -> Response:
    """Replace the policy's VMs: a VM that the body leaves out loses its protection."""
    wanted = call.id(_TYPE, "location", "policy")
    body = call.request.json_object()
    _check_plan(call)
    machines = jit_bodies.read_policy(call.names["policy"], body)
    for machine in machines:
        _check_machine(call, machine["id"])
    old = call.world.store.get(wanted)
    policy = _build_policy(call, wanted, machines, old, body)
    call.world.store.put(policy)
    before = [] if old is None else old["properties"]["virtualMachines"]
    call.world.defender.protection.protect(policy, [each["id"] for each in before])
    if call.world.options.put_takes_requests:
        call.world.defender.abandon_unlisted(policy)
    if call.world.options.put_forgets_rules:
        call.world.defender.abandon_outside(policy)
    return answer(200, policy)


def delete(call: Call) -> Response:
    """Delete the policy with its deny rules; an open path stays open until its end."""
    policy = call.world.store.get(call.id(_TYPE, "location", "policy"))
    if policy is None:
        return answer(204)
    call.world.store.remove(policy["id"])
    machines = [each["id"] for each in policy["properties"]["virtualMachines"]]
    call.world.defender.protection.expose(machines)
    if call.world.options.delete_forgets_rules:
        call.world.defender.abandon(policy["id"])
    return answer(200)


def initiate(call: Call) -> Response:
    """
    Take an access request: 202 long before any rule exists, nothing to poll.

    The body is validated first, then the policy looked up, then the one held
    against the other.
    """
    options, now = call.world.options, call.world.timeline.now
    body = call.request.json_object()
    wanted = jit_bodies.read_initiate(body, options, now)
    policy = _find_policy(call)
    _check_plan(call)
    ports = jit_bodies.find_ports(policy, wanted, options, now)
    for each in wanted:
        _check_readable(call, each.machine)
    request = {"startTimeUtc": format_dotnet(now), "requestor": call.principal.address}
    if body.get("justification") is not None:
        request["justification"] = body["justification"]
    entry = call.world.defender.initiate(
        policy["id"],
        [
            replace(each, protocol=port["protocol"])
            for each, port in zip(wanted, ports, strict=True)
        ],
        request,
        Subject("POST", call.request.decoded_path, call.request.body.decode(), call.principal.name),
        call.effects,
    )
    return answer(202, entry)


def _find_policy(call: Call) -> Json:
    wanted = call.id(_TYPE, "location", "policy")
    policy = call.world.store.get(wanted)
    if policy is None:
        raise ArmError(
            404,
            "PolicyNotFound",
            f"Just-in-time network access policy '{call.names['policy']}' was not found.",
        )
    return policy


def _check_plan(call: Call) -> None:
    """Check that the subscription has Defender for Servers Plan 2, or its older full plan."""
    plan = call.world.subscriptions[call.names["subscription"].lower()]["defenderPlan"]
    if plan["pricingTier"] != "Standard" or plan.get("subPlan", "P2") != "P2":
        raise ArmError(
            403,
            "Forbidden",
            "Just-in-time network access needs the standard tier with Defender for Servers Plan 2.",
        )


def _build_policy(
    call: Call, wanted: str, machines: list[Json], old: Json | None, sent: Json
) -> Json:
    first = old or {}  # the first spelling of a name stays
    return {
        "id": first.get("id", wanted),
        "name": first.get("name", call.names["policy"]),
        "type": _TYPE,
        "kind": "Basic",
        "location": first.get("location", call.names["location"]),
        "properties": {
            "provisioningState": "Succeeded",
            "virtualMachines": machines,
            "requests": _keep_requests(call, sent, old),
        },
    }


def _keep_requests(call: Call, body: Json, old: Json | None) -> list[Json]:
    """Return the history that stays: Defender's own, or that of the body if an option says so."""
    sent: list[Json] = body["properties"].get("requests")
    if call.world.options.put_takes_requests:
        return sent or []
    if old is None or (not sent and call.world.options.put_erases_requests):
        return []
    kept: list[Json] = old["properties"].get("requests", [])
    return kept


def _check_machine(call: Call, machine_id: str) -> None:
    """Check that a VM can be in this policy, that the caller may write it."""
    parts = ids.parse(machine_id)
    if parts is None or parts.subscription.lower() not in call.world.subscriptions:
        raise _unknown_link_error(call, "" if parts is None else parts.subscription)
    call.require(f"{ids.MACHINES}/write", machine_id)
    machine = call.world.store.get(machine_id)
    if machine is None:
        raise not_found_error(machine_id)
    same_group = ids.lower(parts.group) == ids.lower(call.names["group"])
    if not _is_in(machine, call.names["location"]) or not same_group:
        raise ArmError(
            400,
            "InvalidJitNetworkAccessPolicy",
            f"Virtual machine '{parts.name}' is not in the policy's resource group or location.",
        )
    _check_supported(call, machine)


def _unknown_link_error(call: Call, subscription: str) -> ArmError:
    return ArmError(
        403,
        "LinkedAuthorizationFailed",
        f"The client has permission to perform action '{ids.MACHINES}/write' on scope "
        f"'{call.request.decoded_path}', however the linked subscription '{subscription}' was "
        "not found. ",
    )


def _check_supported(call: Call, machine: Json) -> None:
    store = call.world.store
    guarded = any(each.guard is not None for each in list_interfaces(store, machine))
    if not guarded and find_jit_firewall(store, machine) is None:
        raise ArmError(
            400,
            "InvalidJitNetworkAccessPolicy",
            f"Virtual machine '{machine['name']}' has neither a network security group nor an "
            "Azure Firewall with classic rules.",
        )


def _check_readable(call: Call, machine_id: str) -> None:
    """Check the rights to the VM with its network that a request takes beside initiate."""
    call.require(f"{ids.MACHINES}/read", machine_id)
    machine = call.world.store.get(machine_id)
    if machine is None:
        raise not_found_error(machine_id)
    for interface in list_interfaces(call.world.store, machine):
        call.require(f"{ids.INTERFACES}/read", interface.id)
        if interface.public_id is not None:
            call.require(f"{ids.ADDRESSES}/read", interface.public_id)


def _is_in(resource: Json, location: str) -> bool:
    return str(resource["location"]).lower() == location.lower().replace(" ", "")


ROUTES = (
    Route("GET", SUBSCRIPTION + _ANYWHERE, _READ, list_all),
    Route("GET", SUBSCRIPTION + _LOCATED, _READ, list_all),
    Route("GET", GROUP + _ANYWHERE, _READ, list_all),
    Route("GET", GROUP + _LOCATED, _READ, list_all),
    Route("GET", _ONE, _READ, get),
    Route("PUT", _ONE, f"{_TYPE}/write", put),
    Route("DELETE", _ONE, f"{_TYPE}/delete", delete),
    Route("POST", f"{_ONE}/initiate", f"{_TYPE}/initiate/action", initiate),
)
