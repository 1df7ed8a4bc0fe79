"""
Access tokens: issued by the App Service identity protocol, checked by ARM.

Source:
    https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass

from local.azure.arm.directory import BROKER, Directory, Principal
from local.azure.values.http import ArmError, Json, Request, Response, answer

LIFETIME_SECONDS = 24 * 3600
_ARM_AUDIENCES = (
    "https://management.azure.com",
    "https://management.core.windows.net",
)
_CHALLENGE = (
    'Bearer authorization_uri="https://login.microsoftonline.com/{tenant}", error="{error}"'
)


@dataclass(frozen=True, slots=True)
class Tokens:
    """
    Issues tokens, finds the principal of a token.

    A token is an unsigned JWT: it must look right to clients, it protects nothing.
    Its times are wall-clock times, because the real credential caches by those.

    Attributes:
        directory: The principals that can get tokens.
        tenant: The tenant's GUID.
        identity_header: The secret of the identity endpoint; None accepts any.
    """

    directory: Directory
    tenant: str
    identity_header: str | None

    def issue(self, principal: Principal, audience: str) -> tuple[str, int]:
        """Return a token with its ``exp`` (epoch seconds)."""
        now = int(time.time())
        claims: Json = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
            "oid": principal.id,
            "sub": principal.id,
            "tid": self.tenant,
            "name": principal.display,
            "ver": "1.0",
        }
        if principal.kind == "User":
            claims["upn"] = principal.address
        else:
            claims["appid"], claims["idtyp"] = principal.id, "app"
        parts = ({"typ": "JWT", "alg": "none"}, claims)
        return ".".join([*map(_encode, parts), ""]), claims["exp"]

    def answer_managed_identity(self, request: Request) -> Response:
        """Answer ``GET /msi/token``: a token of the broker's identity, or a refusal."""
        header = request.headers.get("x-identity-header")
        if not header or self.identity_header not in {None, header}:
            return _refusal(401, "The X-IDENTITY-HEADER is missing or wrong.")
        resource = request.query.get("resource", "")
        if request.query.get("api-version") != "2019-08-01" or not resource:
            return _refusal(400, "The request needs api-version=2019-08-01 with a resource.")
        if {"client_id", "principal_id", "mi_res_id", "object_id"} & request.query.keys():
            return _refusal(400, "No User Assigned or Delegated Managed Identity found.")
        principal = self.directory.principals[BROKER]
        token, expires = self.issue(principal, resource)
        document = {
            "access_token": token,
            "client_id": principal.id,
            "expires_on": str(expires),
            "not_before": str(expires - LIFETIME_SECONDS),
            "resource": resource,
            "token_type": "Bearer",
        }
        return answer(200, document)

    def find_holder(self, request: Request) -> Principal:
        """
        Return the sender of *request*.

        Raises:
            ArmError: 401, the token is missing, malformed, expired or for someone else.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._denial("AuthenticationFailed", "The 'Authorization' header is missing.")
        claims = _decode(token)
        principal = None if claims is None else self.directory.find_by_id(str(claims.get("oid")))
        if claims is None or principal is None or claims.get("tid") != self.tenant:
            raise self._denial("InvalidAuthenticationToken", "The access token is invalid.")
        if str(claims.get("aud")).rstrip("/") not in _ARM_AUDIENCES:
            message = (
                f"The access token has been obtained for wrong audience '{claims.get('aud')}'."
            )
            raise self._denial("InvalidAuthenticationTokenAudience", message)
        if not isinstance(claims.get("exp"), int) or claims["exp"] <= time.time():
            raise self._denial("ExpiredAuthenticationToken", "The access token expired.")
        return principal

    def _denial(self, code: str, message: str) -> ArmError:
        error = "invalid_token"
        challenge = _CHALLENGE.format(tenant=self.tenant, error=error)
        return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


def _refusal(status: int, message: str) -> Response:
    return answer(status, {"statusCode": status, "message": message})


def _encode(part: Json) -> str:
    raw = json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> Json | None:
    """Return the claims of *token*; None where it is not a JWT."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None
