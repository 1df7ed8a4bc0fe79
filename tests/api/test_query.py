"""Query parameters: flags, and parameters of no contract."""

import pytest

from jit.api import query
from jit.domain.errors import InvalidRequest
from tests.api.http_requests import make_request


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False)])
def test_a_flag_of_the_query_is_true_or_false(text, value):
    """In upper and in lower case."""
    assert query.read_flag(make_request(params={"dryRun": text}), "dryRun") is value


def test_a_flag_that_is_missing_is_false():
    """A missing flag means no."""
    assert query.read_flag(make_request(params={}), "dryRun") is False


@pytest.mark.parametrize("text", ["", "1", "yes", "yes e"])
def test_a_flag_that_is_neither_is_refused(text):
    """A dry run that was meant must never act."""
    with pytest.raises(InvalidRequest) as caught:
        query.read_flag(make_request(params={"dryRun": text}), "dryRun")

    assert [each.pointer for each in caught.value.violations] == ["#/dryRun"]


def test_a_parameter_that_the_contract_does_not_have_is_refused():
    """A misspelt wish for a dry run must not act."""
    with pytest.raises(InvalidRequest) as caught:
        query.refuse_unknown(
            make_request(params={"dryrun": "true", "dryRun": "true", "x/y": ""}), "dryRun"
        )

    found = [(each.pointer, each.code) for each in caught.value.violations]
    assert found == [("#/dryrun", "unknown-field"), ("#/x~1y", "unknown-field")]


@pytest.mark.parametrize(
    ("known", "detail"),
    [((), "no such parameter"), (("a", "b"), "no such parameter; known are a, b")],
)
def test_a_refused_parameter_comes_with_the_known_ones(known, detail):
    """The caller need not look them up."""
    with pytest.raises(InvalidRequest) as caught:
        query.refuse_unknown(make_request(params={"colour": "red"}), *known)

    assert [each.detail for each in caught.value.violations] == [detail]


def test_the_parameters_of_the_host_pass():
    """A function key and its name belong to the host."""
    params = {"code": "s3cret", "clientId": "default", "dryRun": "true"}

    query.refuse_unknown(make_request(params=params), "dryRun")

    assert query.read_flag(make_request(params=params), "dryRun")
