"""
The versions of Azure's APIs that the broker speaks: one for each resource provider.

Lists, reads and writes of one type have the same version. Else a firewall that was read in one
version and written in another could differ in members that nobody changed.

Source:
    The versions that Microsoft's descriptions list for each provider
    (https://learn.microsoft.com/azure/templates/).
"""

from __future__ import annotations

from typing import Final

AUTHORIZATION: Final = "2022-04-01"
"""Role assignments, role definitions, deny assignments. Older versions show no conditions."""

COMPUTE: Final = "2024-07-01"
NETWORK: Final = "2024-05-01"
SUBSCRIPTIONS: Final = "2022-12-01"

JIT_POLICIES: Final = "2020-01-01"
"""The newest stable version of JIT policies. azure-mgmt-security has it in its package's name."""

PRICINGS: Final = "2024-01-01"
