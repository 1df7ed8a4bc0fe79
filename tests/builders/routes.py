"""Builders of route tables and of networks that use them, as ARM returns them."""

from tests.builders.values import NETWORK, SUBNET_ID

SUBNET = SUBNET_ID
TABLE = f"{NETWORK}/routeTables/rt"


def arm_udr(prefix, hop, address="", *, name="udr", state="Succeeded"):
    """One user-defined route."""
    fields = {"addressPrefix": prefix, "nextHopType": hop, "provisioningState": state}
    return {"name": name, "properties": {**fields, "nextHopIpAddress": address}}


def arm_table(*routes, state="Succeeded"):
    """A route table."""
    properties = {"provisioningState": state, "routes": list(routes)}
    return {"id": TABLE, "name": "rt", "properties": properties}


def arm_routed_network(table=TABLE):
    """The network of the VM, whose subnet has *table*."""
    held = {"routeTable": {"id": table}} if table else {}
    return {"properties": {"subnets": [{"id": SUBNET, "properties": held}]}}
