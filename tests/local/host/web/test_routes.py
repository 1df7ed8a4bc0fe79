"""Routes: matching paths, other paths, and templates that hide each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.web import routes
from local.host.web.routes import BadTemplate

GUID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


def match(template, path):
    return routes.parse(template).match(routes.split(path))


@pytest.mark.parametrize(
    ("template", "path", "found"),
    [
        ("api/health", "/api/health", {}),
        ("api/health", "/API/Health", {}),
        ("api/health", "/api/health/", {}),
        ("api/health", "/api/health/x", None),
        ("api/health", "/api", None),
        ("api/health", "/api//health", None),
        ("items/{id}", "/items/Seven", {"id": "Seven"}),
        ("items/{id}", "/items", None),
        ("items/{id}", "/items/", None),
        ("items/{id}", "/items/a/b", None),
        ("items/{id}/name", "/items/a/NAME", {"id": "a"}),
        ("items/{id?}", "/items", {}),
        ("items/{id?}", "/items/7", {"id": "7"}),
        ("items/{id:int}", "/items/-7", {"id": "-7"}),
        ("items/{id:int}", "/items/2147483648", None),
        ("items/{id:long}", "/items/2147483648", {"id": "2147483648"}),
        ("items/{id:int}", "/items/seven", None),
        ("items/{id:guid}", f"/items/{GUID}", {"id": GUID}),
        ("items/{id:guid}", f"/items/{GUID[:-1]}", None),
        ("items/{id:bool}", "/items/True", {"id": "True"}),
        ("items/{id:alpha:length(2)}", "/items/ab", {"id": "ab"}),
        ("items/{id:alpha:length(2)}", "/items/a1", None),
        ("items/{id:length(2,3)}", "/items/abcd", None),
        ("items/{id:minlength(3)}", "/items/ab", None),
        ("items/{id:maxlength(3)}", "/items/abcd", None),
        ("items/{id:range(1,9)}", "/items/10", None),
        ("items/{id:min(3)}", "/items/3", {"id": "3"}),
        ("items/{id:max(3)}", "/items/4", None),
        ("items/{id:decimal}", "/items/4.5", {"id": "4.5"}),
        ("items/{id:regex(^a+$)}", "/items/AAA", {"id": "AAA"}),
        ("items/{id:regex(^a+$)}", "/items/ab", None),
        ("items/{id:required}", "/items/x", {"id": "x"}),
        ("files/{*rest}", "/files/a/b", {"rest": "a/b"}),
        ("files/{**rest}", "/files/a/b", {"rest": "a/b"}),
        ("files/{*rest}", "/files", {}),
        ("files/{*rest}", "/files/", {}),
        ("files/{*rest}", "/files/a/", {"rest": "a/"}),
        ("files/{*rest}", "/files/a/.", {"rest": "a/"}),
        ("files/{*rest}", "/files/a//b", {"rest": "a//b"}),
        ("files/{*rest}", "/files//b", None),
        ("files/{*rest}", "/other", None),
        ("files/{*rest}", "/FILES/A", {"rest": "A"}),
        ("files/{*rest:maxlength(3)}", "/files/a/b", {"rest": "a/b"}),
        ("files/{*rest:maxlength(3)}", "/files/a/bc", None),
        ("files/{*rest:minlength(1)}", "/files", None),
        ("{*rest}", "/", {}),
        ("{*rest}", "/a/b", {"rest": "a/b"}),
        ("page/{version}/{*file}", "/page/1/a/b.js", {"version": "1", "file": "a/b.js"}),
        ("page/{version}/{*file}", "/page/1", {"version": "1"}),
        ("page/{version}/{*file}", "/page", None),
        ("page/{version}/{*file}", "/page/1/../../api/x", None),
        ("{root:maxlength(0)?}", "/", {}),
        ("{root:maxlength(0)?}", "/page/..", {}),
        ("{root:maxlength(0)?}", "/page", None),
        ("{root:maxlength(0)?}", "//", None),
        ("{id?}", "/", {}),
        ("{id}", "/", None),
        ("items", "/", None),
        ("items/{id}", "/items/a%20b", {"id": "a b"}),
        ("items/{id}", "/items/a%2Fb", {"id": "a%2Fb"}),
        ("items/{id}", "/items/a%2fb", {"id": "a%2Fb"}),
        ("items/{id}", "/other/../items/a", {"id": "a"}),
        ("items/{id}", "/items/./a", {"id": "a"}),
        ("items/{id}", "/items/x/%2e%2e/a", {"id": "a"}),
        ("items/{id}", "/items/%C3%A9", {"id": "é"}),
    ],
)
def test_a_path_matches_as_in_the_real_host(template, path, found):
    """Case and a trailing slash do not count; everything else does."""
    assert match(template, path) == found


@pytest.mark.parametrize("path", ["/items/%ff", "/items/%00"])
def test_a_path_that_is_not_text_is_refused(path):
    """Escapes must be UTF-8, and a NUL has no place in a path."""
    with pytest.raises(ValueError, match=r"NUL|decode"):
        routes.split(path)


@pytest.mark.parametrize(
    "template",
    [
        "/items",
        "~/items",
        "items//x",
        "items?x=1",
        "items/{id",
        "items/id}",
        "items/{}",
        "items/{id}-{name}",
        "items/v{id}",
        "items/{id}/{ID}",
        "items/{id:quux}",
        "items/{id:length(x)}",
        "items/{id:range(1)}",
        "items/{id:regex([)}",
        "items/{id=7}",
        "{*rest}/items",
        "{id?}/items",
    ],
)
def test_a_template_that_cannot_be_matched_is_refused(template):
    """A route that this host would match otherwise than Azure does must not start."""
    with pytest.raises(BadTemplate):
        routes.parse(template)


@given(st.text(st.characters(categories=["L", "N"]), min_size=1))
def test_a_parameter_returns_the_segment_of_the_path(value):
    """Letter case of a value is kept, although it does not count in literals."""
    assert match("Items/{id}/rest", f"/iTEMS/{value}/REST") == {"id": value}


@pytest.mark.parametrize(
    ("first", "second", "hides"),
    [
        ("items/recent", "items/{id}", False),
        ("items/{id}", "items/recent", True),
        ("items/{id}", "items/{name}", True),
        ("items/{id}", "items", False),
        ("items/{id?}", "items", True),
        ("items/{id}", "items/{id}/name", False),
        ("items/{id:int}", "items/{name:alpha}", False),
        ("items/{id:int}", "items/recent", False),
        ("items/{id:int}", "items/{name}", False),
        ("items/{name}", "items/{id:int}", True),
        ("{*rest}", "items", True),
        ("items", "{*rest}", False),
        ("items/{*rest}", "items/{id}/name", True),
        ("ITEMS", "items", True),
        ("items", "things", False),
        ("{root:maxlength(0)?}", "page", False),
        ("{root:maxlength(0)?}", "{*rest}", False),
        ("{*rest}", "{root:maxlength(0)?}", True),
        ("page/{version}/{*file}", "page", False),
    ],
)
def test_a_template_tried_first_hides_a_better_one(first, second, hides):
    """Literals are better than parameters, constrained ones better than free ones."""
    assert routes.parse(first).hides(routes.parse(second)) is hides
