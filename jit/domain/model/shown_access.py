"""The people with access to virtual machines, as one caller may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from jit.domain.model.grant import Grant, Status
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


BROKER = "broker"
"""The origin of access that a grant gives; `Origin` has the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEntry:
    """
    Access that somebody has now: by one grant to one VM port, or without a grant.

    Attributes:
        origin: `BROKER`, or an `Origin` as text.
        person_id: Object id of the person who gets in; None if it is not known.
        person_name: The name of that person; None if it is not known.
        caller: The person or application that asked the broker; None without a known request.
        request_id: None without a request.
        grant_id: None without a grant, or if this version cannot read it.
        vm_id: None only if the grant cannot be read and its row does not name the VM.
        sources: Prefixes, as text; None only if the grant cannot be read.
        via: The way of the packets to the VM; None only then.
        expires_at: None if no end is known.
        status: The status of the grant; None without one.
        observed_at: When the path, or the access without a grant, was last looked at.
        is_readable: False if this version cannot read the request or the grant: somebody may get
            in; the person or the port is not known.
    """

    origin: str
    person_id: str | None = None
    person_name: str | None = None
    caller: Person | None = None
    request_id: str | None = None
    grant_id: str | None = None
    vm_id: str | None = None
    port: int | None = None
    sources: tuple[str, ...] | None = None
    via: str | None = None
    opened_at: datetime | None = None
    expires_at: datetime | None = None
    status: Status | None = None
    observed_at: datetime | None = None
    is_readable: bool = True
