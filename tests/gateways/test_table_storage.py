"""
The contract of a table: the same laws for the one in memory and for the real client.

The real client runs against Azurite twice: with a connection string, as the local stack uses it,
and over TLS with the real managed identity credential, as Azure is used.
"""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.data.tables import TableClient

from jit.domain.errors import Defect, StateConflict
from jit.gateways.table_storage import StorageTable
from jit.storage.table import ROW_KEY, Op, Row, Verb, Where
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable


def a_fake(_request):
    return FakeTable(FakeClock())


def a_real_one(request):
    connection = request.getfixturevalue("azurite")
    client = TableClient.from_connection_string(connection, f"t{uuid4().hex}", retry_total=0)
    request.addfinalizer(client.close)
    return StorageTable(client)


def one_over_tls(request):
    storage, identity = map(request.getfixturevalue, ("tls_storage", "managed_identity"))
    client = TableClient(
        storage.endpoints["Table"],
        f"t{uuid4().hex}",
        credential=identity,
        retry_total=0,
        connection_verify=str(storage.certificate),
    )
    request.addfinalizer(client.close)
    return StorageTable(client)


@pytest.fixture(params=[a_fake, a_real_one, one_over_tls], ids=["fake", "azurite", "tls"])
def table(request):
    """An empty table that does not exist yet."""
    return request.param(request)


def a_row(key="k", partition="p", etag="", **values):
    return Row(partition=partition, key=key, values=values, etag=etag)


def insert(*rows):
    return [Op(Verb.INSERT, row) for row in rows]


def inserted(table, *rows):
    """Insert rows of one partition and read them back."""
    table.write(insert(*rows))
    return [table.get(row.partition, row.key) for row in rows]


def keys(page):
    return [row.key for row in page.rows]


# ---- one row -------------------------------------------------------------------------------------


def test_a_row_comes_back_as_it_was_written(table):
    """Texts, integers and booleans keep value and type; quotes and umlauts are no trouble."""
    values = {
        "Text": "it's 'ü' \U0001f511 & <x>",
        "Number": -7,
        "Yes": True,
        "No": False,
        "No_": "",
    }
    table.write(insert(a_row("r|k'", "p'", **values)))

    assert dict(table.get("p'", "r|k'").values) == values


def test_text_that_looks_like_a_time_stays_text(table):
    """Instants are text, so that text order is time order."""
    table.write(insert(a_row(At="2026-11-22T18:00:00.000000Z")))

    assert table.get("p", "k").values["At"] == "2026-11-22T18:00:00.000000Z"


def test_no_row_is_none(table):
    """A missing row is an answer, not an error."""
    table.write(insert(a_row()))

    assert table.get("p", "other") is None


def test_a_missing_table_has_no_rows(table):
    """Nobody has to create a table before looking into it."""
    assert table.get("p", "k") is None
    assert table.query(Where(partition="p")).rows == ()


def test_a_row_exists_once(table):
    """The second insert of a key loses."""
    table.write(insert(a_row(A="1")))
    with pytest.raises(StateConflict):
        table.write(insert(a_row(A="2")))

    assert table.get("p", "k").values == {"A": "1"}


def test_a_write_under_the_etag_read_succeeds_and_names_the_next(table):
    """The returned tag is the one that the next read shows."""
    (row,) = inserted(table, a_row(A="1"))
    (etag,) = table.write([Op(Verb.REPLACE, a_row(etag=row.etag, B="2"))])

    assert (etag, table.get("p", "k").etag) == (etag, etag)
    assert etag != row.etag


def test_a_replace_leaves_no_property_of_the_old_row(table):
    """A row is replaced, never merged."""
    (row,) = inserted(table, a_row(A="1"))
    table.write([Op(Verb.REPLACE, a_row(etag=row.etag, B="2"))])

    assert table.get("p", "k").values == {"B": "2"}


def test_an_insert_names_the_version_it_made(table):
    """The tag of an insert is good for the next write."""
    (etag,) = table.write(insert(a_row(A="1")))
    table.write([Op(Verb.REPLACE, a_row(etag=etag, A="2"))])

    assert table.get("p", "k").values == {"A": "2"}


@pytest.mark.parametrize("verb", [Verb.REPLACE, Verb.DELETE])
def test_a_lost_etag_is_a_conflict(table, verb):
    """A reader must read again if somebody wrote meanwhile."""
    (row,) = inserted(table, a_row(A="1"))
    table.write([Op(Verb.REPLACE, a_row(etag=row.etag, A="2"))])
    with pytest.raises(StateConflict):
        table.write([Op(verb, a_row(etag=row.etag, A="3"))])

    assert table.get("p", "k").values == {"A": "2"}


