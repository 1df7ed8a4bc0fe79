"""The direct reader of the fakes gives the results and errors of the real one."""

import pytest

from jit.domain.errors import Refused, Unavailable
from jit.gateways.arm import ThinArm
from local.azure.transport import SimulatorTransport
from tests.builders.admin_rules import arm_admin
from tests.fakes.azure import SCOPE, SimulatedAzure, SimulatedIdentity
from tests.fakes.raw_gateways import RawArm
from tests.local.azure.sim import DB, HOST, NSG_DB, PRODUCTION, Sim, network

LIST = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network/networkSecurityGroups"
VNET = network("virtualNetworks", "vnet-db", DB)
VERSION = "2024-07-01"


def both(sim):
    """Return the real reader and the direct one, over the same simulator."""
    identity = SimulatedIdentity(sim)
    return ThinArm(HOST, identity, SCOPE, transport=SimulatorTransport(sim.azure)), RawArm(sim)


def outcome(act):
    """Return the result of a call, or the type, text and fields of its error."""
    try:
        return act()
    except (Unavailable, Refused) as error:
        return type(error), str(error), vars(error)


def test_a_direct_read_gives_the_result_of_the_real_reader():
    """One resource, a list with all its pages, and a resource that does not exist."""
    real, raw = both(Sim())

    assert raw.get(NSG_DB, VERSION) == real.get(NSG_DB, VERSION)
    assert raw.list(LIST, VERSION) == real.list(LIST, VERSION)
    chosen = "principalId eq 'a+b'"
    assert raw.list(LIST, VERSION, chosen) == real.list(LIST, VERSION, chosen)
    absent = [outcome(lambda arm=arm: arm.get(f"{NSG_DB}-x", VERSION)) for arm in (real, raw)]
    assert absent[0] == absent[1]
    assert isinstance(absent[0], tuple)


def test_a_direct_list_of_admin_rules_is_that_of_the_real_client():
    """All pages, and a network that does not exist."""
    sim = Sim()
    rules = [arm_admin(number=number) for number in range(1, 121)]
    sim.control("PUT", "state", {"adminRules": {VNET: rules}})
    clients = [SimulatedAzure(sim, direct=direct).network for direct in (False, True)]

    assert [each.list_admin_rules(VNET) for each in clients] == [rules, rules]
    absent = [outcome(lambda it=each: it.list_admin_rules(f"{VNET}-x")) for each in clients]
    assert absent[0] == absent[1]
    assert isinstance(absent[0], tuple)


@pytest.mark.parametrize(
    "fault",
    [
        {"answer": {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "40"}}},
        {"answer": {"status": 503, "code": "ServiceUnavailable"}},
        {"answer": {"status": 500, "code": "InternalServerError"}},
        {"answer": {"status": 409, "code": "AnotherOperationInProgress"}},
        {"answer": {"status": 403, "code": "AuthorizationFailed"}},
        {"answer": {"status": 404, "code": "NotFound"}},
        {"answer": {"status": 400}},
        {"drop": "before"},
        {"drop": "after"},
    ],
    ids=str,
)
def test_a_direct_read_gives_the_error_of_the_real_reader(fault):
    """The type, the text, the code, the status and the time to wait."""
    sim = Sim()
    errors = []
    for arm in both(sim):
        sim.faults({"match": {"principal": "broker"}, **fault})
        errors.append(outcome(lambda arm=arm: arm.get(NSG_DB, VERSION)))

    assert errors[0] == errors[1]
    assert isinstance(errors[0], tuple)
