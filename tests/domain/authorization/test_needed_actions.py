"""The needed actions, and the permissions that grant or deny them."""

import pytest

from jit.domain.authorization.needed_actions import (
    ALL,
    BIT,
    INITIATE,
    NEEDED,
    READ_ADDRESSES,
    READ_INTERFACES,
    READ_MACHINE,
    READ_POLICIES,
    find_denied,
    find_granted,
    list_actions,
)


def test_the_actions_are_those_of_the_documentation():
    """Request JIT access to a VM."""
    assert NEEDED == (
        "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action",
        "Microsoft.Security/locations/jitNetworkAccessPolicies/*/read",
        "Microsoft.Compute/virtualMachines/read",
        "Microsoft.Network/networkInterfaces/*/read",
        "Microsoft.Network/publicIPAddresses/read",
    )


@pytest.mark.parametrize(
    ("actions", "without", "granted"),
    [
        (["*"], [], list(NEEDED)),
        (NEEDED, [], list(NEEDED)),
        ([], [], []),
        (["*/read"], [], list(NEEDED[1:])),
        (["*"], ["Microsoft.Authorization/*/write"], list(NEEDED)),
        (["*"], ["*/initiate/action"], list(NEEDED[1:])),
        (
            ["*"],
            ["Microsoft.Network/networkInterfaces/ipConfigurations/read"],
            [*NEEDED[:3], READ_ADDRESSES],
        ),
        (["*"], ["*"], []),
        (["Microsoft.Compute/virtualMachines/*", "Microsoft.Network/*"], [], list(NEEDED[2:])),
    ],
)
def test_a_permission_grants_its_actions_without_its_exceptions(actions, without, granted):
    """An exception that touches an action that stands for several takes it away."""
    assert list_actions(find_granted(actions, without)) == granted


@pytest.mark.parametrize(
    ("actions", "without", "denied"),
    [
        (["*"], [], list(NEEDED)),
        (["*"], ["*/read"], [INITIATE]),
        (["*/write", "*/delete"], [], []),
        (["Microsoft.Network/networkInterfaces/ipConfigurations/read"], [], [READ_INTERFACES]),
        (["Microsoft.Security/*"], [INITIATE], [READ_POLICIES]),
        (["*/read"], ["Microsoft.Network/*"], [READ_POLICIES, READ_MACHINE]),
    ],
)
def test_a_permission_denies_an_action_if_it_denies_a_part(actions, without, denied):
    assert list_actions(find_denied(actions, without)) == denied


def test_each_action_has_a_bit_of_its_own():
    assert sum(BIT.values()) == ALL
    assert list_actions(ALL) == list(NEEDED)