@pytest.mark.parametrize("verb", [Verb.REPLACE, Verb.DELETE])
def test_a_row_that_is_gone_is_a_conflict(table, verb):
    """A write brings no deleted row back, and deletes none twice."""
    (row,) = inserted(table, a_row(A="1"))
    table.write([Op(Verb.DELETE, row)])
    with pytest.raises(StateConflict):
        table.write([Op(verb, row)])

    assert table.get("p", "k") is None


@pytest.mark.parametrize("verb", [Verb.REPLACE, Verb.DELETE])
def test_a_write_without_an_etag_is_a_defect(table, verb):
    """No unconditional update: every write names the version it saw."""
    table.write(insert(a_row(A="1")))
    with pytest.raises(Defect):
        table.write([Op(verb, a_row(A="2"))])

    assert table.get("p", "k").values == {"A": "1"}


def test_a_deleted_row_has_no_tag(table):
    """A deleted row has no version."""
    (row,) = inserted(table, a_row())

    assert table.write([Op(Verb.DELETE, row)]) == ("",)


@pytest.mark.parametrize("verb", [Verb.REPLACE, Verb.DELETE])
def test_changing_a_row_of_a_missing_table_is_a_conflict(table, verb):
    """There is no such row, for any reason."""
    with pytest.raises(StateConflict):
        table.write([Op(verb, a_row(etag="W/\"datetime'2026-11-22T18%3A00%3A00.0000000Z'\""))])


# ---- transactions --------------------------------------------------------------------------------


def test_a_transaction_does_all_its_operations(table):
    """Inserts, replaces and deletes of one partition, in one step; a tag for each."""
    one, two = inserted(table, a_row("1", A="x"), a_row("2", A="x"))
    etags = table.write(
        [
            Op(Verb.INSERT, a_row("3", A="y")),
            Op(Verb.REPLACE, a_row("1", etag=one.etag, A="y")),
            Op(Verb.DELETE, two),
        ]
    )
    page = table.query(Where(partition="p"))

    assert [(row.key, row.values["A"]) for row in page.rows] == [("1", "y"), ("3", "y")]
    assert etags == (page.rows[1].etag, page.rows[0].etag, "")


@pytest.mark.parametrize(
    "bad",
    [
        Op(Verb.INSERT, a_row("1")),
        Op(Verb.REPLACE, a_row("1", etag="W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")),
        Op(Verb.DELETE, a_row("1", etag="W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")),
        Op(Verb.DELETE, a_row("9", etag="W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"")),
    ],
    ids=["exists", "stale-replace", "stale-delete", "gone"],
)
def test_one_failing_operation_undoes_them_all(table, bad):
    """All or nothing: a conflict anywhere leaves the table as it was."""
    before = inserted(table, a_row("1", A="x"), a_row("2", A="x"))
    with pytest.raises(StateConflict):
        table.write([*insert(a_row("3")), Op(Verb.DELETE, before[1]), bad])

    assert keys(table.query(Where(partition="p"))) == ["1", "2"]


def test_a_transaction_may_create_its_table(table):
    """The first write of a new account is a transaction."""
    table.write(insert(*(a_row(f"{number:03}") for number in range(100))))

    assert len(table.query(Where(partition="p")).rows) == 100


@pytest.mark.parametrize(
    "ops",
    [
        [],
        insert(*(a_row(f"{number:03}") for number in range(101))),
        insert(a_row("1", "p"), a_row("2", "q")),
        insert(a_row("1"), a_row("1")),
    ],
    ids=["none", "101", "two-partitions", "a-row-twice"],
)
def test_operations_that_are_no_transaction_are_a_defect(table, ops):
    """1 to 100 operations, one partition, no row twice."""
    with pytest.raises(Defect):
        table.write(ops)

    assert table.query(Where()).rows == ()


@pytest.mark.parametrize("key", ["a/b", "a\\b", "a#b", "a?b", "a\tb", "a\x7fb", "a\x9fb"])
def test_a_key_that_the_service_cannot_hold_is_a_defect(table, key):
    """Keys are made of hashes because ARM ids are none."""
    with pytest.raises(Defect):
        table.write(insert(a_row(key)))
    with pytest.raises(Defect):
        table.get("p", key)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
def test_an_integer_beyond_32_bits_is_a_defect(table, number):
    """Longer ones would come back as another type."""
    with pytest.raises(Defect):
        table.write(insert(a_row(Number=number)))


@pytest.mark.parametrize("number", [2**31 - 1, -(2**31)])
def test_an_integer_of_32_bits_comes_back(table, number):
    """The whole range is good."""
    (row,) = inserted(table, a_row(Number=number))

    assert row.values == {"Number": number}


def test_a_text_of_64_kib_fits_and_a_longer_one_is_a_defect(table):
    """A property holds 32,768 characters of UTF-16."""
    (row,) = inserted(table, a_row("1", Text="x" * 32_768))
    with pytest.raises(Defect):
        table.write(insert(a_row("2", Text="x" * 32_769)))

    assert len(row.values["Text"]) == 32_768


# ---- queries -------------------------------------------------------------------------------------


def test_a_query_is_in_key_order(table):
    """The order of writing does not matter."""
    inserted(table, a_row("b"), a_row("a"), a_row("c"), a_row("B"))

    assert keys(table.query(Where(partition="p"))) == ["B", "a", "b", "c"]


def test_a_query_is_of_one_partition_or_of_all(table):
    """None asks every partition, in order."""
    inserted(table, a_row("1", "q"))
    inserted(table, a_row("2", "p"))

    assert keys(table.query(Where(partition="p"))) == ["2"]
    assert keys(table.query(Where())) == ["2", "1"]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("", "", ["g|a|1", "g|a|2", "g|b|1", "r|1"]),
        ("g|a|", "g|a}", ["g|a|1", "g|a|2"]),
        ("g|", "g}", ["g|a|1", "g|a|2", "g|b|1"]),
        ("g|a|2", "", ["g|a|2", "g|b|1", "r|1"]),
        ("", "g|a|2", ["g|a|1"]),
        ("x", "y", []),
    ],
)
def test_a_range_includes_its_first_key_and_not_its_last(table, first, last, found):
    """Half-open: all keys with a prefix lie between prefix + "|" and prefix + "}"."""
    inserted(table, a_row("g|a|1"), a_row("g|a|2"), a_row("g|b|1"), a_row("r|1"))

    assert keys(table.query(Where(partition="p", first=first, last=last))) == found


