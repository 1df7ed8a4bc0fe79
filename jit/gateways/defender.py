"""
Microsoft Defender for Cloud's JIT policies, through azure-mgmt-security.

Bodies go out and come back as raw JSON: the SDK's models drop unknown members, and have no
list of sources in an initiate (https://github.com/Azure/azure-rest-api-specs/issues/32158).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from azure.mgmt.security.v2020_01_01 import SecurityCenter

from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Gone
from jit.domain.values import arm_ids
from jit.gateways.arm import Answer, build_policies
from jit.gateways.arm_connections import build_connections
from jit.gateways.arm_errors import translate_errors


class DefenderPolicies:
    """A ``JitPolicies`` over the real client, api-version 2020-01-01."""

    def __init__(
        self, endpoint: str, credential: Any, scope: str, *, transport: Any = None
    ) -> None:
        """One client for each subscription is made when first needed; they share connections."""
        shared = transport or build_connections()
        self._make: Callable[[str], Any] = lambda subscription: SecurityCenter(
            credential,
            subscription,
            base_url=endpoint,
            credential_scopes=[scope],
            policies=build_policies(credential, scope),
            transport=shared,
        )
        self._clients: dict[str, Any] = {}

    def get(self, policy_id: str) -> Resource:
        """Return a policy."""
        operations, path, answer = self._operations(policy_id), _path(policy_id), Answer()
        with translate_errors():
            with suppress(ValueError):  # a model could not hold it
                operations.get(*path, raw_response_hook=answer)
            return answer.read_resource()

    def initiate(self, policy_id: str, body: Mapping[str, object]) -> None:
        """Ask Defender to open ports."""
        operations, path = self._operations(policy_id), _path(policy_id)
        with translate_errors(changes=True), suppress(ValueError):  # 202 is all that it says
            operations.initiate(*path, body=_bytes(body))

    def replace(self, policy_id: str, body: Mapping[str, object]) -> Resource:
        """Put the whole policy."""
        operations, path, answer = self._operations(policy_id), _path(policy_id), Answer()
        with translate_errors(changes=True):
            with suppress(ValueError):  # a model could not hold it
                operations.create_or_update(*path, body=_bytes(body), raw_response_hook=answer)
            return answer.read_resource()

    def delete(self, policy_id: str) -> None:
        """Delete a policy; deleting nothing is fine."""
        operations, path = self._operations(policy_id), _path(policy_id)
        try:
            with translate_errors(changes=True):
                operations.delete(*path)
        except Gone:
            return

    def _operations(self, policy_id: str) -> Any:
        subscription = arm_ids.subscription(policy_id)
        if subscription not in self._clients:
            self._clients[subscription] = self._make(subscription)
        return self._clients[subscription].jit_network_access_policies


def _path(policy_id: str) -> tuple[str, str, str]:
    parts = arm_ids.parts(policy_id)
    return arm_ids.resource_group(policy_id), parts["locations"], arm_ids.name(policy_id)


def _bytes(body: Mapping[str, object]) -> io.BytesIO:
    return io.BytesIO(json.dumps(body).encode())
