"""
Security admin rules of Virtual Network Managers: the list of a network, and their effect.

A test sets the effective rules of a network with ``PUT /_sim/state {"adminRules": {…}}``. The
managers themselves are not simulated. A network group has no members here.

Source:
    https://learn.microsoft.com/rest/api/networkmanager/list-network-manager-effective-security-admin-rules;
    https://learn.microsoft.com/azure/virtual-network-manager/concept-security-admins
"""

from __future__ import annotations

from typing import Any

from local.azure.arm.routing import GROUP, Call, Route, not_found_error
from local.azure.network.body_shapes import check
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response, answer

_ADDRESS = {"addressPrefix!": str, "addressPrefixType!": str}
_RULE = {
    "id!": str,
    "kind!": str,
    "properties!": {
        "access!": str,
        "direction!": str,
        "priority!": int,
        "protocol!": str,
        "sources!": [_ADDRESS],
        "sourcePortRanges!": [str],
        "destinations!": [_ADDRESS],
        "destinationPortRanges!": [str],
        "provisioningState": str,
    },
}
_CHOICES = {
    "access": {"Allow", "AlwaysAllow", "Deny"},
    "direction": {"Inbound", "Outbound"},
    "protocol": {"Tcp", "Udp", "Icmp", "Esp", "Ah", "Any"},
}
_TYPES = {"IPPrefix", "ServiceTag", "NetworkGroup"}
_PRIORITIES = range(1, 4097)


def parse_rules(network_id: object, given: Any) -> list[Json]:
    """
    Return the effective rules that a test gives for a network.

    Raises:
        ValueError: They are not what Azure would list; the message names the place.
    """
    parts = ids.parse(network_id) if isinstance(network_id, str) else None
    if parts is None or not parts.is_type(ids.NETWORKS):
        raise ValueError(f"adminRules: {network_id!r} is no id of a virtual network")
    if not isinstance(given, list):
        raise ValueError(f"adminRules: {network_id} takes a list of rules")  # noqa: TRY004 # as for all of the state
    for place, rule in enumerate(given):
        _check_rule(rule, f"adminRules.{parts.name}[{place}]")
    return [dict(rule) for rule in given]


def _check_rule(rule: Any, place: str) -> None:
    try:
        check(rule, _RULE, place)
    except ArmError as error:
        raise ValueError(error.message) from error
    properties = rule["properties"]
    for name, choices in _CHOICES.items():
        if properties[name] not in choices:
            raise ValueError(f"{place}.properties.{name} is one of {', '.join(sorted(choices))}")
    if properties["priority"] not in _PRIORITIES:
        raise ValueError(f"{place}.properties.priority is from 1 to 4096")
    for address in (*properties["sources"], *properties["destinations"]):
        if address["addressPrefixType"] not in _TYPES:
            raise ValueError(f"{place}: an addressPrefixType is one of {', '.join(sorted(_TYPES))}")


def list_effective(call: Call) -> Response:
    """Answer with one page of a network's rules; the token of the next one comes in the body."""
    network_id = call.id(ids.NETWORKS, "name")
    if call.world.store.get(network_id) is None:
        raise not_found_error(network_id)
    rules = call.world.admin_rules.get(ids.key(network_id), [])
    size = call.world.options.page_size
    begin = _read_token(call.request.json_object())
    page: Json = {"value": rules[begin : begin + size]}
    if begin + size < len(rules):
        page["skipToken"] = str(begin + size)
    return answer(200, page)


def _read_token(body: Json) -> int:
    token = body.get("skipToken") or "0"
    if not isinstance(token, str) or not token.isdecimal():
        raise ArmError(400, "InvalidSkipToken", "The skipToken is not valid.")
    return int(token)


ROUTES = (
    Route(
        "POST",
        f"{GROUP}/providers/{ids.NETWORKS}/{{name}}/listNetworkManagerEffectiveSecurityAdminRules",
        f"{ids.NETWORKS}/listNetworkManagerEffectiveSecurityAdminRules/action",
        list_effective,
    ),
)
