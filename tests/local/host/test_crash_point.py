"""A death at an exact call: which calls count, which one it waits for."""

import itertools
import sys
from types import SimpleNamespace

import pytest

from local.host.crash_point import read_crash_point

PLACES = {
    "JIT_ARM_ENDPOINT": "http://127.0.0.1:7072",
    "IDENTITY_ENDPOINT": "http://127.0.0.1:7072/msi/token",
    "AzureWebJobsStorage": "AccountName=x;BlobEndpoint=http://127.0.0.1:1/x;"
    "QueueEndpoint=http://127.0.0.1:2/x;TableEndpoint=http://127.0.0.1:3/x",
}


def a_death(wish):
    return read_crash_point({"JIT_LOCAL_DIES": wish, **PLACES})


@pytest.mark.parametrize(
    ("method", "url", "counts"),
    [
        ("GET", "http://127.0.0.1:7072/subscriptions?api-version=1", True),
        ("GET", "http://127.0.0.1:7072/msi/token?resource=x", True),
        ("GET", "http://127.0.0.1:3/x/JitState()", True),
        ("POST", "http://127.0.0.1:2/x/jit-policy/messages", True),
        ("GET", "http://127.0.0.1:2/x/jit-policy/messages", False),
        ("DELETE", "http://127.0.0.1:2/x/jit-policy/messages/1", False),
        ("PUT", "http://127.0.0.1:1/x/azure-webjobs-hosts/locks/tick", False),
    ],
)
def test_only_the_calls_of_the_app_count(method, url, counts):
    """The host reads queues and keeps locks all the time: an app on Azure never sees that."""
    assert a_death("never").counts(method, url) is counts


@pytest.mark.parametrize(("wish", "made"), [("before 2", [1]), ("after 2", [1, 2])])
def test_the_process_ends_before_or_after_that_call_and_at_no_other(wish, made):
    """Before: it was never made. After: its answer never arrives."""
    death, done = a_death(wish), []
    death.die = sys.exit
    request = SimpleNamespace(method="GET", url="http://127.0.0.1:3/x/JitState()")
    numbers = itertools.count(1)

    death.send(lambda: done.append(next(numbers)), request)
    with pytest.raises(SystemExit):
        death.send(lambda: done.append(next(numbers)), request)

    assert done == made


@pytest.mark.parametrize("wish", ["sometimes", "before", "after x"])
def test_another_wish_is_refused(wish):
    """A test that strikes nothing would prove nothing."""
    with pytest.raises(ValueError, match=r"JIT_LOCAL_DIES|invalid literal"):
        a_death(wish)
