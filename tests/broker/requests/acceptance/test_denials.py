"""Denials: one answer for all reasons, by the worst of them, and one record."""

import pytest

from jit.broker.requests.acceptance.denials import Denials
from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import AccessDenied, Conflict, InvalidRequest, LimitReached, Violation
from jit.domain.limits import LIMITS
from jit.domain.values.request_ids import make_request_id
from tests.broker.inprocess import farm, wish
from tests.local.azure.sim import DEVELOPMENT


def deny(broker, *findings):
    request_id = make_request_id(DEVELOPMENT, broker.now, bytes(10))
    submission = broker.submission(wish(farm(1)))
    denials = Denials(broker.use_cases.trail, LIMITS)
    return denials.record_denial(findings, submission, request_id, broker.now)


def a_finding(kind, wait=0):
    return Finding(kind, Violation("#", kind.value, "no"), wait)


@pytest.mark.parametrize(
    ("kinds", "problem"),
    [
        ("body limit", InvalidRequest),
        ("limit policy", LimitReached),
        ("barred", AccessDenied),
        ("policy occupied", AccessDenied),
        ("occupied", Conflict),
    ],
)
def test_the_first_kind_decides_and_each_reason_is_named(broker, kinds, problem):
    findings = [a_finding(FindingKind(kind)) for kind in kinds.split()]

    error = deny(broker, *findings)

    assert isinstance(error, problem)
    assert [each.code for each in error.violations] == kinds.split()
    assert error.request_id is not None


def test_the_longest_wait_of_all_limits_is_named(broker):
    """Before that, the same request would be refused again."""
    error = deny(broker, *(a_finding(FindingKind.LIMIT, wait) for wait in (60, 3600, 5)))

    assert error.retry_after_seconds == 3600
