"""Readings of the security admin rules of virtual networks."""

from __future__ import annotations

from datetime import datetime

from jit.domain.errors import Gone, PermissionLost, Refused, Unavailable
from jit.domain.model.admin_reading import AdminReading
from jit.domain.network_manager.security_admin_rules import keep_inbound
from jit.domain.values import arm_ids
from jit.interfaces import Network

ACTION = "Microsoft.Network/virtualNetworks/listNetworkManagerEffectiveSecurityAdminRules/action"
"""
The permission of the call.

Source:
    The operations that ``az provider operation show --namespace Microsoft.Network`` lists; that no
    other permission is needed was not tried on Azure.
"""

_MEND = (
    f"grant the broker {ACTION}, or set JIT_NETWORK_MANAGER=none if no network manager is in use"
)


def read_admin_rules(network: Network, network_id: str, *, now: datetime) -> AdminReading:
    """Read the rules of one virtual network; a reading that failed says why, for people."""
    name = arm_ids.name(network_id)
    unread, forbidden = "", False
    try:
        items = keep_inbound(network.list_admin_rules(network_id))
        return AdminReading(network_id=network_id, read_at=now, items=items)
    except Gone:
        unread = f"virtual network {name} was not found"
    except PermissionLost:
        unread = f"the broker may not read the security admin rules of {name}: {_MEND}"
        forbidden = True
    except (Unavailable, Refused):
        unread = f"the security admin rules of {name} could not be read"
    return AdminReading(network_id=network_id, read_at=now, unread=unread, forbidden=forbidden)
