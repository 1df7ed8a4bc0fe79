"""The people with access to a virtual machine, as one caller may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jit.domain.model.grant import Grant
from jit.domain.model.people import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownGrant:
    """
    A live grant on a virtual machine.

    Attributes:
        requester: The person of its request; None if the request cannot be read.
        is_hidden: True if the caller may know that somebody has access, and not who or from where.
    """

    grant: Grant
    requester: Person | None
    is_hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineAccess:
    """
    The access to a virtual machine.

    Attributes:
        grants: The live grants. Of hidden ones, only those that may have a path.
        observed_at: The age of the inventory: when its last complete comparison began.
        names_others: True if the caller may know who the other people are.
    """

    grants: tuple[ShownGrant, ...] = ()
    observed_at: datetime | None = None
    names_others: bool = True