def test_properties_narrow_a_query(table):
    """Equal, and at most in the order of text; a row without the property matches nothing."""
    inserted(
        table,
        a_row("1", Who="it's me", Due="2026-11-22T18:00:00.000000Z"),
        a_row("2", Who="it's me", Due="2026-11-22T18:00:00.000001Z"),
        a_row("3", Who="you", Due="2026-11-22T17:00:00.000000Z"),
        a_row("4"),
    )
    due = {"Due": "2026-11-22T18:00:00.000000Z"}

    assert keys(table.query(Where(partition="p", equal={"Who": "it's me"}))) == ["1", "2"]
    assert keys(table.query(Where(partition="p", at_most=due))) == ["1", "3"]
    assert keys(table.query(Where(equal={"Who": "it's me"}, at_most=due))) == ["1"]


def test_a_query_takes_one_of_several_values(table):
    """Inside its partition and its range; a value may hold quotes, and several words."""
    inserted(table, *(a_row(str(n), Who=f"it's {n}") for n in range(5)), a_row("9"))
    choice = {"Who": ["it's 1", "it's 3", "it's 4"]}

    found = keys(table.query(Where(partition="p", first="1", last="4", any_of=choice)))

    assert found == ["1", "3"]


def test_a_query_takes_one_of_several_keys(table):
    """The key is no property of a row, and a query chooses by it all the same."""
    inserted(table, *(a_row(f"r|{n}") for n in range(5)))
    choice = {ROW_KEY: ["r|1", "r|3", "r|9"]}

    found = keys(table.query(Where(partition="p", first="r|1", last="r|9", any_of=choice)))

    assert found == ["r|1", "r|3"]


def test_a_query_takes_one_of_two_properties(table):
    """A row may lack one of them; the value may hold quotes."""
    inserted(
        table,
        a_row("1", Who="it's me"),
        a_row("2", Who="you", By="it's me"),
        a_row("3", By="it's me"),
        a_row("4", Who="you", By="you"),
        a_row("5"),
    )
    mine = {"Who": "it's me", "By": "it's me"}

    assert keys(table.query(Where(partition="p", either=mine))) == ["1", "2", "3"]
    assert keys(table.query(Where(partition="p", either=mine, equal={"Who": "you"}))) == ["2"]


def test_a_query_has_fifteen_comparisons_at_most(table):
    """Azure refuses more, and Azurite does not. A partition and a range are three of them."""
    inserted(table, a_row("5", Who="5"))
    names = [str(n) for n in range(13)]

    most = table.query(Where(partition="p", first="1", last="9", any_of={"Who": names[:12]}))

    assert keys(most) == ["5"]
    with pytest.raises(Defect, match="15 comparisons"):
        table.query(Where(partition="p", first="1", last="9", any_of={"Who": names}))


