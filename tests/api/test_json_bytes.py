"""JSON from bytes: an object is read, and every surprise is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.api.json_bytes import read_bytes, read_optional_bytes
from jit.domain.errors import InvalidRequest, TooLarge
from tests.builders.bodies import a_body, faults

text = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**38), 10**38)
    | text
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(text, values, max_size=4)


@given(objects, st.booleans())
def test_an_object_is_read_as_the_standard_library_reads_it(value, ascii_only):
    """Strictness changes no value."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert read_bytes(body, depth=100) == value


@given(st.binary() | st.text(r'{}[]",:\u0deE19.-tfn ').map(str.encode))
def test_any_bytes_are_an_object_or_a_faulty_request(body):
    """No hostile body ends in an error of another kind."""
    try:
        outcome = read_bytes(body)
    except InvalidRequest as error:
        outcome = dict(faults(error.violations))

    assert isinstance(outcome, dict)


@given(objects)
def test_each_value_that_was_read_can_be_written_again(value):
    """Every text has a UTF-8 form, and every number is finite."""
    found = read_bytes(json.dumps(value).encode(), depth=100)

    assert json.dumps(found, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body-empty"),
        (b" \r\n\t", "body-empty"),
        (b"\xef\xbb\xbf", "body-empty"),
        (b"\xff", "body-not-utf8"),
        (b'{"a": "\xe9"}', "body-not-utf8"),
        (b'{"a": "\xed\xa0\x80"}', "body-not-utf8"),
        (b'{"a": "\xc0\xaf"}', "body-not-utf8"),
        ('{"a": 1}'.encode("utf-16"), "body-not-utf8"),
        ('{"a": 1}'.encode("utf-16-le"), "json-malformed"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "json-malformed"),
        (b"{", "json-malformed"),
        (b"{}{}", "json-malformed"),
        (b"{} x", "json-malformed"),
        (b'{"a": 1,}', "json-malformed"),
        (b"{'a': 1}", "json-malformed"),
        (b"{a: 1}", "json-malformed"),
        (b'{"a": 01}', "json-malformed"),
        (b'{"a": +1}', "json-malformed"),
        (b'{"a": .5}', "json-malformed"),
        (b'{"a": 0x10}', "json-malformed"),
        (b'{"a": True}', "json-malformed"),
        (b'{"a": undefined}', "json-malformed"),
        (b'{"a": "\n"}', "json-malformed"),
        (b'{"a": "\\x41"}', "json-malformed"),
        (b'{"a": "\\', "json-malformed"),
        (b'{"a": 1} // comment', "json-malformed"),
        (b"\x00", "json-malformed"),
        (b"]" * 100, "json-malformed"),
        (b"[" * 60_000, "json-too-deep"),
        (b'{"a":' * 10_000, "json-too-deep"),
        (b"[]", "wrong-type"),
        (b"null", "wrong-type"),
        (b"true", "wrong-type"),
        (b"1", "wrong-type"),
        (b'"text"', "wrong-type"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body, code):
    """The fault has a code and stands at the root, because nothing below it can be trusted."""
    with pytest.raises(InvalidRequest) as caught:
        read_bytes(body)

    assert faults(caught.value.violations) == [("#", code)]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"a": 1, "a": 1}', [("#/a", "json-duplicate-key")]),
        (b'{"a": 1, "\\u0061": 2}', [("#/a", "json-duplicate-key")]),
        (b'{"a": 1, "a": 2, "a": 3}', [("#/a", "json-duplicate-key")]),
        (
            b'{"b": [{"c": 1, "c": 2, "d": 1, "d": 1}]}',
            [("#/b/0/c", "json-duplicate-key"), ("#/b/0/d", "json-duplicate-key")],
        ),
        (b'{"a/b~c%": NaN}', [("#/a~1b~0c%25", "json-number")]),
        (b'{"a": [Infinity, -Infinity]}', [("#/a/0", "json-number"), ("#/a/1", "json-number")]),
        (b'{"a": 1e999}', [("#/a", "json-number")]),
        (b'{"a": -1e999}', [("#/a", "json-number")]),
        (b'{"a": ' + b"9" * 41 + b"}", [("#/a", "json-number")]),
        (b'{"a": ' + b"9" * 5000 + b"}", [("#/a", "json-number")]),
        (b'{"a": 0.' + b"1" * 60_000 + b"}", [("#/a", "json-number")]),
        (b'{"a": "\\ud800"}', [("#/a", "json-surrogate")]),
        (b'{"a": "\\udc00\\ud800"}', [("#/a", "json-surrogate")]),
        (b'{"\\ud800": 1}', [("#/?", "json-surrogate")]),
        (
            b'{"a": NaN, "b": "\\ud800", "c": {"d": 1, "d": 1e400}}',
            [
                ("#/a", "json-number"),
                ("#/b", "json-surrogate"),
                ("#/c/d", "json-duplicate-key"),
                ("#/c/d", "json-number"),
            ],
        ),
    ],
)
def test_json_with_two_readings_is_refused_at_its_place(body, found):
    """Two parsers of one body must never see two requests; all places are named at once."""
    with pytest.raises(InvalidRequest) as caught:
        read_bytes(body)

    assert faults(caught.value.violations) == found


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\xef\xbb\xbf{}", {}),
        (b' {"a": 1} \r\n', {"a": 1}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "[[[[[[[[[[[[[[[[[[[[{{{\\"[["}', {"a": '[[[[[[[[[[[[[[[[[[[[{{{"[['}),
        (b'{"a": ' + b"9" * 40 + b"}", {"a": 10**40 - 1}),
        (b'{"a": -0, "b": 1E2}', {"a": 0, "b": 100.0}),
        (b'{"a": {"b": 1}, "c": {"b": 2}}', {"a": {"b": 1}, "c": {"b": 2}}),
    ],
)
def test_unusual_but_plain_json_is_read(body, value):
    """A byte order mark, a pair of surrogates and brackets in a text do no harm."""
    assert read_bytes(body) == value


@pytest.mark.parametrize("opener", [b"[", b'{"a":'])
@pytest.mark.parametrize(("levels", "code"), [(16, "json-malformed"), (17, "json-too-deep")])
def test_depth_is_counted_from_the_object_itself(opener, levels, code):
    """Sixteen levels are read, and found unfinished here; seventeen are not read."""
    with pytest.raises(InvalidRequest) as caught:
        read_bytes(opener * levels)

    assert faults(caught.value.violations) == [("#", code)]


def test_levels_side_by_side_are_not_depth():
    """Only nesting counts."""
    assert read_bytes(b'{"a": [' + b"[]," * 1000 + b"[]]}")["a"] == [[]] * 1001


def test_a_body_of_the_limit_is_read():
    """The limit itself is allowed."""
    body = json.dumps(a_body()).encode().ljust(65_536)

    assert read_bytes(body) == a_body()


@pytest.mark.parametrize("read", [read_bytes, read_optional_bytes])
@pytest.mark.parametrize("body", [b" " * 65_537, b"{}".ljust(65_537), b"\xff" * 100_000])
def test_a_body_over_the_limit_is_too_large(read, body):
    """The content is not read."""
    with pytest.raises(TooLarge) as caught:
        read(body)

    assert faults(caught.value.violations) == [("#", "body-too-large")]


def test_the_list_of_faults_of_a_hostile_body_is_cut():
    """A small body cannot make a large answer."""
    with pytest.raises(InvalidRequest) as caught:
        read_bytes(b'{"a": [' + b"NaN," * 10_000 + b"NaN]}")

    assert len(caught.value.violations) == 1000


@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_optional_body_may_be_blank(body):
    """A caller may revoke without a reason."""
    assert read_optional_bytes(body) is None


def test_an_optional_body_is_read_like_any_other():
    """The same rules hold."""
    assert read_optional_bytes(b'{"reason": "done"}') == {"reason": "done"}


@pytest.mark.parametrize("body", [b"{", b"null", b"\xff"])
def test_an_optional_body_may_not_be_faulty(body):
    """Nonsense is not the same as no body."""
    with pytest.raises(InvalidRequest):
        read_optional_bytes(body)
