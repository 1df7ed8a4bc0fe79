"""The machines that the row of a request names: counted once each, short."""

from datetime import UTC, datetime

from jit.storage.lists.machine_names import (
    MACHINES,
    count_machines,
    list_machine_hashes,
    name_machines,
)
from jit.storage.request_rows import write_request_row
from tests.builders.crowds import a_vm_of, a_whole_request

OLD = write_request_row(a_whole_request(datetime(2026, 11, 22, 12, tzinfo=UTC)).request)
ROW = name_machines(OLD, [a_vm_of(1), a_vm_of(2), a_vm_of(1)])


def test_a_row_counts_its_machines_once_each():
    """As many rows of grants as it has."""
    assert count_machines(ROW) == len(list_machine_hashes(ROW)) == 2


def test_ninety_machines_need_little_room():
    """The transaction that stores a request must hold 90 rows of grants beside it."""
    row = name_machines(OLD, map(a_vm_of, range(90)))

    assert len(str(row.values[MACHINES])) < 2000
