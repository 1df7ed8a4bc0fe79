"""
ARM resource ids: compared without case, printed as Azure prints them.

Case is that of A to Z only (an assumption): other letters are compared as they are.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups"
FIREWALLS = "Microsoft.Network/azureFirewalls"
INTERFACES = "Microsoft.Network/networkInterfaces"
ADDRESSES = "Microsoft.Network/publicIPAddresses"
NETWORKS = "Microsoft.Network/virtualNetworks"
BASTIONS = "Microsoft.Network/bastionHosts"
LOAD_BALANCERS = "Microsoft.Network/loadBalancers"
IP_GROUPS = "Microsoft.Network/ipGroups"
ROUTE_TABLES = "Microsoft.Network/routeTables"
MACHINES = "Microsoft.Compute/virtualMachines"
JIT_POLICIES = "Microsoft.Security/locations/jitNetworkAccessPolicies"
ROLE_ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
ROLE_DEFINITIONS = "Microsoft.Authorization/roleDefinitions"
DENY_ASSIGNMENTS = "Microsoft.Authorization/denyAssignments"

_RESOURCE = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/(?P<namespace>[^/]+)/(?P<path>[^/]+/[^/]+(?:/[^/]+/[^/]+)*)/?",
    re.IGNORECASE,
)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
_GROUP = re.compile(r"(?<=/resourceGroups/)[^/]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResourceId:
    """
    The parts of a resource id.

    Attributes:
        subscription: GUID as written.
        group: Resource group as written.
        type: Namespace with all type segments: ``Microsoft.Network/virtualNetworks/subnets``.
        names: One name per type segment.
    """

    subscription: str
    group: str
    type: str
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The last name."""
        return self.names[-1]

    def is_type(self, expected: str) -> bool:
        """Return True if this id names a resource of type *expected*."""
        return self.type.lower() == expected.lower()


def key(resource_id: str) -> str:
    """Return the form under which two spellings of one id are equal."""
    return lower(resource_id.strip().rstrip("/"))


def lower(text: str) -> str:
    """Return *text* with A to Z in lower case."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def parse(resource_id: object) -> ResourceId | None:
    """Return the parts of *resource_id*; None where it does not name a resource in a group."""
    match = _RESOURCE.fullmatch(resource_id) if isinstance(resource_id, str) else None
    if match is None:
        return None
    segments = match["path"].split("/")
    types = "/".join([match["namespace"], *segments[::2]])
    return ResourceId(match["subscription"], match["group"], types, tuple(segments[1::2]))


def build(subscription: str, group: str, type_: str, *names: str) -> str:
    """Return the id of the resource of *type_* with *names* in *group*."""
    namespace, *segments = type_.split("/")
    pairs = [part for pair in zip(segments, names, strict=True) for part in pair]
    return "/".join(
        ["/subscriptions", subscription, "resourceGroups", group, "providers", namespace, *pairs]
    )


def upper_case_group(resource_id: str) -> str:
    """Return *resource_id* with its group in upper case, as several providers print it."""
    return _GROUP.sub(lambda group: group[0].translate(_UPPER), resource_id, count=1)


def write_like_portal(resource_id: str) -> str:
    """Return *resource_id* as the portal stores it in a JIT policy: in yet another case."""
    return upper_case_group(resource_id).replace("/resourceGroups/", "/resourcegroups/")


def parent(resource_id: str) -> str:
    """Return the id one level up: of a subnet, its virtual network."""
    return resource_id.rsplit("/", 2)[0]