def test_a_value_that_looks_like_a_filter_is_only_a_value(table):
    """Text of callers goes into filters: it must not become a part of them."""
    inserted(table, a_row("1", Who="x' or '1' eq '1"), a_row("2", Who="y"))

    assert keys(table.query(Where(partition="p", equal={"Who": "x' or '1' eq '1"}))) == ["1"]
    assert keys(table.query(Where(partition="p", equal={"Who": "@v0 or true"}))) == []


def test_pages_continue_where_they_ended(table):
    """Three pages of two, one row of each exactly once, a token while there is more."""
    inserted(table, *(a_row(str(number)) for number in range(5)))
    one = table.query(Where(partition="p"), limit=2)
    two = table.query(Where(partition="p"), limit=2, token=one.token)
    three = table.query(Where(partition="p"), limit=2, token=two.token)

    assert [keys(page) for page in (one, two, three)] == [["0", "1"], ["2", "3"], ["4"]]
    assert (one.token is None, two.token is None, three.token) == (False, False, None)


def test_pages_continue_across_partitions(table):
    """A token knows the partition too."""
    inserted(table, a_row("1", "p"), a_row("2", "p"))
    inserted(table, a_row("1", "q"))
    one = table.query(Where(), limit=2)

    assert [row.partition for row in table.query(Where(), token=one.token).rows] == ["q"]


def test_a_page_has_a_thousand_rows_at_most(table):
    """A caller that needs more goes on with the token."""
    batches = [[a_row(f"{batch}{n:03}") for n in range(100)] for batch in range(10)]
    etags = [etag for batch in batches for etag in table.write(insert(*batch))]
    table.write(insert(a_row("z")))
    page = table.query(Where(partition="p"), limit=5000)

    assert (len(page.rows), len(etags)) == (1000, 1000)
    assert keys(table.query(Where(partition="p"), limit=5000, token=page.token)) == ["z"]


# ---- the service's clock -------------------------------------------------------------------------


def test_leases_can_be_aged_by_the_services_clock(table):
    """A row says when it was written, and when it was read, both by the clock of the service."""
    (row,) = inserted(table, a_row())

    assert isinstance(row.written_at, datetime)
    assert isinstance(row.read_at, datetime)
    assert row.written_at.utcoffset() == row.read_at.utcoffset() == timedelta(0)
    assert abs(row.read_at - row.written_at) < timedelta(minutes=1)


def test_rows_of_a_query_say_when_they_were_read(table):
    """The age of a lease is known from a list, too."""
    inserted(table, a_row())
    (row,) = table.query(Where(partition="p")).rows

    assert (row.read_at is None, row.written_at is None) == (False, False)
    assert row.etag == table.get("p", "k").etag


# ---- the fake alone ------------------------------------------------------------------------------


def a_strict_fake(**how):
    return FakeTable(FakeClock(), **how)


@pytest.mark.parametrize(
    "ops",
    [
        insert(a_row(**{f"P{number}": "x" * 32_000 for number in range(17)})),
        insert(
            *(a_row(str(row), **{f"P{n}": "x" * 32_000 for n in range(15)}) for row in range(5))
        ),
        insert(a_row(**{f"P{number}": "" for number in range(253)})),
        insert(a_row("k" * 513)),
        insert(a_row(**{"a-b": "x"})),
        insert(a_row(RowKey="x")),
        insert(a_row(Real=1.5)),
    ],
    ids=["1-MiB", "4-MiB", "253-properties", "1-KiB-key", "name", "reserved", "real"],
)
def test_the_fake_refuses_rows_that_azure_refuses_and_azurite_takes(ops):
    """Azurite takes larger entities than Azure: here the fake is the stricter judge."""
    with pytest.raises(Defect):
        a_strict_fake().write(ops)


def test_the_fakes_rows_age_by_its_clock():
    """A lease runs out when the test says so."""
    clock = FakeClock()
    table = FakeTable(clock)
    table.write(insert(a_row()))
    clock.advance(timedelta(minutes=2))
    row: Any = table.get("p", "k")

    assert row.read_at - row.written_at == timedelta(minutes=2)


def test_the_fake_can_answer_with_empty_pages_that_go_on():
    """The real service may look at many rows, find none, and still have more."""
    table = a_strict_fake(scanned=2)
    table.write(insert(*(a_row(str(number), A=str(number)) for number in range(5))))
    where = Where(partition="p", equal={"A": "4"})
    one = table.query(where)
    two = table.query(where, token=one.token)

    assert (one.rows, two.rows) == ((), ())
    assert keys(table.query(where, token=two.token)) == ["4"]


def test_the_fakes_tokens_are_text():
    """They travel to callers and back, as the real ones do."""
    table = a_strict_fake()
    table.write(insert(a_row("1"), a_row("2")))

    assert json.loads(table.query(Where(), limit=1).token) == ["p", "2"]
