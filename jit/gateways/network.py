"""
NSGs, classic-rules firewalls and security admin rules, through azure-mgmt-network.

Long operations are started and never waited for. A firewall is replaced as a whole, so every PUT
carries ``If-Match``: Microsoft.Network honours it for NSGs (recorded answers of
kubernetes-sigs/cloud-provider-azure); for firewalls that is assumed, the resource provider being
the same.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from azure.mgmt.network import NetworkManagementClient

from jit.api_versions import NETWORK
from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Defect, Gone
from jit.domain.values import arm_ids
from jit.gateways.arm import PAGES, Answer, build_policies
from jit.gateways.arm_connections import build_connections
from jit.gateways.arm_errors import require_items, translate_errors

_STARTED: Mapping[str, Any] = {"api_version": NETWORK, "polling": False}
"""An operation that is started and not waited for. Without a version, the SDK takes its newest."""


class AzureNetwork:
    """A ``Network`` over the real client."""

    def __init__(
        self, endpoint: str, credential: Any, scope: str, *, transport: Any = None
    ) -> None:
        """One client for each subscription is made when first needed; they share connections."""
        shared = transport or build_connections()
        self._make: Callable[[str], Any] = lambda subscription: NetworkManagementClient(
            credential,
            subscription,
            base_url=endpoint,
            credential_scopes=[scope],
            policies=build_policies(credential, scope),
            transport=shared,
        )
        self._clients: dict[str, Any] = {}

    def get_nsg(self, nsg_id: str) -> Resource:
        """Return an NSG with its rules."""
        return _get(self._client(nsg_id).network_security_groups, nsg_id)

    def get_firewall(self, firewall_id: str) -> Resource:
        """Return a firewall with its rule collections."""
        return _get(self._client(firewall_id).azure_firewalls, firewall_id)

    def list_admin_rules(self, network_id: str) -> list[Resource]:
        """
        Return the security admin rules that are effective on a virtual network, all pages.

        The call only reads, although it is a POST: the token of the next page stands in its body.
        """
        found: list[Resource] = []
        token: object = None
        for _ in range(PAGES):
            page = self._list_admin_page(network_id, {"skipToken": token} if token else {})
            with translate_errors():
                found.extend(require_items(page))
            token = page.get("skipToken")
            if not token:
                return found
        raise Defect(f"a list of Azure has more than {PAGES} pages")

    def _list_admin_page(self, network_id: str, body: Mapping[str, object]) -> Resource:
        call = self._client(network_id).list_network_manager_effective_security_admin_rules
        answer = Answer()
        with translate_errors():
            with suppress(ValueError):  # a model could not hold it
                call(
                    *_place(network_id),
                    _bytes(body),
                    api_version=NETWORK,
                    raw_response_hook=answer,
                )
            return answer.read_object()

    def put_rule(self, rule_id: str, body: Mapping[str, object]) -> None:
        """Create or replace one security rule."""
        operations, rule = self._client(rule_id).security_rules, _rule(rule_id)
        with translate_errors(changes=True):
            operations.begin_create_or_update(*rule, _bytes(body), **_STARTED)

    def delete_rule(self, rule_id: str) -> None:
        """Delete one security rule; deleting nothing is fine."""
        operations, rule = self._client(rule_id).security_rules, _rule(rule_id)
        try:
            with translate_errors(changes=True):
                operations.begin_delete(*rule, **_STARTED)
        except Gone:
            return

    def put_firewall(self, firewall_id: str, body: Mapping[str, object], *, etag: str) -> None:
        """Replace a whole firewall if it still has *etag*; the update takes minutes."""
        operations, place = self._client(firewall_id).azure_firewalls, _place(firewall_id)
        with translate_errors(changes=True):
            operations.begin_create_or_update(
                *place, _bytes(body), headers={"If-Match": etag}, **_STARTED
            )

    def _client(self, resource_id: str) -> Any:
        subscription = arm_ids.subscription(resource_id)
        if subscription not in self._clients:
            self._clients[subscription] = self._make(subscription)
        return self._clients[subscription]


def _get(operations: Any, resource_id: str) -> Resource:
    place, answer = _place(resource_id), Answer()
    with translate_errors():
        with suppress(ValueError):  # a model could not hold it
            operations.get(*place, api_version=NETWORK, raw_response_hook=answer)
        return answer.read_resource()


def _place(resource_id: str) -> tuple[str, str]:
    return arm_ids.resource_group(resource_id), arm_ids.name(resource_id)


def _rule(rule_id: str) -> tuple[str, str, str]:
    parts = arm_ids.parts(rule_id)
    return arm_ids.resource_group(rule_id), parts["networksecuritygroups"], arm_ids.name(rule_id)


def _bytes(body: Mapping[str, object]) -> io.BytesIO:
    return io.BytesIO(json.dumps(body).encode())
