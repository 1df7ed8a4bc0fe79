"""
The broker's gateways, whose reads go to the simulator without the HTTP client of the SDKs.

The pipeline of azure-core and the SDK models would take half of the time of thousands of runs.
``tests/gateways`` tests the real reader, and ``test_raw_gateways`` proves that this one gives the
same results and errors. Changes still go through the SDKs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote, urlencode

from azure.core.exceptions import HttpResponseError, ServiceResponseError

from jit.api_versions import NETWORK
from jit.domain.azure.arm_json import Resource
from jit.gateways.arm import ThinArm
from jit.gateways.arm_errors import require_items, require_object, translate_errors
from jit.gateways.defender import DefenderPolicies
from jit.gateways.network import AzureNetwork
from local.azure.values.http import Dropped, Request, Response
from tests.local.azure.sim import API, HOST, Sim

_ERRORS = 400
_ADMIN_RULES = "listNetworkManagerEffectiveSecurityAdminRules"


class RawArm(ThinArm):
    """An ``Arm`` that calls the simulator directly."""

    def __init__(self, sim: Sim, person: str = "broker") -> None:
        """Read from *sim* as *person*."""
        self._endpoint = HOST
        self._sim = sim
        self._headers = {"authorization": f"Bearer {sim.token(person)}"}

    def _read(self, url: str, params: Mapping[str, str]) -> Resource:
        self._check(url)
        full = f"{url}?{urlencode(params)}" if params else url
        return self._call(Request("GET", full, self._headers))

    def post_pages(self, path: str, api_version: str) -> list[Resource]:
        """Return the items of a list whose next page is asked for by a token in the body."""
        url, found = f"{self._endpoint}{quote(path, safe='/()')}?api-version={api_version}", []
        body: dict[str, object] = {}
        while True:
            page = self._call(Request("POST", url, self._headers, json.dumps(body).encode()))
            with translate_errors():
                found += require_items(page)
            if not page.get("skipToken"):
                return found
            body = {"skipToken": page["skipToken"]}

    def _call(self, request: Request) -> Resource:
        with translate_errors():
            response = self._send(request)
            if response.status >= _ERRORS:
                answer = cast("Any", _error_response(request.url, response))
                raise HttpResponseError(response=answer)
            return require_object(json.loads(response.content))

    def _send(self, request: Request) -> Response:
        """Return the answer; a broken connection is the error that azure-core raises."""
        try:
            return self._sim.azure.handle(request)
        except Dropped as dropped:
            raise ServiceResponseError("Connection aborted.", error=dropped) from dropped


def _error_response(url: str, response: Response) -> SimpleNamespace:
    """Return the members of an HTTP response that azure-core and the translation read."""
    return SimpleNamespace(
        status_code=response.status,
        reason="",
        headers=response.headers,
        text=response.content.decode,
        request=SimpleNamespace(url=url),
    )


class RawNetwork(AzureNetwork):
    """A ``Network`` that reads through *arm*."""

    def __init__(self, arm: RawArm, *to: Any, **over: Any) -> None:
        """The other arguments are those of the gateway."""
        super().__init__(*to, **over)
        self._arm = arm

    def get_nsg(self, nsg_id: str) -> Resource:
        """Return an NSG with its rules."""
        return self._arm.get(nsg_id, NETWORK)

    def get_firewall(self, firewall_id: str) -> Resource:
        """Return a firewall with its rule collections."""
        return self._arm.get(firewall_id, NETWORK)

    def list_admin_rules(self, network_id: str) -> list[Resource]:
        """Return the security admin rules that are effective on a virtual network."""
        return self._arm.post_pages(f"{network_id}/{_ADMIN_RULES}", NETWORK)


class RawPolicies(DefenderPolicies):
    """A ``JitPolicies`` that reads through *arm*."""

    def __init__(self, arm: ThinArm, *to: Any, **over: Any) -> None:
        """The other arguments are those of the gateway."""
        super().__init__(*to, **over)
        self._arm = arm

    def get(self, policy_id: str) -> Resource:
        """Return a policy."""
        return self._arm.get(policy_id, API)
