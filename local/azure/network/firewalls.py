"""Microsoft.Network: Azure Firewalls, written whole, one update at a time, for minutes."""

from __future__ import annotations

import copy

from local.azure.arm.operations import check_precondition, find_result_url, list_operation_headers
from local.azure.arm.routing import GROUP, Call, Route
from local.azure.arm.versions import keep_hidden
from local.azure.network import body_shapes, firewall_checks
from local.azure.network.reads import answer_resource, list_read_routes
from local.azure.network.topology import find_subnet
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response, answer

_TYPE = ids.FIREWALLS
_PATH = f"{GROUP}/providers/{_TYPE}/{{name}}"
_MORE = ("tags", "zones", "extendedLocation")
_JOINS = {
    "subnet": "Microsoft.Network/virtualNetworks/subnets/join/action",
    "publicIPAddress": "Microsoft.Network/publicIPAddresses/join/action",
}


def put(call: Call) -> Response:
    """
    Write the whole firewall; parts that the body leaves out are gone.

    The answer, like every GET from then on, shows the new configuration as
    ``Updating``; packets meet the old one until the update has ended.
    """
    wanted = call.id(_TYPE, "name")
    old = call.world.store.get(wanted)
    firewall = _read(call, wanted, old)
    keep_hidden(firewall, old, call.api_version)
    _check_links(call, firewall)
    firewall_checks.check(firewall["properties"], _find_addresses(call, firewall))
    _refuse_busy(call, old)
    if call.world.options.firewall_if_match:
        check_precondition(old, call.request.headers.get("if-match"))
    call.world.store.add(firewall)
    operation = call.world.operations.begin(
        firewall,
        "PutAzureFirewallOperation",
        call.world.options.firewall_seconds,
        effects=call.effects,
    )
    where = (call.request.base, operation, firewall["location"], call.api_version)
    status = 201 if old is None else 200
    return answer_resource(call, status, firewall, list_operation_headers(*where))


def delete(call: Call) -> Response:
    """Delete the firewall."""
    firewall = call.world.store.get(call.id(_TYPE, "name"))
    if firewall is None:
        return answer(204)
    _refuse_busy(call, firewall)
    if call.world.options.firewall_if_match:
        check_precondition(firewall, call.request.headers.get("if-match"))
    operation = call.world.operations.begin(
        firewall,
        "DeleteAzureFirewallOperation",
        call.world.options.firewall_seconds,
        effects=call.effects,
        commit=lambda: call.world.store.remove(firewall["id"]),
    )
    where = (call.request.base, operation, firewall["location"], call.api_version)
    return answer(
        202, headers={**list_operation_headers(*where), "Location": find_result_url(*where)}
    )


def _read(call: Call, wanted: str, old: Json | None) -> Json:
    body = call.request.json_object()
    body_shapes.check(body, body_shapes.FIREWALL)
    properties = copy.deepcopy(body["properties"])
    properties["ipConfigurations"] = _merge_ip_configurations(
        properties.get("ipConfigurations"), old
    )
    for kind in firewall_checks.KINDS:
        properties[kind] = [
            {"name": each["name"], "properties": each["properties"]}
            for each in properties.get(kind) or ()
        ]
    more: Json = {name: body[name] for name in _MORE if name in body}
    return {
        "name": call.names["name"] if old is None else old["name"],
        "id": wanted if old is None else old["id"],
        "type": _TYPE,
        "location": body["location"],
        **more,
        "properties": properties,
    }


def _merge_ip_configurations(sent: list[Json] | None, old: Json | None) -> list[Json]:
    """
    Return the IP configurations; the private address is read-only, so the old one stays.

    A PUT of an empty list deallocates the firewall, which keeps its rules. No document says what
    Azure makes of a second one. Here it is refused, which is the worse case for a broker.

    Source:
        https://github.com/Azure/azure-sdk-for-python/issues/46306
    """
    if sent == [] and old and old["properties"].get("ipConfigurations"):
        return []
    if not sent:
        message = "A firewall needs ipConfigurations."
        raise ArmError(400, "AzureFirewallIpConfigurationMissing", message, details=[])
    known = {each["name"]: each for each in old["properties"]["ipConfigurations"]} if old else {}
    legs = []
    for leg in sent:
        before = known.get(leg["name"], {}).get("properties", {})
        kept = {name: before[name] for name in ("privateIPAddress",) if name in before}
        legs.append({"name": leg["name"], "properties": {**leg["properties"], **kept}})
    return legs


def _check_links(call: Call, firewall: Json) -> None:
    """Check that the links of the IP configurations exist, and that the caller may join them."""
    for leg in firewall["properties"]["ipConfigurations"]:
        for name, action in _JOINS.items():
            target = (leg["properties"].get(name) or {}).get("id")
            if target is None:
                continue
            call.require_link(action, target, f"{_TYPE}/write", firewall["id"])
            if not _link_exists(call, name, target):
                raise ArmError(
                    400,
                    "InvalidResourceReference",
                    f"Resource {target} referenced by resource {firewall['id']} was not found. "
                    "Please make sure that the referenced resource exists, and that both "
                    "resources are in the same region.",
                    details=[],
                )


def _link_exists(call: Call, name: str, target: str) -> bool:
    store = call.world.store
    found = find_subnet(store, target) if name == "subnet" else store.get(target)
    return found is not None


def _find_addresses(call: Call, firewall: Json) -> list[str]:
    found = []
    for leg in firewall["properties"]["ipConfigurations"]:
        target = (leg["properties"].get("publicIPAddress") or {}).get("id")
        address = call.world.store.get(target) if target else None
        if address is not None:
            found.append(address["properties"]["ipAddress"])
    return found


def _refuse_busy(call: Call, firewall: Json | None) -> None:
    running = None if firewall is None else call.world.operations.find_running(firewall["id"])
    if firewall is None or running is None:
        return
    where = (call.request.base, running, firewall["location"], call.api_version)
    raise ArmError(
        409,
        "AnotherOperationInProgress",
        "Another operation on this or dependent resource is in progress. To retrieve status of "
        f"the operation use uri: {list_operation_headers(*where)['Azure-AsyncOperation']}.",
        details=[],
    )


ROUTES = (
    *list_read_routes(_TYPE),
    Route("PUT", _PATH, f"{_TYPE}/write", put),
    Route("DELETE", _PATH, f"{_TYPE}/delete", delete),
)
