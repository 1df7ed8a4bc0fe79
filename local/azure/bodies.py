"""
The shapes that the network provider deserializes: checked before anything is read from a body.

Source:
    Microsoft.Network 2021-02-01, azureFirewall.json, networkSecurityGroup.json;
    fields that no check here looks at are left out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from local.azure.wire import ArmError, Json

_Texts = list[str] | None


class Reference(msgspec.Struct):
    """A link to another resource."""

    id: str


class LegProperties(msgspec.Struct):
    """What an IP configuration of a firewall stands on."""

    subnet: Reference | None = None
    public_address: Reference | None = msgspec.field(default=None, name="publicIPAddress")


class Leg(msgspec.Struct):
    """An IP configuration of a firewall."""

    name: str
    properties: LegProperties


class FirewallRule(msgspec.Struct, rename="camel"):
    """A NAT, network or application rule: the fields they share, those of DNAT."""

    name: str
    source_addresses: _Texts = None
    source_ip_groups: _Texts = None
    destination_addresses: _Texts = None
    destination_ports: _Texts = None
    translated_address: str | None = None
    translated_fqdn: str | None = None
    translated_port: str | None = None


class NatRule(FirewallRule, rename="camel"):
    """A DNAT rule; application rules have protocols of another shape."""

    protocols: _Texts = None


class NetworkRule(NatRule, rename="camel"):
    """A network rule: the same fields with another meaning."""


class Action(msgspec.Struct):
    """What a rule collection does."""

    type: str


class NatProperties(msgspec.Struct):
    """A NAT rule collection's properties."""

    action: Action | None = None
    priority: int | None = None
    rules: list[NatRule] | None = None


class NetworkProperties(msgspec.Struct):
    """A network rule collection's properties."""

    action: Action
    priority: int | None = None
    rules: list[NetworkRule] | None = None


class ApplicationProperties(msgspec.Struct):
    """An application rule collection's properties."""

    action: Action
    priority: int | None = None
    rules: list[FirewallRule] | None = None


class NatCollection(msgspec.Struct):
    """A NAT rule collection."""

    name: str
    properties: NatProperties


class NetworkCollection(msgspec.Struct):
    """A network rule collection."""

    name: str
    properties: NetworkProperties


class ApplicationCollection(msgspec.Struct):
    """An application rule collection."""

    name: str
    properties: ApplicationProperties


class FirewallProperties(msgspec.Struct, rename="camel"):
    """A firewall's properties."""

    ip_configurations: list[Leg] | None = None
    nat_rule_collections: list[NatCollection] | None = None
    network_rule_collections: list[NetworkCollection] | None = None
    application_rule_collections: list[ApplicationCollection] | None = None
    firewall_policy: Reference | None = None


class Firewall(msgspec.Struct):
    """The body of a firewall's PUT."""

    location: str
    properties: FirewallProperties
    tags: dict[str, str] | None = None


class NamedRule(msgspec.Struct):
    """A rule inside a group's body."""

    name: str
    properties: dict[str, Any]


class GroupProperties(msgspec.Struct, rename="camel"):
    """A group's properties."""

    security_rules: list[NamedRule] | None = None


class Group(msgspec.Struct):
    """The body of a network security group's PUT."""

    location: str | None = None
    properties: GroupProperties | None = None
    tags: dict[str, str] | None = None


def check(body: Json, shape: type[msgspec.Struct]) -> None:
    """
    Check that *body* has *shape*; fields that the shape does not name are fine.

    Raises:
        ArmError: 400, naming the first field that has not.
    """
    try:
        msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        message = f"The request content was invalid and could not be deserialized: '{error}'."
        raise ArmError(400, "InvalidRequestFormat", message, details=[]) from error
