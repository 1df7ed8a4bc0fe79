"""
The versions of Azure's APIs: which ones a type has, and the members that older ones do not show.

A test may say which versions a type has: other clouds, and Azure Stack, have fewer.

Source:
    https://learn.microsoft.com/azure/templates/ lists the versions of each type;
    https://github.com/Azure/azure-cli/issues/28496 shows the refusal of a version;
    https://learn.microsoft.com/azure/role-based-access-control/role-assignments-list-rest names
    the version that shows conditions;
    Microsoft.Network 2024-05-01 (azureFirewall.json) and azure-mgmt-network 33.1.0, whose version
    is 2026-03-01, differ in the members of a firewall. The version that brought each member is an
    assumption, and so is it that a write by an older version leaves the member as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from local.azure.values import ids
from local.azure.values.http import ArmError, Json

_NETWORK = """
2020-01-01 2020-03-01 2020-04-01 2020-05-01 2020-06-01 2020-07-01 2020-08-01 2020-11-01 2021-01-01
2021-02-01 2021-03-01 2021-05-01 2021-08-01 2021-12-01 2022-01-01 2022-05-01 2022-07-01 2022-09-01
2022-11-01 2023-02-01 2023-04-01 2023-05-01 2023-06-01 2023-09-01 2023-11-01 2024-01-01 2024-03-01
2024-05-01 2024-07-01 2024-10-01 2025-01-01 2025-03-01 2025-05-01 2025-07-01 2026-03-01
"""
_COMPUTE = """
2020-06-01 2020-12-01 2021-03-01 2021-04-01 2021-07-01 2021-11-01 2022-03-01 2022-08-01 2022-11-01
2023-03-01 2023-07-01 2023-09-01 2024-03-01 2024-07-01 2024-11-01 2025-04-01
"""
_VERSIONS: Mapping[str, tuple[str, ...]] = {
    "microsoft.network": tuple(_NETWORK.split()),
    "microsoft.compute": tuple(_COMPUTE.split()),
    "microsoft.security/locations/jitnetworkaccesspolicies": ("2015-06-01-preview", "2020-01-01"),
    "microsoft.security/pricings": ("2018-06-01", "2022-03-01", "2023-01-01", "2024-01-01"),
    "microsoft.authorization/roleassignments": ("2015-07-01", "2022-04-01"),
    "microsoft.authorization/roledefinitions": ("2015-07-01", "2022-04-01"),
    "microsoft.authorization/denyassignments": ("2018-07-01-preview", "2022-04-01"),
    "subscriptions": ("2016-06-01", "2019-06-01", "2020-01-01", "2021-01-01", "2022-12-01"),
}
"""The versions by namespace or type, in lower case. Versions before 2020 are left out."""

_SINCE: Mapping[str, Mapping[str, str]] = {
    ids.FIREWALLS: {
        "extendedLocation": "2025-07-01",
        "properties.afcConfiguration": "2026-03-01",
        "properties.aiSecurityAddOn": "2026-03-01",
    },
    ids.ROLE_ASSIGNMENTS: {
        "properties.condition": "2022-04-01",
        "properties.conditionVersion": "2022-04-01",
    },
}
"""The members of a type that a version shows only from its own date on."""

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?")
_PROVIDER = re.compile(
    r"/providers/([^/]+)/([^/]+)(?:/[^/]+/(?!providers/)([^/]+))?", re.IGNORECASE
)


def check_version(path: str, version: str, instead: Mapping[str, Sequence[str]]) -> None:
    """
    Check that the type that *path* names has the api-version *version*.

    Args:
        path: The path of the call.
        version: As the client wrote it.
        instead: Versions by type in lower case, ``microsoft.network/azurefirewalls``, which take
            the place of the usual ones.

    Raises:
        ArmError: 400, with the versions that it has.
    """
    providers = _PROVIDER.findall(path)
    namespace, *segments = providers[-1] if providers else ("subscriptions", "", "")
    known = _find_versions("/".join([namespace, *filter(None, segments)]).lower(), instead)
    if known is None or version in known:
        return
    supported = f"The supported api-versions are '{', '.join(known)}'."
    if not providers:
        message = f"The api-version '{version}' is invalid. {supported}"
        raise ArmError(400, "InvalidApiVersionParameter", message)
    if ids.parse(path) is None:
        message = (
            f"The resource type '{segments[0]}' could not be found in the namespace "
            f"'{namespace}' for api version '{version}'. {supported}"
        )
        raise ArmError(400, "InvalidResourceType", message)
    message = (
        f"No registered resource provider found for location 'westeurope' and API version "
        f"'{version}' for type '{segments[0]}'. {supported} The supported locations are "
        "'westeurope'."
    )
    raise ArmError(400, "NoRegisteredProviderFound", message)


def read_versions(document: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """
    Return the versions by type, in lower case, of a part of ``PUT /_sim/state``.

    Raises:
        ValueError: A type has no namespace, or a version is no date.
    """
    for kind, versions in document.items():
        place = f"apiVersions[{kind!r}]"
        if kind.count("/") != 1:
            raise ValueError(f"{place} is no type, as Microsoft.Network/azureFirewalls is one")
        for version in versions:
            if not _VERSION.fullmatch(version):
                raise ValueError(f"{place} has {version!r}, which is no version")
    return {ids.lower(kind): tuple(versions) for kind, versions in document.items()}


def _find_versions(kind: str, instead: Mapping[str, Sequence[str]]) -> Sequence[str] | None:
    """Return the versions of a type, or None if nothing is known about it."""
    tables = (instead, _VERSIONS)
    found = (table[name] for table in tables for name in table if kind.startswith(name))
    return next(found, None)


def show_in_version(resource: Json, version: str) -> Json:
    """Return *resource* without the members that *version* does not know."""
    hidden = _list_hidden(resource, version)
    if not hidden:
        return resource
    outer = {name: value for name, value in resource.items() if name not in hidden}
    properties = resource["properties"].items()
    shown = {name: value for name, value in properties if f"properties.{name}" not in hidden}
    return {**outer, "properties": shown}


def keep_hidden(written: Json, old: Json | None, version: str) -> None:
    """Give *written* the members of *old* that *version* does not know."""
    if old is None:
        return
    for name in _list_hidden(old, version):
        holder, _, member = name.rpartition(".")
        before, after = (old[holder], written[holder]) if holder else (old, written)
        if member in before:
            after[member] = before[member]


def _list_hidden(resource: Json, version: str) -> set[str]:
    members = _SINCE.get(resource.get("type", ""), {})
    return {name for name, since in members.items() if version < since}
