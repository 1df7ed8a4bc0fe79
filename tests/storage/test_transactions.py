"""Packing: every operation, in order, in groups that a transaction can hold."""

from hypothesis import given
from hypothesis import strategies as st

from jit.storage.table import Op, Row, Verb
from jit.storage.transactions import BYTES, OPERATIONS, pack_bundles

sizes = st.sampled_from([0, 1, 30_000, BYTES // 6, BYTES // 2])
bundles = st.lists(
    st.builds(
        lambda count, size: [an_op(size)] * count, count=st.integers(1, 60), size=sizes
    ).filter(lambda bundle: weight(bundle) <= BYTES),
    max_size=12,
)


def an_op(size):
    return Op(Verb.INSERT, Row(partition="p", key="k", values={"Doc": "x" * size, "Number": 1}))


def weight(bundle):
    return sum(2 * len(f"pk{op.row.values['Doc']}") for op in bundle)


@given(bundles)
def test_every_group_fits_a_transaction_and_nothing_is_lost_or_moved(given_bundles):
    """What belongs together stays together."""
    groups = list(pack_bundles(given_bundles))

    assert [bundle for group in groups for bundle in group] == given_bundles
    assert all(sum(map(len, group)) <= OPERATIONS for group in groups)
    assert all(sum(map(weight, group)) <= BYTES for group in groups)


def test_what_is_deleted_weighs_no_more_than_its_name():
    """Only keys are sent: a hundred large rows go in one transaction."""
    doomed = [[Op(Verb.DELETE, an_op(BYTES).row)] for _ in range(OPERATIONS)]

    assert len(list(pack_bundles(doomed))) == 1
