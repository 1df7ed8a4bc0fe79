"""The security admin rules of a virtual network, as Azure listed them at one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminReading:
    """
    One reading of the effective security admin rules of a virtual network.

    Attributes:
        network_id: ARM id of the virtual network.
        read_at: The broker's clock; aware, UTC.
        items: The rules as ARM returned them, the inbound ones at least.
        unread: Why they could not be read; empty if they were read. Then *items* is empty.
        forbidden: True if the broker lacks the permission.
    """

    network_id: str
    read_at: datetime
    items: Sequence[Mapping[str, object]] = ()
    unread: str = ""
    forbidden: bool = False
