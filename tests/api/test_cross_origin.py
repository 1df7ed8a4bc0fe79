"""The cross-origin check: changes that a browser sends for a page of another site."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.api.cross_origin import SAFE_METHODS, check_origin, is_cross_origin
from jit.domain.errors import Forbidden
from tests.api.http_requests import make_request

HOST = "jit.azurewebsites.net"
BASE = "https://jit.example"
CHANGING = ["POST", "PUT", "DELETE", "PATCH", "post", "WHATEVER"]


def crosses(method="POST", *, site="", origin="", host=HOST, base=BASE):
    return is_cross_origin(method, site=site, origin=origin, host=host, public_base_url=base)


@pytest.mark.parametrize("method", sorted(SAFE_METHODS))
@pytest.mark.parametrize("site", ["", "cross-site"])
def test_a_request_that_changes_nothing_may_come_from_anywhere(method, site):
    """A link in a mail is a cross-site GET."""
    assert not crosses(method, site=site, origin="https://evil.example")


@pytest.mark.parametrize("method", CHANGING)
@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_browser_may_change_things_for_its_own_page_and_for_its_user(method, site):
    """The browser's word counts more than ``Origin``: a gateway may have changed the host."""
    assert not crosses(method, site=site, origin="https://gateway.example")


@pytest.mark.parametrize("method", CHANGING)
@pytest.mark.parametrize(
    "site", ["cross-site", "same-site", "Same-Origin", "none ", "same-origin,none", "x"]
)
@pytest.mark.parametrize("origin", ["", BASE, f"https://{HOST}"])
def test_a_browser_may_not_change_things_for_another_page(method, site, origin):
    """A sibling of our domain is another origin, and an unknown word is no permission."""
    assert crosses(method, site=site, origin=origin)


@pytest.mark.parametrize("method", CHANGING)
def test_a_caller_without_a_browser_passes(method):
    """Logic Apps, ServiceNow and scripts send neither header."""
    assert not crosses(method)


@pytest.mark.parametrize(
    "origin",
    [
        f"https://{HOST}",
        f"http://{HOST}",
        f"https://{HOST.upper()}",
        "https://jit.example",
        "https://jit.example:443",
        "https://JIT.example",
    ],
)
def test_an_old_browser_may_change_things_for_our_own_page(origin):
    """By the name that it used, or by the name that the operator set."""
    assert not crosses(origin=origin)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        f"https://{HOST}.evil.example",
        f"https://evil{HOST}",
        f"https://{HOST}:8443",
        f"https://user@{HOST}",
        "http://jit.example",
        "https://jit.example:80",
        "https://jit.example.evil.example",
        "jit.example",
        HOST,
        f"{BASE}, https://evil.example",
        "https://[",
        "https://",
    ],
)
def test_an_old_browser_may_not_change_things_for_another_page(origin):
    """Another scheme, host or port is another origin."""
    assert crosses(origin=origin)


def test_no_origin_is_our_own_if_the_host_is_unknown():
    """Two empty names are not the same name."""
    assert crosses(origin="null", host="")


def test_the_path_of_a_base_url_is_no_part_of_its_origin():
    """A gateway may serve the broker below a path."""
    assert not crosses(origin="https://gw.example", base="https://gw.example/jit")


def test_a_port_of_a_base_url_is_part_of_its_origin():
    """Two ports of one machine are two sites."""
    assert not crosses(origin="http://127.0.0.1:7071", base="http://127.0.0.1:7071")
    assert crosses(origin="http://127.0.0.1:7072", base="http://127.0.0.1:7071")


@given(
    method=st.sampled_from(CHANGING),
    site=st.text(),
    origin=st.text(min_size=1),
    host=st.text(),
)
def test_no_header_makes_the_check_fail(method, site, origin, host):
    """It answers yes or no, and a foreign site is always foreign."""
    crosses(method, site=site, origin=origin, host=host)

    assert crosses(method, site="cross-site", origin=origin, host=host)


@pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example", "Host": HOST}],
)
def test_a_cross_origin_change_is_forbidden(headers):
    """403 with a code of its own."""
    with pytest.raises(Forbidden) as caught:
        check_origin(make_request(**headers), BASE)

    assert [each.code for each in caught.value.violations] == ["cross-origin"]


def test_the_host_is_that_of_the_request():
    """A browser without ``Sec-Fetch-Site`` on our own page."""
    check_origin(make_request(Origin=f"https://{HOST}", Host=HOST), BASE)
