"""Functions of access: one use case each."""

import json

import pytest

from jit.api.continuation import write_token
from jit.api.render import render_access
from jit.broker.requests.filters import AccessFilters, Place
from jit.domain.model.people import Person
from jit.domain.model.shown_access import BROKER, AccessEntry
from tests.local.azure.sim import PRODUCTION
from tests.triggers.app_functions import CALLER_ID, call, make_request
from tests.triggers.conftest import NOON

CALLER = Person(id=CALLER_ID, name=CALLER_ID)
ENTRY = AccessEntry(origin=BROKER, person_id="a11ce", person_name="Alice")


@pytest.mark.parametrize("params", [{}, {"vm": "web01", "person": "Alice", "subscription": "5c0f"}])
def test_access_is_listed_for_the_caller_and_the_filters(use_case, params):
    """A page, and the token of the next one; the list begins at the place of the token."""
    begin, end = Place((1, PRODUCTION), "a" * 26), Place((1, PRODUCTION), "b" * 26)
    calls = use_case("queries", list_access=([ENTRY], end))
    token = write_token(begin, params, CALLER)

    answer = call(
        "list_access", make_request("list_access", params={**params, "continuationToken": token})
    )

    ((_, (filters, caller), named),) = calls
    assert json.loads(answer.get_body()) == {
        "value": [render_access(ENTRY)],
        "continuationToken": write_token(end, params, CALLER),
    }
    assert (filters, caller.id) == (AccessFilters(**params), CALLER_ID)
    assert named == {"now": NOON, "begin": begin}


def test_a_faulty_query_never_reaches_the_use_case():
    """400, and storage is not asked."""
    answer = call("list_access", make_request("list_access", params={"vm": "/subscriptions/x"}))

    assert answer.status_code == 400
