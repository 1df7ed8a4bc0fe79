"""Errors of Azure Resource Manager become the broker's own; answers must have their shape."""

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
)

from jit.domain.errors import (
    Busy,
    Gone,
    PermissionLost,
    Refused,
    StateConflict,
    Throttled,
    Unavailable,
    Unknown,
    VersionRefused,
)
from jit.gateways.arm_errors import (
    read_error_code,
    read_retry_after,
    require_items,
    require_object,
    require_resource,
    translate_errors,
)

NSG = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkSecurityGroups/n"


def refusal(status, code="", message="", path=NSG, **headers):
    """An error of the SDK for an answer with that status."""
    error: Any = HttpResponseError("upstream text")
    error.status_code = status
    error.error = SimpleNamespace(code=code, message=message) if code else None
    url = f"https://management.azure.com{path}?api-version=2024-05-01"
    error.response = SimpleNamespace(headers=headers, request=SimpleNamespace(url=url))
    return error


def translated(error, *, changes=False):
    """The broker's error for an error of the SDK."""
    with pytest.raises(Exception) as caught, translate_errors(changes=changes):  # noqa: PT011 # any
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "", PermissionLost),
        (403, "AuthorizationFailed", PermissionLost),
        (404, "ResourceNotFound", Gone),
        (400, "InvalidParameter", Refused),
        (412, "", StateConflict),
        (429, "TooManyRequests", Throttled),
        (429, "RetryableErrorDueToAnotherOperation", Busy),
        (409, "AnotherOperationInProgress", Busy),
        (500, "", Unavailable),
        (503, "", Unavailable),
        (302, "", Unavailable),
        (None, "", Unavailable),
    ],
)
def test_each_status_becomes_one_error(status, code, kind):
    """The next step depends on the kind of the error alone."""
    assert type(translated(refusal(status, code))) is kind


def test_a_refusal_keeps_code_status_and_resource():
    """The log and the decisions need them; the query of the call is left out."""
    error = translated(refusal(400, "InvalidParameter"))

    assert (error.code, error.azure_status, error.resource_id) == ("InvalidParameter", 400, NSG)


def test_text_of_azure_stays_in_the_cause():
    """A caller never sees it."""
    source = refusal(400, "InvalidParameter")

    error = translated(source)

    assert "upstream" not in str(error)
    assert error.__cause__ is source


@pytest.mark.parametrize("error", [AzureError("cut"), DecodeError("cut"), ValueError("no JSON")])
def test_a_lost_answer_leaves_only_a_change_unknown(error):
    """A read without an answer has changed nothing."""
    assert type(translated(error, changes=True)) is Unknown
    assert type(translated(error)) is Unavailable


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failure_leaves_only_a_change_unknown(status):
    """A read that failed has changed nothing, and nobody is told that it may have."""
    read, change = translated(refusal(status)), translated(refusal(status), changes=True)

    assert (type(read), type(change)) == (Unavailable, Unknown)
    assert "change" not in str(read)


def test_a_call_that_was_not_sent_changed_nothing():
    """Even a change can be repeated."""
    assert type(translated(ServiceRequestError("no route"), changes=True)) is Unavailable


@pytest.mark.parametrize(
    ("text", "seconds"), [("17", 17), ("86400", 3600), ("soon", 10), ("-1", 10), (None, 10)]
)
def test_a_wait_is_bounded(text, seconds):
    """Ten seconds if Azure says nothing useful, an hour at most."""
    headers = {} if text is None else {"Retry-After": text}

    assert read_retry_after(refusal(429, **headers)) == seconds


@pytest.mark.parametrize("error", [None, SimpleNamespace(), SimpleNamespace(code=7)])
def test_an_error_without_a_code_has_an_empty_one(error):
    """Nothing is guessed from its text."""
    source = refusal(400)
    source.error = error

    assert read_error_code(source) == ""


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_that_is_no_object_is_an_error(body):
    """A page of a proxy must not pass for an empty answer."""
    for read in (require_object, require_resource, require_items):
        with pytest.raises(ValueError, match="Azure answered"):
            read(body)


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 7}])
def test_an_object_without_an_id_is_no_resource(body):
    """It would pass for a resource that holds nothing."""
    with pytest.raises(ValueError, match="not a resource"):
        require_resource(body)


def test_the_items_of_a_page_are_resources():
    """An empty list has none; a page without a list says nothing."""
    item = {"id": NSG}

    assert require_items({"value": [item]}) == [item]
    assert require_items({"value": []}) == []
    with pytest.raises(ValueError, match="holds no items"):
        require_items({})


SUPPORTED = "The supported api-versions are '2015-05-01-preview,2023-11-01,2024-01-01'."
NO_PROVIDER = (
    "No registered resource provider found for location 'westeurope' and API version '2024-05-01' "
    f"for type 'networkSecurityGroups'. {SUPPORTED} The supported locations are ', westeurope'."
)
NO_TYPE = (
    "The resource type 'networkSecurityGroups' could not be found in the namespace "
    f"'Microsoft.Network' for api version '2024-05-01'. {SUPPORTED}"
)
NO_VERSION = (
    "The api-version '2024-05-01' is invalid. The supported versions are "
    "'2015-05-01-preview,2023-11-01,2024-01-01'."
)
REFUSALS = [
    (400, "NoRegisteredProviderFound", NO_PROVIDER),
    (404, "InvalidResourceType", NO_TYPE),
    (400, "InvalidApiVersionParameter", NO_VERSION),
]


@pytest.mark.parametrize(("status", "code", "message"), REFUSALS)
def test_a_refused_version_names_the_type_the_version_and_the_supported_ones(status, code, message):
    """A 404 of a type says nothing about one resource: it is not ``Gone``."""
    error = translated(refusal(status, code, message))

    assert isinstance(error, VersionRefused)
    assert str(error) == (
        "Azure does not take API version 2024-05-01 of Microsoft.Network/networkSecurityGroups; "
        "it takes 2024-01-01, 2023-11-01, 2015-05-01-preview"
    )


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"{NSG}/securityRules/r", "Microsoft.Network/networkSecurityGroups/securityRules"),
        (
            "/subscriptions/s/providers/Microsoft.Network/azureFirewalls",
            "Microsoft.Network/azureFirewalls",
        ),
        ("/subscriptions", "subscriptions"),
    ],
)
def test_a_refused_version_names_its_type_on_every_path(path, kind):
    """A resource, a list, or no provider. Azure may name no other version."""
    error = translated(refusal(400, "InvalidApiVersionParameter", "Bad.", path))

    assert str(error) == (
        f"Azure does not take API version 2024-05-01 of {kind}; it names no other one"
    )
