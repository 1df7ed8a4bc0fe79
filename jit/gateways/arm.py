"""
Azure Resource Manager: one pipeline for every client, and a thin reader without a management SDK.

The management SDKs take up to a second to import; the HTTP path and the few reads without an SDK
of ours use the reader here. Pipelines retry failed connections for seconds and nothing else: a
``Retry-After`` is waited for by the queue, never inside a function.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from azure.core import PipelineClient
from azure.core.pipeline.policies import (
    BearerTokenCredentialPolicy,
    ContentDecodePolicy,
    CustomHookPolicy,
    HeadersPolicy,
    ProxyPolicy,
    RequestIdPolicy,
    RetryPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from jit.domain.azure.arm_json import Resource
from jit.domain.errors import Defect
from jit.gateways.arm_connections import build_connections
from jit.gateways.arm_errors import (
    require_items,
    require_object,
    require_resource,
    translate_errors,
)

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import PipelineRequest, PipelineResponse

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
PAGES = 1000
"""The most pages of a list. A list that never ends is a fault, not a reason to read for ever."""


class _LoopbackHttp(SansIOHTTPPolicy[Any, Any]):
    """Allows a bearer token over plain http to this machine, and to nowhere else."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Lift azure-core's https rule for loopback hosts."""
        if urlsplit(request.http_request.url).hostname in _LOOPBACK:
            request.context.options["enforce_https"] = False


def build_policies(credential: TokenCredential, scope: str) -> list[Any]:
    """
    Return the pipeline of every ARM client.

    Left out on purpose: ``ARMAutoResourceProviderRegistrationPolicy``, which would need a right
    that the broker should not have; and request logging, which could log justifications.
    """
    return [
        RequestIdPolicy(),
        HeadersPolicy(),
        UserAgentPolicy("jit-access-broker"),
        ProxyPolicy(),
        ContentDecodePolicy(),
        RetryPolicy(retry_total=2, retry_connect=2, retry_read=0, retry_status=0),
        _LoopbackHttp(),
        BearerTokenCredentialPolicy(credential, scope),
        CustomHookPolicy(),
    ]


class Answer:
    """
    The response of one call of a management SDK, caught by its ``raw_response_hook``.

    The SDKs' models drop unknown members, and fail over one odd date among a thousand. The broker
    reads the JSON itself.
    """

    def __init__(self) -> None:
        """Nothing has come back yet."""
        self._body = b""

    def __call__(self, response: PipelineResponse[Any, Any]) -> None:
        """Keep the answer; of several attempts, the last."""
        self._body = response.http_response.body()

    def read_object(self) -> Resource:
        """Return the body; ValueError if it is not an object."""
        return require_object(json.loads(self._body))

    def read_resource(self) -> Resource:
        """Return the body; ValueError if it is not a resource."""
        return require_resource(json.loads(self._body))


class ThinArm:
    """An ``Arm`` over a bare azure-core pipeline."""

    def __init__(
        self, endpoint: str, credential: TokenCredential, scope: str, *, transport: Any = None
    ) -> None:
        """*endpoint* is ``https://management.azure.com`` or a sovereign cloud's."""
        self._endpoint = endpoint.rstrip("/")
        self._client: PipelineClient[Any, Any] = PipelineClient(
            self._endpoint,
            policies=build_policies(credential, scope),
            transport=transport or build_connections(),
        )

    def get(self, resource_id: str, api_version: str) -> Resource:
        """Return one resource."""
        with translate_errors():
            return require_resource(
                self._read(f"{self._endpoint}{_quote(resource_id)}", {"api-version": api_version})
            )

    def list(self, path: str, api_version: str, chosen: str = "") -> list[Resource]:
        """Return every item of a list, all pages; *chosen* is an OData filter of the first page."""
        params = {"api-version": api_version, **({"$filter": chosen} if chosen else {})}
        page = self._read(f"{self._endpoint}{_quote(path)}", params)
        found: list[Resource] = []
        for _ in range(PAGES):
            with translate_errors():
                found.extend(require_items(page))
            following = page.get("nextLink")
            if not following:
                return found
            page = self._read(str(following), {})
        raise Defect(f"a list of Azure has more than {PAGES} pages")

    def _read(self, url: str, params: Mapping[str, str]) -> Resource:
        self._check(url)
        quoted = {name: quote(value, safe="") for name, value in params.items()}
        with translate_errors():
            response = self._client.send_request(HttpRequest("GET", url, params=quoted))
            response.raise_for_status()
            return require_object(response.json())

    def _check(self, url: str) -> None:
        """Refuse to leave the endpoint: every call carries our token."""
        if _origin(url) != _origin(self._endpoint):
            raise Defect("a link of Azure leads to another host")


def _quote(path: str) -> str:
    """Return a path of ARM as a URL has it: names may have letters beyond ASCII."""
    return quote(path, safe="/()")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
