"""Answers about the audit trail: the same records in three formats, and no formula in a cell."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.api.audit.audit_answer import NEXT, render_record, write_heads, write_part, write_records
from jit.api.audit.audit_query import RecordFormat
from jit.broker.auditing.chains import ChainPart, ShownHead
from jit.domain.audit.chain import head_of
from tests.builders.exports import SALT, an_event, erase, make_records

(TOLD,) = make_records([an_event(actorName="Alice", reason="=1+1")])
(OLD,) = make_records([an_event() | {"actorName": "Alice"}])


def read_csv(records):
    text = write_records(records, None, RecordFormat.CSV).get_body().decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_a_record_is_shown_as_it_is_hashed_with_its_texts_beside_it():
    shown = render_record(TOLD)

    assert shown["event"] == TOLD.event
    assert shown["event"]["texts"]["reason"] != "=1+1"
    assert shown["texts"]["reason"] == {"salt": SALT, "text": "=1+1"}
    assert "erased" not in shown


def test_an_erased_record_says_so_and_has_no_texts():
    shown = render_record(erase(TOLD))

    assert (shown["erased"], "texts" in shown) == (True, False)


def test_a_page_of_json_has_its_token_in_body_and_header():
    answer = write_records([TOLD], "t", RecordFormat.JSON)

    body = json.loads(answer.get_body())
    assert body == {"value": [render_record(TOLD)], "continuationToken": "t"}
    assert answer.headers[NEXT] == "t"


@pytest.mark.parametrize("written", RecordFormat)
def test_the_last_page_has_no_token(written):
    assert NEXT not in write_records([], None, written).headers


def test_a_page_of_json_lines_has_a_record_a_line():
    answer = write_records([TOLD, OLD], "t", RecordFormat.JSONL)

    lines = answer.get_body().decode().splitlines()
    assert list(map(json.loads, lines)) == [render_record(TOLD), render_record(OLD)]
    assert (answer.mimetype, answer.headers[NEXT]) == ("application/jsonl", "t")


def test_a_page_of_csv_has_a_record_a_row():
    """Names stand in a column of their own; texts without their salts."""
    answer = write_records([TOLD], "t", RecordFormat.CSV)

    (row,) = read_csv([TOLD])
    assert (row["actorName"], json.loads(row["texts"])) == ("Alice", {"reason": "=1+1"})
    assert (row["sequence"], row["hash"], row["grantId"]) == ("1", TOLD.hash, "")
    assert json.loads(row["facts"]) == TOLD.event["facts"]
    assert (answer.mimetype, answer.headers[NEXT]) == ("text/csv", "t")


def test_names_of_an_earlier_version_stand_in_the_same_column():
    assert read_csv([OLD])[0]["actorName"] == "Alice"


def test_a_row_of_an_erased_record_says_so():
    assert (read_csv([erase(TOLD)])[0]["texts"], read_csv([erase(TOLD)])[0]["actorName"]) == (
        "erased",
        "",
    )


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_a_spreadsheet_would_compute_gets_an_apostrophe(first):
    (record,) = make_records([an_event(actorName=f"{first}cmd|' /C calc'!A0")])

    text = write_records([record], None, RecordFormat.CSV).get_body().decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["actorName"] == f"'{first}cmd|' /C calc'!A0"


@given(st.text(alphabet=st.characters(codec="utf-8")), st.text(max_size=5))
def test_no_cell_begins_like_a_formula(name, what):
    (record,) = make_records([an_event(actorName=name or "x") | {"what": what, "requestId": name}])

    text = write_records([record], None, RecordFormat.CSV).get_body().decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == 2
    assert [cell for cell in rows[1] if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


def test_heads_name_chain_sequence_and_hash():
    answer = write_heads([ShownHead(head_of(TOLD), None), ShownHead(head_of(OLD), 1)])

    heads = json.loads(answer.get_body())["value"]
    assert [head["brokenAt"] for head in heads] == [None, 1]
    assert heads[0]["hash"] == TOLD.hash


@pytest.mark.parametrize(("after", "shown"), [(None, None), (7, "7")])
def test_a_part_has_the_head_and_the_place_of_the_next_part(after, shown):
    answer = write_part(ChainPart(head_of(TOLD), ["a\n", "b\n"], after))

    assert answer.get_body() == b"a\nb\n"
    assert answer.headers["Jit-Audit-Head"] == f"1:{TOLD.hash}"
    assert answer.headers.get(NEXT) == shown
