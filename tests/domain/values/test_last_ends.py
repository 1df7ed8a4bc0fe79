"""The last end of each prefix: until when somebody has it, or a wider one."""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from jit.domain.values.last_ends import LastEnds
from jit.domain.values.prefixes import is_inside
from tests.builders.values import MINUTE, NOW

PREFIXES = [
    ip_network(text)
    for text in ("203.0.113.0/24", "203.0.113.0/28", "203.0.113.7/32", "2001:db8::/64")
]
_held = st.lists(st.tuples(st.sampled_from(PREFIXES), st.integers(1, 9)), max_size=8)


@given(_held, st.sampled_from(PREFIXES))
def test_a_prefix_lasts_as_long_as_the_longest_that_contains_it(held, prefix):
    """This is the plain search."""
    ends = LastEnds()
    for each, minutes in held:
        ends.add([each], NOW + minutes * MINUTE)

    wider = [minutes for each, minutes in held if is_inside(prefix, each)]
    assert ends.find(prefix) == (NOW + max(wider) * MINUTE if wider else None)


def test_each_prefix_is_listed_once_with_its_last_end():
    """A wider one stands for it as well."""
    ends = LastEnds()
    ends.add(PREFIXES[:1], NOW + 2 * MINUTE)
    ends.add(PREFIXES[1:2], NOW + MINUTE)
    ends.add(PREFIXES[3:], NOW)

    assert ends.list_all() == [NOW + 2 * MINUTE, NOW + 2 * MINUTE, NOW]
