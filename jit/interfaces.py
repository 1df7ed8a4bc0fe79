"""
The seams to everything outside: one Protocol per outside thing.

Each has a fake in ``tests/fakes`` and an adapter in ``jit/gateways``; one contract suite per
Protocol runs on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from jit.domain.azure.arm_json import Resource


class Queues(Protocol):
    """Queues as the workers see them: messages are hints."""

    def send(self, queue: str, message: str, *, delay: timedelta = timedelta(0)) -> None:
        """Send *message*, visible after *delay* (0 to 7 days) of the service's own clock."""


class JitPolicies(Protocol):
    """Microsoft Defender for Cloud's just-in-time network access policies."""

    def get(self, policy_id: str) -> Resource:
        """
        Return a policy.

        Raises:
            Gone: There is no such policy.
        """

    def initiate(self, policy_id: str, body: Mapping[str, object]) -> None:
        """
        Ask Defender to open ports; 202 is all that it says.

        Raises:
            Refused: A 4xx: nothing was opened.
            Unknown: No answer: it may have been done.
        """

    def replace(self, policy_id: str, body: Mapping[str, object]) -> Resource:
        """Put the whole policy; there is no ETag (api-version 2020-01-01)."""

    def delete(self, policy_id: str) -> None:
        """Delete a policy; deleting nothing is fine."""


class Network(Protocol):
    """NSGs, firewalls and security admin rules, through Microsoft.Network's own client."""

    def get_nsg(self, nsg_id: str) -> Resource:
        """Return an NSG with its rules."""

    def get_firewall(self, firewall_id: str) -> Resource:
        """Return a firewall with its rule collections."""

    def list_admin_rules(self, network_id: str) -> list[Resource]:
        """
        Return the security admin rules that are effective on a virtual network, all pages.

        Raises:
            Gone: There is no such network.
            PermissionLost: The broker's identity may not list them.
        """

    def put_rule(self, rule_id: str, body: Mapping[str, object]) -> None:
        """Create or replace one security rule; returns before the change is done."""

    def delete_rule(self, rule_id: str) -> None:
        """Delete one security rule; returns before it is done; deleting nothing is fine."""

    def put_firewall(self, firewall_id: str, body: Mapping[str, object], *, etag: str) -> None:
        """
        Replace a whole firewall if it still has *etag*; returns before the update is done.

        The update takes minutes: the state of the firewall tells its end.

        Raises:
            StateConflict: It was changed since.
            Busy: Another operation runs.
        """


class Arm(Protocol):
    """Azure Resource Manager, read without a management SDK: the thin way of the HTTP path."""

    def get(self, resource_id: str, api_version: str) -> Resource:
        """
        Return one resource.

        Raises:
            Gone: There is no such resource.
            PermissionLost: The broker's identity may not read it.
        """

    def list(self, path: str, api_version: str, chosen: str = "") -> list[Resource]:
        """
        Return every item of a list, all pages.

        Args:
            path: The list: ``/subscriptions/{id}/providers/{type}``.
            api_version: The version of its type.
            chosen: An OData filter, as ``atScope()``; all items if empty.

        Raises:
            Refused: Azure does not know the filter.
            PermissionLost: The broker's identity may not read the list.
        """


class Clock(Protocol):
    """The present."""

    def __call__(self) -> datetime:
        """Return now; aware, UTC."""
