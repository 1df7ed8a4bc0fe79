"""The people with access to a virtual machine, as one caller may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

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


class MayRequest(NamedTuple):
    """
    The answer to a caller who may want to ask for access to a virtual machine.

    Attributes:
        may: None if nobody can tell.
        reason: The reason against it, in words; None if the caller may ask.
    """

    may: bool | None
    reason: str | None = None


YES, NOT_ASKED = MayRequest(may=True), MayRequest(may=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineAccess:
    """
    The access to a virtual machine.

    Attributes:
        grants: The live grants. Of hidden ones, only those that may have a path.
        observed_at: The age of the inventory: when its last complete comparison began.
        names_others: True if the caller may know who the other people are.
        may_request: The answer to the caller's own wish.
    """

    grants: tuple[ShownGrant, ...] = ()
    observed_at: datetime | None = None
    names_others: bool = True
    may_request: MayRequest = NOT_ASKED
