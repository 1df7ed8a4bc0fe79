"""
Paths that App Service does not authenticate, and the routes of the app.

The platform may compare paths in any letter case, and as a prefix. Functions routes match in any
letter case.
"""

import re

import pytest

from jit.domain.authorization.platform_authentication import EXCLUDED_PATHS
from tests.triggers.app_functions import FUNCTIONS, ROUTES, call, make_request

PREFIXES = [each.removesuffix("/*").lower() for each in EXCLUDED_PATHS]
PRINCIPAL = re.compile(r"x-ms-(?:client-principal|token)|authorization|cookie", re.IGNORECASE)


def path_of(name):
    return f"/{FUNCTIONS[name].trigger.fields['route']}".lower()


def is_excluded(name):
    """Return True if the whole path of a function lies under an excluded path."""
    path = path_of(name)
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)


EXCLUDED = [name for name in ROUTES if is_excluded(name)]
PROTECTED = [name for name in ROUTES if not is_excluded(name)]


class Untouchable(dict[str, str]):
    """Headers of a client who names itself; they cannot be read as a whole."""

    def _check(self, key):
        if PRINCIPAL.match(key):
            raise AssertionError(f"{key} was read")

    def get(self, key, default=None):
        self._check(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self._check(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self._check(key)
        return super().__contains__(key)

    def __iter__(self):
        raise AssertionError("all headers were read")

    def items(self):
        raise AssertionError("all headers were read")

    def values(self):
        raise AssertionError("all headers were read")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", PROTECTED)
def test_no_protected_route_begins_with_an_excluded_prefix(name, prefix):
    """In no letter case, and also if the platform compares texts and not whole names."""
    assert not path_of(name).startswith(prefix)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", PROTECTED)
def test_no_parameter_of_a_protected_route_lets_it_match_an_excluded_path(name, prefix):
    """``{*file}`` or ``api/{name}`` would answer paths that are not authenticated."""
    own, theirs = path_of(name).split("/")[1:], prefix.split("/")[1:]
    pairs = list(zip(own, theirs, strict=False))

    assert any(mine != other and not mine.startswith("{") for mine, other in pairs)


@pytest.mark.parametrize("name", ROUTES)
def test_a_function_answers_without_a_caller_exactly_if_its_path_is_excluded(name, use_case):
    """An excluded path with a 401 would answer nobody; a protected one without is open."""
    use_case("health", check=type("Health", (), {"is_well": True})())

    status = call(name, make_request(name, headers={})).status_code

    assert (status != 401) is is_excluded(name)


@pytest.mark.parametrize("name", EXCLUDED)
def test_a_function_of_an_excluded_path_reads_no_header_of_a_principal(name, use_case):
    """The client's own headers may arrive there."""
    use_case("health", check=type("Health", (), {"is_well": True})())
    request = make_request(name)
    setattr(request, "_HttpRequest__headers", Untouchable(request.headers))  # noqa: B010 # no setter

    assert call(name, request).status_code == 200


def test_headers_of_a_principal_cannot_be_read_unseen():
    """Else the test above would prove nothing."""
    headers = Untouchable({"X-MS-CLIENT-PRINCIPAL": "x", "Host": "y"})

    assert headers.get("Host") == "y"
    for name in ("X-MS-CLIENT-PRINCIPAL", "x-ms-client-principal-id", "X-MS-TOKEN-AAD-ID-TOKEN"):
        with pytest.raises(AssertionError):
            headers.get(name)
