"""Settings: read once, from a mapping that is passed in, all faults in one message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_network
from urllib.parse import urlsplit
from uuid import UUID

from jit.domain.authorization.audiences import build_audiences
from jit.domain.authorization.platform_authentication import CONFIGURATION, find_fault
from jit.domain.limits import LIMITS, Limits
from jit.domain.values.proxies import HEADER, Proxies
from jit.domain.values.times import format_duration, parse_duration

ARM_ENDPOINT = "https://management.azure.com"
NAMES = (
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage",
    "AzureWebJobsStorage__accountName",
    "JIT_APP_AUDIENCES",
    "JIT_APP_CLIENT_ID",
    "JIT_ARM_ENDPOINT",
    "JIT_ARM_SCOPE",
    "JIT_CHANGES_PER_MINUTE",
    "JIT_DENIALS_PER_HOUR",
    "JIT_FORWARDED_HEADER",
    "JIT_LIVE_ON_ONE_PORT",
    "JIT_LIVE_REQUESTS",
    "JIT_LONGEST_ACCESS",
    "JIT_NETWORK_MANAGER",
    "JIT_PROBLEMS_URL",
    "JIT_PUBLIC_BASE_URL",
    "JIT_READS_PER_MINUTE",
    "JIT_REMOVE_ORPHANS",
    "JIT_REQUESTER_RBAC",
    "JIT_REQUESTS_PER_DAY",
    "JIT_START_HORIZON",
    "JIT_SUBSCRIPTIONS",
    "JIT_TENANT_ID",
    "JIT_TRUSTED_PROXIES",
    "JIT_WIDEST_SOURCE",
    "WEBSITE_AUTH_ENABLED",
    "WEBSITE_AUTH_V2_CONFIG_JSON",
    "WEBSITE_HOSTNAME",
)
"""Every setting that ``from_env`` reads; a test compares them with sample, template and docs."""

_COUNTS = ("0", "1", "2", "3", "4", "5")
_MOST_CALLS = 100_000  # a larger number is a slip of the pen
_MOST_REQUESTS = 2_000  # of one person: times of acceptance that fit a row
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class RequesterRbac(StrEnum):
    """The weight of the roles that a person has in Azure (``JIT_REQUESTER_RBAC``)."""

    ENFORCE = "enforce"  # without them there is no access
    REPORT = "report"  # they are recorded with an acceptance, and decide nothing
    OFF = "off"  # they are not read


class BadSettings(Exception):
    """One or more settings cannot be used; the message names them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The settings of the broker.

    Attributes:
        storage_connection: Connection string of the storage account; None uses the identity.
        storage_account: Name of the storage account, when the identity is used.
        client_id: Client id of a user-assigned managed identity; None means system-assigned.
        subscriptions: Lower-case ids of the subscriptions to look after, at least one.
        arm_endpoint: Azure Resource Manager.
        arm_scope: Scope of its tokens.
        public_base_url: The URL by which callers reach the broker, without a slash at its end.
        problems_url: The beginning of the ``type`` of a problem; the slug of the error follows.
        auth_enabled: App Service authentication is on; principals are believed only then.
        tenant_id: Lower-case id of the Entra tenant of all callers; empty if it is not known.
        app_audiences: Audiences of callers' tokens; empty if the platform alone compares them.
        application_fault: The fault of the application's settings or of the platform's
            configuration, in words; empty if there is none.
        proxies: The proxies between callers and the platform.
        remove_orphans: Remove JIT-looking rules that nobody asked for.
        requester_rbac: The weight of the roles that a person has in Azure.
        reads_network_manager: False if the operator says that no Virtual Network Manager is in use.
        limits: The contract's numbers, as moved by settings.
    """

    storage_connection: str | None
    storage_account: str | None
    client_id: str | None
    subscriptions: tuple[str, ...]
    arm_endpoint: str
    arm_scope: str
    public_base_url: str
    problems_url: str
    auth_enabled: bool
    tenant_id: str
    app_audiences: frozenset[str]
    application_fault: str
    proxies: Proxies
    remove_orphans: bool
    reads_network_manager: bool
    requester_rbac: RequesterRbac
    limits: Limits

    @property
    def authentication_fault(self) -> str:
        """
        The setting for which no caller is believed, in words; empty if there is none.

        It stops callers only: an app without callers must go on closing paths.
        """
        if not self.auth_enabled:
            return "WEBSITE_AUTH_ENABLED is not true: all routes are 401"
        if not self.tenant_id:
            return "JIT_TENANT_ID is not the id of an Entra tenant: all routes are 401"
        return self.application_fault and f"{self.application_fault}: all routes are 401"

    @staticmethod
    def from_env(env: Mapping[str, str]) -> Settings:
        """
        Read settings from *env*.

        Raises:
            BadSettings: The message names every fault.
        """
        faults: list[str] = []
        endpoint = _url(env, "JIT_ARM_ENDPOINT", faults) or ARM_ENDPOINT
        subscriptions = _subscriptions(env.get("JIT_SUBSCRIPTIONS", ""), faults)
        base_url = _public_base_url(env, faults)
        audiences, application_fault = _read_application(env)
        settings = Settings(
            storage_connection=env.get("AzureWebJobsStorage") or None,
            storage_account=env.get("AzureWebJobsStorage__accountName") or None,
            client_id=env.get("AZURE_CLIENT_ID") or None,
            subscriptions=subscriptions,
            arm_endpoint=endpoint,
            arm_scope=env.get("JIT_ARM_SCOPE") or f"{ARM_ENDPOINT}/.default",
            public_base_url=base_url,
            problems_url=_problems_url(env, base_url, faults),
            auth_enabled=_read_flag(env, "WEBSITE_AUTH_ENABLED", faults),
            tenant_id=_read_tenant(env),
            app_audiences=audiences,
            application_fault=application_fault,
            proxies=_proxies(env, base_url, faults),
            remove_orphans=_read_flag(env, "JIT_REMOVE_ORPHANS", faults),
            reads_network_manager=_read_network_manager(env, faults),
            requester_rbac=_read_requester_rbac(env, faults),
            limits=replace(_limits(env, faults), subscriptions=subscriptions),
        )
        if not settings.storage_connection and not settings.storage_account:
            faults.append("AzureWebJobsStorage or AzureWebJobsStorage__accountName is required")
        if faults:
            raise BadSettings("; ".join(faults))
        return settings


def _url(env: Mapping[str, str], name: str, faults: list[str]) -> str | None:
    value = env.get(name, "").rstrip("/")
    if not value or _is_url(value):
        return value or None
    faults.append(f"{name} must be an http(s) URL")
    return None


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in {"https", "http"} and bool(url.hostname)


def _public_base_url(env: Mapping[str, str], faults: list[str]) -> str:
    """Return the URL of the setting, or of the name that the platform gave the app."""
    name, given = env.get("WEBSITE_HOSTNAME"), _url(env, "JIT_PUBLIC_BASE_URL", faults)
    if not name and not given:
        faults.append("JIT_PUBLIC_BASE_URL is required: the platform set no WEBSITE_HOSTNAME")
    return given or f"https://{name}"


def _problems_url(env: Mapping[str, str], base_url: str, faults: list[str]) -> str:
    """Return the operator's page and a fragment, or the route that serves the documentation."""
    page = _url(env, "JIT_PROBLEMS_URL", faults)
    return f"{page}#" if page else f"{base_url}/api/problems/"


