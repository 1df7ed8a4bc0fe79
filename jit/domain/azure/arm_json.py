"""Members of JSON that Azure Resource Manager returns, read without surprises."""

from __future__ import annotations

from collections.abc import Mapping

Resource = Mapping[str, object]
"""One ARM resource as JSON."""


def provisioning_state(resource: Resource) -> str:
    """Return ``properties.provisioningState``; empty where Azure did not say."""
    return text(mapping(resource, "properties"), "provisioningState")


def etag(resource: Resource) -> str | None:
    """Return the tag that names the version which was read, for ``If-Match``."""
    return text(resource, "etag") or None


def texts(parent: Resource, key: str) -> tuple[str, ...]:
    """Return the strings of an array member."""
    value = parent.get(key)
    found = value if isinstance(value, list) else []
    return tuple(item for item in found if isinstance(item, str))


def text(resource: Mapping[str, object], name: str) -> str:
    """Return a string member, or an empty string."""
    value = resource.get(name)
    return value if isinstance(value, str) else ""


def mapping(resource: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return an object member, or an empty one."""
    value = resource.get(name)
    return value if isinstance(value, Mapping) else {}


def mappings(resource: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """Return the objects of an array member."""
    value = resource.get(name)
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def strings(resource: Mapping[str, object], one: str, many: str) -> tuple[str, ...]:
    """Return ARM's singular/plural pair of members as one tuple."""
    value = resource.get(many)
    items = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    single = text(resource, one)
    return tuple(items or ([single] if single else []))


def properties(resource: Resource) -> Mapping[str, object]:
    """Return a resource's properties."""
    return mapping(resource, "properties")
