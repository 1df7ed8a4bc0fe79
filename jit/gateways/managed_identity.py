"""The broker's managed identity: a token, or an outage."""

from __future__ import annotations

from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError
from azure.identity import ManagedIdentityCredential

from jit.domain.errors import Unavailable


class ManagedIdentity:
    """
    A ``TokenCredential`` whose failures are outages.

    When no token could be had, nothing was sent to anybody. Azure's own error says neither that
    nor where it comes from: the identity endpoint's 400 would pass for a refusal of the call.
    """

    def __init__(self, client_id: str | None = None) -> None:
        """*client_id* names a user-assigned identity; None is the system-assigned one."""
        self._credential = ManagedIdentityCredential(
            client_id=client_id, retry_total=1, connection_timeout=3, read_timeout=10
        )

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """
        Return a token for *scopes*.

        Raises:
            Unavailable: The identity endpoint does not answer, or refuses.
        """
        try:
            token: AccessToken = self._credential.get_token(*scopes, **options)
        except AzureError as error:
            raise Unavailable("the broker's managed identity gave no token") from error
        return token
