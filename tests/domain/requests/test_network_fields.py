"""Field types of a network path: VMs, ports, protocols, sources."""

from ipaddress import ip_network

import pytest

from jit.domain.limits import LIMITS, Limits
from jit.domain.requests import network_fields
from jit.domain.requests.fields import ReadContext
from jit.domain.requests.json_node import Node
from tests.builders.bodies import faults
from tests.builders.values import vm_id

NARROW = Limits(widest_source_v4=28, widest_source_v6=128, sources=2)


def read_each(field, values, limits=LIMITS):
    """The values that *field* makes of the items of one list, and their faults."""
    context, root = ReadContext(limits), Node(list(values), "#", [])
    nodes = root.read_items("values", most=len(values))
    return [field.read(node, context) for node in nodes], faults(root.faults)


def test_a_vm_stands_once_in_a_list_in_any_case():
    """The first one counts; the repetition is a fault."""
    found, noted = read_each(network_fields.VM_ID, [vm_id(), vm_id().upper(), vm_id("web02"), "x"])

    assert [vm and vm.id for vm in found] == [vm_id(), None, vm_id("web02"), None]
    assert noted == [("#/1", "duplicate-vm"), ("#/3", "vm-id-malformed")]


def test_a_port_stands_once_in_a_list():
    """A faulty number is no repetition."""
    assert read_each(network_fields.PORT_NUMBER, [22, 0, 0, 22, 65_535, 65_536, "22"]) == (
        [22, None, None, None, 65_535, None, None],
        [
            ("#/1", "port-out-of-range"),
            ("#/2", "port-out-of-range"),
            ("#/3", "duplicate-port"),
            ("#/5", "port-out-of-range"),
            ("#/6", "wrong-type"),
        ],
    )


def test_a_protocol_is_written_as_defender_writes_it():
    """Upper case, or a star."""
    assert read_each(network_fields.PROTOCOL, ["TCP", "UDP", "*", "tcp"]) == (
        ["TCP", "UDP", "*", None],
        [("#/3", "protocol-unknown")],
    )


def test_a_source_is_as_narrow_as_the_limits_want():
    """All faults of one source are noted at it."""
    values = ["203.0.113.0/28", "203.0.113.1/27", "2a02::/127", "*", 7]
    found, noted = read_each(network_fields.SOURCE, values, NARROW)

    assert found == [ip_network("203.0.113.0/28"), None, None, None, None]
    assert noted == [
        ("#/1", "source-host-bits"),
        ("#/1", "source-too-wide"),
        ("#/2", "source-too-wide"),
        ("#/3", "source-any"),
        ("#/4", "wrong-type"),
    ]


@pytest.mark.parametrize(
    ("value", "found", "noted"),
    [
        (["*"], ("*",), []),
        (["10.0.0.0/8", "2a02::/32"], ("10.0.0.0/8", "2a02::/32"), []),
        (["10.0.0.0/8", "*"], ("10.0.0.0/8",), [("#/1", "source-any")]),
        (["10.0.0.0/8", "10.1.0.0/16"], ("10.0.0.0/8",), [("#/1", "source-overlap")]),
        (["10.0.0.0/8", "10.0.0.0/8"], ("10.0.0.0/8",), [("#/1", "duplicate-source")]),
        (["nonsense", "10.0.0.0/8"], ("10.0.0.0/8",), [("#/0", "source-malformed")]),
        ([], (), [("#", "too-few")]),
        (["10.1.0.0/16", "10.2.0.0/16", "x"], ("10.1.0.0/16", "10.2.0.0/16"), [("#", "too-many")]),
        ("*", (), [("#", "wrong-type")]),
    ],
)
def test_a_policy_allows_everything_or_disjoint_prefixes(value, found, noted):
    """The star stands alone; the good prefixes of a faulty list are kept."""
    node = Node(value, "#", [])

    assert network_fields.ALLOWED_SOURCES.read(node, ReadContext(NARROW)) == found
    assert faults(node.faults) == noted


@pytest.mark.parametrize(
    ("field", "part"),
    [
        (network_fields.VM_ID, {"type": "string", "pattern": "^(/[^/]+){8}$"}),
        (network_fields.PORT_NUMBER, {"type": "integer", "minimum": 1, "maximum": 65_535}),
        (network_fields.PROTOCOL, {"type": "string", "enum": ["TCP", "UDP", "*"]}),
        (
            network_fields.SOURCE,
            {"description": "One address or prefix; /28 (IPv6: /128) is the widest accepted."},
        ),
        (network_fields.ALLOWED_SOURCES, {"type": "array", "minItems": 1, "maxItems": 2}),
    ],
)
def test_a_field_type_describes_itself(field, part):
    """Under the limits that it reads by."""
    schema = field.describe(NARROW)

    assert {name: schema.get(name) for name in part} == part
