"""
Audiences of access tokens: the application that a token was issued for.

In v2.0 tokens the audience is the client id of the API. In v1.0 tokens it is the client id or the
App ID URI that the client named
(https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference#payload-claims).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

AUDIENCES: Final = "JIT_APP_AUDIENCES"

_MOST = 20
_LONGEST = 255  # characters; Entra ID takes no longer App ID URI
_ARM = (
    "management.azure.com",
    "management.core.windows.net",
    "management.usgovcloudapi.net",
    "management.core.usgovcloudapi.net",
    "management.chinacloudapi.cn",
    "management.core.chinacloudapi.cn",
    "797f4846-ba00-4fd7-ba43-dac1f8f63013",  # "Windows Azure Service Management API"
)


def build_audiences(text: str, client_id: str) -> frozenset[str]:
    """
    Return the audiences of the broker as `is_ours` compares them; empty if none is known.

    Args:
        text: The setting ``JIT_APP_AUDIENCES``: audiences, separated by commas. If it is empty,
            the App ID URI is ``api://<client id>``.
        client_id: Lower-case client id of the broker's application, which is an audience, too;
            empty if it is not set.

    Raises:
        ValueError: The message tells what is wrong with the setting.
    """
    given = [each for part in text.split(",") if (each := _normalise(part))]
    if len(given) > _MOST or any(len(each) > _LONGEST for each in given):
        raise ValueError(f"{AUDIENCES} holds {_MOST} audiences at most, of {_LONGEST} characters")
    if any(map(is_arm, given)):
        raise ValueError(f"{AUDIENCES} names Azure Resource Manager, whose tokens others get, too")
    own = [client_id] if client_id else []
    return frozenset([*own, *(given or [f"api://{each}" for each in own])])


def is_ours(audience: str | None, ours: Iterable[str]) -> bool:
    """
    Return True if a token for *audience* is for the broker.

    Args:
        audience: The claim ``aud``; None if the token's claims have none.
        ours: The audiences of `build_audiences`. If there are none, the platform alone compares
            them, and only Azure Resource Manager is refused.
    """
    known = frozenset(ours)
    if audience is None:
        return not known
    return not is_arm(audience) and (not known or _normalise(audience) in known)


def is_arm(audience: str) -> bool:
    """
    Return True if *audience* is Azure Resource Manager, in any spelling.

    Everybody with an Azure account can get such a token, and many scripts send it along.
    """
    text = unquote(audience).lower()
    return any(each in text for each in _ARM)


def _normalise(audience: str) -> str:
    return audience.strip().lower().removesuffix("/")
