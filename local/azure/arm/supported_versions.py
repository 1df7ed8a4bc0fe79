"""
The versions of Azure's APIs: refused in ARM's words if a cloud does not have them.

Every well-formed version is taken, unless a test says which versions of a type there are. Other
clouds, and Azure Stack, have fewer versions.

Source:
    "Resolve errors for resource provider registration" (Microsoft Learn) quotes the texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from local.azure.values import ids
from local.azure.values.http import ArmError

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?")
_TYPE = re.compile(r".*/providers/([^/]+)/(?:locations/[^/]+/)?([^/]+)", re.IGNORECASE)


def check_version(path: str, version: str, supported: Mapping[str, Sequence[str]]) -> None:
    """
    Refuse a *version* that the type in *path* does not have.

    Args:
        path: The path of the call.
        version: As the client wrote it.
        supported: Versions by type, ``microsoft.network/azurefirewalls``; a type that is not
            there has every version.

    Raises:
        ArmError: 400.
    """
    if not _VERSION.fullmatch(version):
        raise ArmError(
            400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid."
        )
    match = _TYPE.match(path)
    if match is None:
        return
    known = supported.get(ids.lower(f"{match[1]}/{match[2]}"))
    if known is not None and version not in known:
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location 'westeurope' and API version "
            f"'{version}' for type '{match[2]}'. The supported api-versions are "
            f"'{', '.join(known)}'. The supported locations are 'westeurope'.",
        )


def read_supported(document: object) -> dict[str, list[str]]:
    """
    Return the versions by type, in lower case, of a part of ``PUT /_sim/state``.

    Raises:
        ValueError: It is not an object of lists of versions.
    """
    if not isinstance(document, dict):
        raise ValueError("apiVersions is an object")  # noqa: TRY004 - one error for bad input
    for kind, versions in document.items():
        if kind.count("/") != 1 or not isinstance(versions, list):
            raise ValueError(f"apiVersions takes a list for a type, not {kind!r}: {versions!r}")
        if not all(isinstance(each, str) and _VERSION.fullmatch(each) for each in versions):
            raise ValueError(f"the versions of {kind} are dates: {versions!r}")
    return {ids.lower(kind): list(versions) for kind, versions in document.items()}