def _proxies(env: Mapping[str, str], base_url: str, faults: list[str]) -> Proxies:
    """Return the trusted proxies; the base URL shows that there is a gateway."""
    header = env.get("JIT_FORWARDED_HEADER", "") or HEADER
    if not _HEADER_NAME.fullmatch(header):
        faults.append("JIT_FORWARDED_HEADER must be the name of a header")
    items = [part.strip() for part in env.get("JIT_TRUSTED_PROXIES", "").split(",")]
    if items == [""]:
        unknown = _is_behind_gateway(base_url, env.get("WEBSITE_HOSTNAME", ""))
        return Proxies(header=header, unknown=unknown)
    if len(items) == 1 and items[0] in _COUNTS:
        return Proxies(header=header, count=int(items[0]))
    try:
        prefixes = tuple(map(ip_network, items))
    except ValueError as error:
        faults.append(
            f"JIT_TRUSTED_PROXIES takes a number up to {_COUNTS[-1]} or prefixes: {error}"
        )
        return Proxies(header=header)
    return Proxies(header=header, prefixes=prefixes)


def _is_behind_gateway(base_url: str, host_name: str) -> bool:
    """Return True if callers reach the broker by another host name than the app's own."""
    host = urlsplit(base_url).hostname or ""
    return host != host_name.lower() and host not in _LOOPBACK


def _read_flag(env: Mapping[str, str], name: str, faults: list[str]) -> bool:
    value = env.get(name, "").lower()
    if value not in {"", "true", "false", "1", "0"}:
        faults.append(f"{name} must be true or false")
    return value in {"true", "1"}


def _read_tenant(env: Mapping[str, str]) -> str:
    """Return the tenant, or nothing if the setting is no id: see `authentication_fault`."""
    try:
        return str(UUID(env.get("JIT_TENANT_ID", "").strip()))
    except ValueError:
        return ""


