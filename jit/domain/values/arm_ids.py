"""
Resource ids of Azure Resource Manager: reading and comparing them.

The Azure APIs write ids in different case, so ids are compared only by `key`. Case matters for the
letters A to Z only: other letters that look alike, or that Unicode maps to one another, are
different ids. An id from a caller must pass `parse_vm_id` first, because the broker uses it in the
path of a call with its own rights.
"""

from __future__ import annotations

import re
import string
import unicodedata
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
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
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"})
"""Categories of Unicode that .NET's ``Char.IsLetterOrDigit`` takes, for letters beyond ASCII."""
_LAST_CHAR = 0xFFFF
"""The last code point of one .NET ``Char``; letters beyond it are two halves and no letters."""


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

    Names may have letters and digits of any script, as Azure allows (``rg-täst``, ``rg-日本``). Two
    names that only look alike are two ids, and the broker knows only the one that Azure lists.

    Args:
        text: ``/subscriptions/{uuid}/resourceGroups/{group}/providers/Microsoft.Compute/``
            ``virtualMachines/{name}``, without host, query or trailing slash.

    Raises:
        Malformed: ``vm-id-not-a-vm`` for a well-formed id of something else (another provider, an
            instance of a scale set, a child of a VM), otherwise ``vm-id-malformed``.

    Source:
        "Naming rules and restrictions for Azure resources" (Microsoft Learn):
        ``Microsoft.Resources`` resourcegroups (letters and digits are those of
        ``Char.IsLetterOrDigit``), ``Microsoft.Compute`` virtualMachines.
    """
    plain = _replace_letters(text)
    if found := _VM.fullmatch(plain):
        return VmId(
            id=text,
            subscription=found["subscription"].lower(),
            resource_group=text[slice(*found.span("group"))],
            name=text[slice(*found.span("name"))],
        )
    if _NO_VM.fullmatch(plain):
        raise Malformed(
            NOT_A_VM,
            "this id names another kind of resource, not a virtual machine:"
            " GET virtual-machines lists the ids",
        )
    raise Malformed(
        MALFORMED,
        "a VM id reads /subscriptions/{uuid}/resourceGroups/{group}"
        "/providers/Microsoft.Compute/virtualMachines/{name}: GET virtual-machines lists the ids",
    )


def _replace_letters(text: str) -> str:
    """
    Return *text* with an ``x`` for each letter or digit beyond ASCII, and ``?`` for other signs.

    An ``x`` is allowed in a name, and in no fixed part of an id and no UUID.
    """
    if text.isascii():
        return text
    return "".join(char if char.isascii() else "x" if _is_letter(char) else "?" for char in text)


def _is_letter(char: str) -> bool:
    return ord(char) <= _LAST_CHAR and unicodedata.category(char) in _LETTERS


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
    """
    Return *resource_id* in lower case: in ARM ids the case of A to Z does not matter.

    Assumed: other letters keep their case wherever Azure prints an id. If one service prints ``ä``
    and another one ``Ä``, the broker takes them for two groups: it may find no JIT policy of a VM
    and refuse access, or not see that a request in Defender is for the same VM, and replace it.
    """
    return lower_ascii(resource_id)


def lower_ascii(text: str) -> str:
    """
    Return *text* with A to Z in lower case.

    `str.lower` would do more: it turns the Kelvin sign into ``k``, and one letter into two.
    """
    return text.lower() if text.isascii() else text.translate(_LOWER)


@lru_cache(maxsize=4096)  # each grant of a crowd names the same policy and VM
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
