"""A Bastion that reaches a VM: people come by it instead of from an address of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network

from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix

BY_BASTION = "bastion"
"""The word for this way in requests and in connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bastion:
    """
    An Azure Bastion.

    Attributes:
        id: ARM id.
        prefixes: The IPv4 prefixes of its subnet, as text: the sources that the VM sees. Empty if
            they are not known: the SKU Developer has no subnet.
        native: True if it takes native clients (``az network bastion``), and not browsers alone.
        lacked_since: When a list lacked it first. Each list that was read since then lacked it too.
        unread_since: When the lists could not be read first. None of them could be since then.
    """

    id: str
    prefixes: tuple[str, ...]
    native: bool = False
    lacked_since: datetime | None = None
    unread_since: datetime | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return arm_ids.name(self.id)

    @property
    def sources(self) -> tuple[Prefix, ...]:
        """The prefixes of its subnet."""
        return tuple(map(ip_network, self.prefixes))

    @property
    def is_in_doubt(self) -> bool:
        """True if the last comparison did not see it."""
        return self.lacked_since is not None or self.unread_since is not None

    def is_same(self, other: Bastion) -> bool:
        """Return True if *other* is this Bastion, and the VM sees the same sources."""
        same_id = arm_ids.key(self.id) == arm_ids.key(other.id)
        return same_id and set(self.sources) == set(other.sources)
