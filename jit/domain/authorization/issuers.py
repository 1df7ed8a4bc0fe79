"""
Issuers of tokens: the hosts of Microsoft Entra ID.

Those of tokens v2.0, with the national clouds:
https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud. Tokens v1.0 name
``sts.windows.net`` (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference);
those of the Chinese cloud name ``sts.chinacloudapi.cn``, and its older sign-in host is in
https://github.com/Azure/azure-sdk-for-java (``KnownAuthorityHosts``).
"""

from __future__ import annotations

from typing import Final

HOSTS: Final = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.partner.microsoftonline.cn",
        "login.chinacloudapi.cn",
        "sts.windows.net",
        "sts.chinacloudapi.cn",
    }
)

_BEGINNINGS = tuple(f"https://{host}/" for host in HOSTS)


def is_of_entra_id(issuer: object) -> bool:
    """
    Return True if *issuer* is a URL by https at a host of Entra ID.

    The slash behind the host must be there: so no user name, no port and no longer host name can
    stand in the way.
    """
    return isinstance(issuer, str) and issuer.lower().startswith(_BEGINNINGS)
