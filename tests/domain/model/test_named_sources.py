"""The sources that an initiate named: a short list in each grant, or the digest of a long one."""

from ipaddress import ip_network

from jit.domain.model.named_sources import (
    FEW,
    drop_marked,
    fill_sources,
    mark_sources,
    sort_sources,
)
from tests.builders.grants import an_open, changed
from tests.builders.values import MINE, NEXT

PEOPLE = [ip_network(f"198.51.100.{number}/32") for number in range(FEW + 1)]
MARK = mark_sources(frozenset(PEOPLE))


def carried(number, *ids, **fields):
    """The grant of one person, carried by the initiates *ids*."""
    return an_open(f"g{number}", sources=(PEOPLE[number],), initiates=ids or (MINE,), **fields)


def crowd(**fields):
    """The grants of all people, as their rows hold them."""
    return [carried(number, asked=(), asked_mark=MARK, **fields) for number in range(FEW + 1)]


def test_a_short_list_has_no_digest():
    """It stands in each row."""
    assert mark_sources(frozenset(PEOPLE[:FEW])) == ""


def test_two_long_lists_differ_in_their_digests():
    """One source more, or another one, is another list."""
    other = frozenset([*PEOPLE[:FEW], ip_network("203.0.113.7/32")])

    assert len({MARK, mark_sources(other), mark_sources(other | {PEOPLE[-1]})}) == 3


def test_a_list_is_known_again_from_the_grants_that_carried_its_initiate():
    """Their rows were written before the call."""
    filled = fill_sources(crowd())

    assert {grant.initiate.sources for grant in filled} == {sort_sources(PEOPLE)}


def test_a_grant_that_is_closed_by_now_still_tells_its_sources():
    """Its rule may stand for a while, and nobody may take that for a widening."""
    *live, gone = crowd()

    filled = fill_sources(live, [gone])

    assert {grant.initiate.sources for grant in filled} == {sort_sources(PEOPLE)}


def test_a_grant_of_another_initiate_tells_nothing():
    """It was not named."""
    *live, _ = crowd()
    other = carried(FEW, NEXT)

    (first, *_) = fill_sources([*live, other])

    assert set(first.initiate.sources) == set(PEOPLE[:FEW])


def test_a_list_in_the_row_stays_as_it_is():
    """Rows of yesterday hold it, and so do short lists."""
    grants = [carried(0, asked=tuple(PEOPLE)), carried(1, asked=(PEOPLE[1],))]

    assert fill_sources(grants) == grants


def test_only_a_list_with_a_digest_is_left_out_of_the_row():
    """The digest stands for it."""
    marked, plain = carried(0, asked=tuple(PEOPLE), asked_mark=MARK), carried(1, asked=(PEOPLE[1],))

    assert drop_marked(marked) == changed(marked, asked=())
    assert drop_marked(plain) == plain
