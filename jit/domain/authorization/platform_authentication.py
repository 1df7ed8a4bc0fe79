"""
The configuration of App Service authentication: the fault for which no caller is believed.

The platform passes its configuration to the app in ``WEBSITE_AUTH_V2_CONFIG_JSON``
(https://learn.microsoft.com/azure/app-service/reference-app-settings#authentication--authorization).
Its members are those of ``Microsoft.Web/sites/config`` ``authsettingsV2``
(https://learn.microsoft.com/azure/templates/microsoft.web/sites/config-authsettingsv2). Microsoft
documents neither the letter case of the member names there nor the envelope. So member names count
in any case, a name that appears twice is a fault, and the envelope ``{"properties": …}`` may be
there.

If ``platform.configFilePath`` is set, a file of the app is the configuration, and the members here
do not count (https://learn.microsoft.com/azure/app-service/configure-authentication-file-based).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, Never

from jit.domain.authorization.issuers import is_of_entra_id
from jit.domain.errors import Malformed
from jit.domain.values.object_ids import parse_object_id

CONFIGURATION: Final = "WEBSITE_AUTH_V2_CONFIG_JSON"
CLIENT_ID: Final = "JIT_APP_CLIENT_ID"

EXCLUDED_PATHS: Final = ("/api/health", "/api/webhooks/*", "/page", "/page/*")
"""The paths that the platform may leave without authentication; no principal is read there."""

_LONGEST = 65_536  # characters of the configuration
_SHOWN = 60  # characters of a value that a fault quotes
_ENTRA, _CUSTOM = "azureactivedirectory", "customopenidconnectproviders"
_ACTIONS = {"redirecttologinpage", "return401", "return403", "return404"}


def find_fault(configuration: str | None, *, client_id: str) -> str:
    """
    Return the fault in words, with its setting as the first word; empty if there is none.

    Args:
        configuration: The JSON of the platform; None if the platform sets none.
        client_id: Lower-case client id of the broker's application; empty if it is not set.
    """
    if configuration is None:
        return "" if not client_id or _is_id(client_id) else f"{CLIENT_ID} is no client id"
    if not _is_id(client_id):
        return f"{CLIENT_ID} is no client id, and {CONFIGURATION} must name it"
    try:
        document = _parse(configuration)
    except (ValueError, RecursionError):
        return f"{CONFIGURATION} cannot be read"
    fault = next(_find_faults(document, client_id), "")
    return f"{CONFIGURATION} {fault}" if fault else ""


def _is_id(text: str) -> bool:
    try:
        parse_object_id(text)
    except Malformed:
        return False
    return True


def _parse(text: str) -> dict[str, object]:
    """
    Return the configuration with its member names in lower case, without its envelope.

    Raises:
        ValueError: It is no JSON object, is too long, or has a name twice.
        RecursionError: It is too deep.
    """
    if len(text) > _LONGEST:
        raise ValueError("too long")
    document = json.loads(text, object_pairs_hook=_fold_names, parse_constant=_refuse_constant)
    if isinstance(document, dict) and "properties" in document:
        if document.keys() & {"platform", "globalvalidation", "identityproviders"}:
            raise ValueError("an envelope has no members of its own")
        document = document["properties"]
    if not isinstance(document, dict):
        raise ValueError("no object")  # noqa: TRY004 # it is a fault of the text
    return document


def _fold_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = {name.lower(): value for name, value in pairs}
    if len(found) < len(pairs):
        raise ValueError("a name appears twice")
    return found


def _refuse_constant(text: str) -> Never:
    raise ValueError(text)


def _find_faults(document: dict[str, object], client_id: str) -> Iterator[str]:
    if "platform" in document and _get(document, "platform", "enabled") is not True:
        yield "turns authentication off"
    file = _get(document, "platform", "configfilepath")
    if file not in (None, ""):
        yield f"lets a file configure authentication: {_quote(file)}"
    if _get(document, "globalvalidation", "requireauthentication") is not True:
        yield "does not require authentication"
    action = _get(document, "globalvalidation", "unauthenticatedclientaction")
    if action is not None and str(action).lower() not in _ACTIONS:
        yield f"lets callers through who are not signed in: {_quote(action)}"
    yield from _find_open_paths(_get(document, "globalvalidation", "excludedpaths"))
    yield from _find_other_providers(_get(document, "identityproviders"))
    entra = _get(document, "identityproviders", _ENTRA)
    if isinstance(entra, dict) and entra.get("enabled", True) is not True:
        yield "turns Microsoft Entra ID off"
    named = _get(entra, "registration", "clientid")
    if not isinstance(named, str) or named.lower() != client_id:
        yield f"names another application than {CLIENT_ID}: {_quote(named)}"
    issuer = _get(entra, "registration", "openidissuer")
    if issuer is not None and not is_of_entra_id(issuer):
        yield f"names an issuer that is not Microsoft Entra ID: {_quote(issuer)}"


def _find_other_providers(providers: object) -> Iterator[str]:
    """Yield a fault for each provider that may sign callers in beside Entra ID: it is not off."""
    for name, provider in providers.items() if isinstance(providers, dict) else ():
        is_off = provider is None or _get(provider, "enabled") is False
        if name == _CUSTOM:  # each one has a name and an issuer of its own choice
            is_off = provider in (None, {})
        if name != _ENTRA and not is_off:
            yield f"lets another identity provider sign callers in: {_quote(name)}"


def _find_open_paths(paths: object) -> Iterator[str]:
    if paths is not None and not isinstance(paths, list):
        yield "has excluded paths that cannot be read"
        return
    for path in paths or ():
        if path not in EXCLUDED_PATHS:
            yield f"excludes the path {_quote(path)} from authentication"


def _get(document: object, *names: str) -> object:
    """Return the value behind *names*, or None."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _quote(value: object) -> str:
    """Return *value* in one short line."""
    return repr(value)[:_SHOWN]