def _read_application(env: Mapping[str, str]) -> tuple[frozenset[str], str]:
    """Return the audiences of the broker's application, and the fault of its settings."""
    client_id = env.get("JIT_APP_CLIENT_ID", "").strip().lower()
    fault = find_fault(env.get(CONFIGURATION), client_id=client_id)
    try:
        return build_audiences(env.get("JIT_APP_AUDIENCES", ""), client_id), fault
    except ValueError as error:
        return frozenset(), fault or str(error)


def _read_network_manager(env: Mapping[str, str], faults: list[str]) -> bool:
    value = env.get("JIT_NETWORK_MANAGER", "").lower() or "read"
    if value not in {"read", "none"}:
        faults.append("JIT_NETWORK_MANAGER must be read or none")
    return value != "none"


def _read_requester_rbac(env: Mapping[str, str], faults: list[str]) -> RequesterRbac:
    value = env.get("JIT_REQUESTER_RBAC", "").lower() or RequesterRbac.ENFORCE
    if value in set(RequesterRbac):
        return RequesterRbac(value)
    faults.append("JIT_REQUESTER_RBAC must be enforce, report or off")
    return RequesterRbac.ENFORCE


def _subscriptions(text: str, faults: list[str]) -> tuple[str, ...]:
    items = [part.strip() for part in text.split(",") if part.strip()]
    if not items:
        faults.append("JIT_SUBSCRIPTIONS is required: it names at least one subscription id")
    found = []
    for item in items:
        try:
            found.append(str(UUID(item)))
        except ValueError:
            faults.append(f"JIT_SUBSCRIPTIONS holds {item!r}, which is not a subscription id")
    return tuple(dict.fromkeys(found))


def _limits(env: Mapping[str, str], faults: list[str]) -> Limits:
    limits = LIMITS
    widest = env.get("JIT_WIDEST_SOURCE", "").lstrip("/")
    if widest:
        if widest.isascii() and widest.isdigit() and 1 <= int(widest) <= 32:  # noqa: PLR2004 # bits of IPv4
            limits = replace(limits, widest_source_v4=int(widest))
        else:
            faults.append("JIT_WIDEST_SOURCE must be a prefix length from 1 to 32")
    horizon = env.get("JIT_START_HORIZON", "")
    if horizon:
        limits = replace(limits, start_horizon=_horizon(horizon, faults))
    longest = env.get("JIT_LONGEST_ACCESS", "")
    if longest:
        limits = replace(limits, longest_access=_longest_access(longest, faults))
    return _read_counts(env, limits, faults)


def _read_counts(env: Mapping[str, str], limits: Limits, faults: list[str]) -> Limits:
    """Return *limits* with the numbers that one caller, or one person, may reach."""

    def read(name: str, default: int, most: int = _MOST_CALLS) -> int:
        return _read_count(env, name, default, most, faults)

    return replace(
        limits,
        reads_per_minute=read("JIT_READS_PER_MINUTE", limits.reads_per_minute),
        changes_per_minute=read("JIT_CHANGES_PER_MINUTE", limits.changes_per_minute),
        denials_per_hour=read("JIT_DENIALS_PER_HOUR", limits.denials_per_hour),
        live_requests=read("JIT_LIVE_REQUESTS", limits.live_requests, _MOST_REQUESTS),
        live_on_one_port=read("JIT_LIVE_ON_ONE_PORT", limits.live_on_one_port, _MOST_REQUESTS),
        requests_per_day=read("JIT_REQUESTS_PER_DAY", limits.requests_per_day, _MOST_REQUESTS),
    )


def _read_count(
    env: Mapping[str, str], name: str, default: int, most: int, faults: list[str]
) -> int:
    """Return the number of a setting, at least 1: none at all would shut everybody out."""
    text = env.get(name, "")
    if not text:
        return default
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most:
        return int(text)
    faults.append(f"{name} must be a number from 1 to {most}")
    return default


def _horizon(text: str, faults: list[str]) -> timedelta:
    span = _span("JIT_START_HORIZON", text, LIMITS.start_horizon, faults)
    if span > LIMITS.furthest_start:
        faults.append(f"JIT_START_HORIZON is at most {format_duration(LIMITS.furthest_start)}")
    return span


def _longest_access(text: str, faults: list[str]) -> timedelta:
    span = _span("JIT_LONGEST_ACCESS", text, LIMITS.longest_access, faults)
    if span < LIMITS.shortest:
        faults.append(f"JIT_LONGEST_ACCESS must be at least {format_duration(LIMITS.shortest)}")
    return span


def _span(name: str, text: str, default: timedelta, faults: list[str]) -> timedelta:
    """Return the duration in *text*; if it is none, note the fault and return *default*."""
    try:
        return parse_duration(text)
    except ValueError as error:
        faults.append(f"{name}: {error}")
        return default
