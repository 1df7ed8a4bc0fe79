"""
The caller of an HTTP request: identity, app roles, address.

The broker believes a principal only if App Service authentication is on and the tenant is known.
"""

from __future__ import annotations

import azure.functions as func

from jit.api.principal import PRINCIPAL, PROVIDER, read_principal
from jit.domain.errors import Forbidden, Unauthenticated
from jit.domain.model.people import Person, Role
from jit.domain.values.proxies import HEADER, Proxies, find_caller
from jit.settings import Settings

READERS = (Role.REQUESTER, Role.OPERATOR, Role.AUDITOR, Role.APPROVER)
"""The roles that may read: a requester sees the own requests, the others see all."""


def read_caller(
    req: func.HttpRequest, settings: Settings, *allowed: Role, besides: str = ""
) -> Person:
    """
    Return the caller, if one of their app roles is *allowed*.

    Args:
        req: The request.
        settings: They tell if authentication is on.
        allowed: Roles; without any, every caller is allowed.
        besides: A right that such a role alone does not give; a refusal says so first.

    Raises:
        Unauthenticated: Nobody of the tenant is signed in, or authentication is misconfigured.
        Forbidden: The caller has no role that is *allowed*.
    """
    person = _find_person(req, settings)
    if person is None:
        raise Unauthenticated("sign in through the broker's Entra ID application")
    if allowed and not person.roles & set(allowed):
        names = ", ".join(sorted(allowed))
        what = "the app role" if len(allowed) == 1 else "one of the app roles"
        first = f"{besides}, and " if besides else ""
        who = "an administrator of Entra ID assigns app roles"
        raise Forbidden(f"{first}this needs {what} {names}: {who}")
    return person


def _find_person(req: func.HttpRequest, settings: Settings) -> Person | None:
    if settings.authentication_fault:
        return None
    header, provider = (req.headers.get(name, "") for name in (PRINCIPAL, PROVIDER))
    tenant, audiences = settings.tenant_id, settings.app_audiences
    return read_principal(header, provider=provider, tenant=tenant, audiences=audiences)


def read_address(req: func.HttpRequest, proxies: Proxies) -> str | None:
    """
    Return the caller's address, or None if it cannot be told.

    The platform appends the address that called it to ``X-Forwarded-For``. A gateway may name the
    caller in a header of its own; then that header's hops come before the gateway's.
    """
    hops = _list_hops(req, HEADER)
    if proxies.header.lower() != HEADER.lower():
        hops = [*_list_hops(req, proxies.header), *hops[-1:]]
    return find_caller(hops, proxies)


def _list_hops(req: func.HttpRequest, header: str) -> list[str]:
    text = str(req.headers.get(header, ""))
    return text.split(",") if text else []
