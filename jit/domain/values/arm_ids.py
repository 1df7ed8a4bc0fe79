"""
Resource ids of Azure Resource Manager: reading and comparing them.

The Azure APIs write ids in different case, so ids are compared only by `key`. An id from a caller
must pass `parse_vm_id` first, because the broker uses it in the path of a call with its own rights.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from jit.domain.errors import Malformed

MALFORMED = "vm-id-malformed"
NOT_A_VM = "vm-id-not-a-vm"

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_GROUP = r"[-\w.()]{1,90}(?<!\.)"
_IN_GROUP = rf"/subscriptions/(?P<subscription>{UUID})/resourceGroups/(?P<group>{_GROUP})"
_VIRTUAL_MACHINES = r"Microsoft\.Compute/virtualMachines"
_NAME = r"[a-z0-9](?:[-\w.]{0,62}\w)?"
FLAGS = re.ASCII | re.IGNORECASE  # IGNORECASE alone takes U+017F for s and U+212A for k
_VM = re.compile(rf"{_IN_GROUP}/providers/{_VIRTUAL_MACHINES}/(?P<name>{_NAME})", FLAGS)
_NO_VM = re.compile(
    rf"{_IN_GROUP}/providers/(?!{_VIRTUAL_MACHINES}/[^/]*\Z)\w[\w.]*(?:/[-\w()][-\w.()]*)+", FLAGS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmId:
    """
    A checked ARM id of a virtual machine.

    Attributes:
        id: As it was written.
        subscription: Lower-case UUID.
        resource_group: As it was written; 1 to 90 characters.
        name: As it was written; 1 to 64 characters.
    """

    id: str
    subscription: str
    resource_group: str
    name: str


def parse_vm_id(text: str) -> VmId:
    """
    Read the ARM id of a virtual machine, exactly as ARM writes it, in any case.

    Only ASCII is accepted. Azure allows other letters in the name of a resource group, but two
    names that look alike are a risk, and such groups are rare.

    Args:
        text: ``/subscriptions/{uuid}/resourceGroups/{group}/providers/Microsoft.Compute/``
            ``virtualMachines/{name}``, without host, query or trailing slash.

    Raises:
        Malformed: ``vm-id-not-a-vm`` for a well-formed id of something else (another provider, an
            instance of a scale set, a child of a VM), otherwise ``vm-id-malformed``.

    Source:
        "Naming rules and restrictions for Azure resources" (Microsoft Learn):
        ``Microsoft.Resources`` resourcegroups, ``Microsoft.Compute`` virtualMachines.
    """
    if found := _VM.fullmatch(text):
        return VmId(
            id=text,
            subscription=found["subscription"].lower(),
            resource_group=found["group"],
            name=found["name"],
        )
    if _NO_VM.fullmatch(text):
        raise Malformed(NOT_A_VM, "this id names another kind of resource, not a virtual machine")
    raise Malformed(
        MALFORMED,
        "a VM id reads /subscriptions/{uuid}/resourceGroups/{group}"
        "/providers/Microsoft.Compute/virtualMachines/{name}",
    )


def parts(resource_id: str) -> Mapping[str, str]:
    """
    Split an ARM id, as Azure returns it, into its pairs.

    Returns:
        Lower-case segment to value as written: ``{"subscriptions": …, "resourcegroups": …,
        "providers": "Microsoft.Network", "networksecuritygroups": …, "securityrules": …}``.

    Raises:
        ValueError: Not a sequence of ``/segment/value``.
    """
    root, *segments = resource_id.split("/")
    if root or not segments or len(segments) % 2 or not all(segments):
        raise ValueError("an ARM id is a sequence of /segment/value")
    return dict(zip((kind.lower() for kind in segments[::2]), segments[1::2], strict=True))


def subscription(resource_id: str) -> str:
    """Return the lower-case subscription id in *resource_id*; ValueError if there is none."""
    return _part(resource_id, "subscriptions").lower()


def resource_group(resource_id: str) -> str:
    """Return the resource group in *resource_id* as written; ValueError if there is none."""
    return _part(resource_id, "resourcegroups")


def name(resource_id: str) -> str:
    """Return the last value of *resource_id* as written; ValueError if it is no ARM id."""
    return list(parts(resource_id).values())[-1]


def _part(resource_id: str, kind: str) -> str:
    found = parts(resource_id).get(kind)
    if found is None:
        raise ValueError(f"no {kind} in this ARM id")
    return found


def key(resource_id: str) -> str:
    """Return *resource_id* in lower case: ARM ids are case-insensitive."""
    return resource_id.lower()


def row_hash(resource_id: str) -> str:
    """
    Return 26 characters of [a-z2-7] that represent *resource_id* in a row key.

    ARM ids contain ``/``, vary in case and can be longer than a key of Table Storage may be.
    """
    digest = sha256(key(resource_id).encode()).digest()
    return base32(digest[:16])


def base32(raw: bytes) -> str:
    """Return *raw* in lower-case base32 without padding."""
    return b32encode(raw).decode().rstrip("=").lower()
