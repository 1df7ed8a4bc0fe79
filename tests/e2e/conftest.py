"""One local stack for a session of end-to-end tests: two hosts, the clock frozen."""

from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.e2e.broker import Broker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker on two host instances; every test uses machines of its own."""
    with Stack(tmp_path_factory.mktemp("stack"), Options(hosts=(0, 0))) as stack:
        found = Broker(stack)
        found.sim("POST", "/clock", {"freeze": True})
        yield found
