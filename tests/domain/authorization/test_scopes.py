"""Scopes: keys, and the scopes that cover a resource."""

import pytest

from jit.domain.authorization.permission_json import Unreadable
from jit.domain.authorization.scopes import ROOT_SCOPE, list_scopes_of, read_scope
from tests.builders.values import GROUP, VM_ID


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/", ROOT_SCOPE),
        ("/providers/Microsoft.Management/managementGroups/mg-root", ROOT_SCOPE),
        ("/providers/microsoft.management/managementgroups/MG", ROOT_SCOPE),
        (f"{GROUP}/", GROUP.lower()),
        (VM_ID, VM_ID.lower()),
        ("/providers/Microsoft.Billing/accounts/1", "/providers/microsoft.billing/accounts/1"),
        (
            "/providers/Microsoft.Management/managementGroups/a/b",
            "/providers/microsoft.management/managementgroups/a/b",
        ),
    ],
)
def test_a_scope_has_a_key(text, key):
    """Root and management groups apply to the whole subscription, so they are one scope."""
    assert read_scope(text) == key


@pytest.mark.parametrize("text", [None, "", "subscriptions/x", 7, "/" + "x" * 4096])
def test_a_scope_that_is_no_path_is_malformed(text):
    with pytest.raises(Unreadable):
        read_scope(text)


def test_a_resource_lies_below_its_group_and_its_subscription():
    scopes = list(list_scopes_of(VM_ID.lower()))

    wanted = {ROOT_SCOPE, GROUP.lower(), GROUP.lower().partition("/resourcegroups")[0]}
    assert wanted < set(scopes)
    assert (scopes[0], scopes[-1]) == (ROOT_SCOPE, VM_ID.lower())


def test_a_group_whose_name_begins_alike_covers_nothing():
    """``rg-we`` is not above ``rg-web``."""
    assert GROUP.lower()[:-1] not in set(list_scopes_of(VM_ID.lower()))


def test_the_root_is_covered_by_itself():
    assert set(list_scopes_of(ROOT_SCOPE)) == {ROOT_SCOPE}
