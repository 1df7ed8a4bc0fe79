"""Connections: the line that a person copies."""

import pytest

from jit.domain.model.machine import Via
from jit.domain.paths.connection import build_bastion_command, build_connection
from tests.builders.bastions import a_bastion
from tests.builders.grants import an_opening
from tests.builders.values import PUBLIC, SUBSCRIPTION


def test_a_connection_names_the_way_the_address_and_the_port():
    """The port is the mapped one if it is behind a firewall."""
    found = build_connection(an_opening(port=3389), PUBLIC, 13389)

    assert (found.via, found.address, found.port) == (Via.PUBLIC_IP, PUBLIC, 13389)


@pytest.mark.parametrize(
    ("port", "command"),
    [
        (22, f"ssh -p 22 user@{PUBLIC}"),
        (3389, f"mstsc /v:{PUBLIC}:3389"),
        (5985, f"{PUBLIC}:5985"),
    ],
)
def test_the_connection_line_fits_the_port(port, command):
    """SSH, RDP, and other ports."""
    assert build_connection(an_opening(port=port), PUBLIC, port).command == command


@pytest.mark.parametrize(
    ("port", "command"),
    [
        (22, "ssh -p 22 user@2001:db8::9"),
        (3389, "mstsc /v:[2001:db8::9]:3389"),
        (5985, "[2001:db8::9]:5985"),
    ],
)
def test_an_ipv6_address_stands_in_brackets_before_a_port_but_not_for_ssh(port, command):
    """A port after an IPv6 address would read as a part of it. OpenSSH takes no brackets here."""
    assert build_connection(an_opening(port=port), "2001:db8::9", port).command == command


@pytest.mark.parametrize(
    ("port", "verb", "rest"),
    [
        (22, "ssh", " --auth-type password --username user"),
        (3389, "rdp", ""),
        (5986, "tunnel", " --resource-port 5986 --port 5986"),
        (443, "tunnel", " --resource-port 443 --port 50443"),
    ],
)
def test_a_bastion_with_native_clients_has_a_line_of_the_azure_cli(port, verb, rest):
    """It can be copied from any directory, whatever subscription is chosen."""
    grant = an_opening(port=port)

    assert build_bastion_command(grant, a_bastion()) == (
        f"az network bastion {verb} --name bas-prod --resource-group rg-web"
        f" --subscription {SUBSCRIPTION} --target-resource-id {grant.vm_id}{rest}"
    )


def test_a_bastion_without_native_clients_has_the_vms_page_in_the_portal():
    """The CLI would be refused."""
    grant = an_opening()

    found = build_bastion_command(grant, a_bastion(native=False))

    assert found == f"https://portal.azure.com/#resource{grant.vm_id}"
