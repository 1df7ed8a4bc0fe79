"""Issuers of tokens: which hosts are Entra ID's."""

import pytest

from jit.domain.authorization.issuers import HOSTS, is_of_entra_id

TENANT = "7e4a4700-0000-4000-8000-000000000000"


@pytest.mark.parametrize("host", sorted(HOSTS))
def test_an_issuer_at_a_host_of_entra_id_is_its_own(host):
    """Of the global cloud and of the national ones; host names have no letter case."""
    assert is_of_entra_id(f"https://{host}/{TENANT}/v2.0")
    assert is_of_entra_id(f"HTTPS://{host.upper()}/{TENANT}/")


@pytest.mark.parametrize(
    "issuer",
    [
        None,
        "",
        7,
        ["https://sts.windows.net/"],
        "sts.windows.net",
        "https://sts.windows.net",
        "http://sts.windows.net/x",
        " https://sts.windows.net/x",
        "https://evil.example/https://sts.windows.net/",
        "https://sts.windows.net.evil.example/x",
        "https://sts.windows.net@evil.example/x",
        "https://sts.windows.net:443@evil.example/x",
        "https://sts.windows.net\\@evil.example/x",
        "https://sts.windows.net./x",
        "https://x.sts.windows.net/x",
        "https://sts.windows.net#/x",
        "https://sts.windows.net?/x",
        "https://login.microsoftonline.de/x",
        "https://contoso.ciamlogin.com/x",
    ],
)
def test_any_other_issuer_is_not(issuer):
    """Whatever an URL looks like to people."""
    assert not is_of_entra_id(issuer)
