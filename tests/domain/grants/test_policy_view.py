"""The view of one step: foreign requests, rules that are used elsewhere."""

from jit.domain.azure import defender_requests
from jit.domain.model.grant import CloseReason
from tests.builders.grants import (
    a_grant,
    an_entry,
)
from tests.domain.steps import a_world, alone


def test_a_mark_that_the_broker_does_not_know_is_a_strangers():
    """Anybody can write a justification that looks like ours."""
    forged = defender_requests.mark_reason("z" * 26, "trust me")
    entry = an_entry("192.0.2.1", initiate_id=defender_requests.parse_mark(forged))

    after = alone(a_grant(), a_world(None, entry))

    assert after.close_reason is CloseReason.DENIED
