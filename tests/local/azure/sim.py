"""A simulated Azure in this process, and functions that call it."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.azure.landscape.file import Landscape, load
from local.azure.simulator import Azure
from local.azure.timeline import Timeline
from local.azure.values.http import Request, Response

PRODUCTION = "5c0ffee0-0000-4000-8000-000000000001"
DEVELOPMENT = "5c0ffee0-0000-4000-8000-000000000002"
BROKER = "b40ce400-0000-4000-8000-000000000009"
API = "2020-01-01"
"""A version that the network, Defender's JIT policies and subscriptions have."""

COMPUTE = "2024-07-01"
PRICINGS = "2024-01-01"
AUTHORIZATION = "2022-04-01"
HOST = "http://127.0.0.1:7072"
ROLE: Landscape = load(
    Path(__file__).resolve().parent.parent.parent.parent / "local" / "landscape.json"
)
"""The landscape as it stands: the broker has its own role and no more."""


def _reading_more(landscape: Landscape) -> Landscape:
    """Return *landscape* with a broker that may read resources that the real broker never reads."""
    extra = {
        "Name": "Reads of the simulator's tests",
        "Actions": [
            "Microsoft.Network/locations/operations/read",
            "Microsoft.Network/networkSecurityGroups/securityRules/read",
            "Microsoft.Network/virtualNetworks/subnets/read",
        ],
    }
    given = {"person": "broker", "role": extra["Name"], "scope": "*"}
    document = {**landscape.document, "azureRoles": [*landscape.document["azureRoles"], given]}
    return Landscape(document, (*landscape.roles, extra))


LANDSCAPE: Landscape = _reading_more(ROLE)


def group(name: str, subscription: str = PRODUCTION) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{name}"


def network(kind: str, name: str, where: str) -> str:
    return f"{where}/providers/Microsoft.Network/{kind}/{name}"


def machine(name: str, where: str) -> str:
    return f"{where}/providers/Microsoft.Compute/virtualMachines/{name}"


def policy(where: str, name: str = "default", location: str = "westeurope") -> str:
    path = f"providers/Microsoft.Security/locations/{location}/jitNetworkAccessPolicies"
    return f"{where}/{path}/{name}"


WEB, DB, HUB, FARM = group("rg-web"), group("rg-db"), group("rg-hub"), "rg-farm-1"
WEB01, DB01, APP01 = machine("web01", WEB), machine("db01", DB), machine("app01", DB)
NEW01, HUB01 = machine("new01", DB), machine("hub01", HUB)
NSG_WEB = network("networkSecurityGroups", "nsg-web", WEB)
NSG_DB = network("networkSecurityGroups", "nsg-db", DB)
NSG_NEW = network("networkSecurityGroups", "nsg-new", DB)
FW_PROD = network("azureFirewalls", "fw-prod", WEB)
FW_HUB = network("azureFirewalls", "fw-hub", HUB)
ALICE, BOB = "203.0.113.7", "203.0.113.8"


class Sim:
    """The simulator with a frozen clock; calls are made as the broker unless said otherwise."""

    def __init__(self, landscape: Landscape = ROLE) -> None:
        self.azure = Azure(landscape, Timeline())
        self.azure.world.timeline.freeze()
        self.azure.world.options.change({"throttling": False})

    @property
    def now(self) -> datetime:
        return self.azure.world.timeline.now

    def token(self, person: str) -> str:
        return str(self.control("POST", "token", {"as": person})["access_token"])

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        content = b"" if body is None else json.dumps(body).encode()
        return self.azure.handle(Request(method, HOST + path, dict(headers or {}), content))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: str = "broker",
        headers: Mapping[str, str] | None = None,
        query: str = "",
    ) -> Response:
        bearer = {"authorization": f"Bearer {self.token(as_)}", **(headers or {})}
        return self.send(method, f"{path}?api-version={version_of(path)}{query}", body, bearer)

    def get(self, path: str) -> Any:
        response = self.call("GET", path)
        if response.status != 200:
            raise AssertionError(response.json())
        return response.json()

    def control(self, method: str, name: str, body: Any = None) -> Any:
        response = self.send(method, f"/_sim/{name}", body)
        if response.status >= 400:
            raise AssertionError(response.json())
        return response.json()

    def options(self, **changes: Any) -> None:
        self.control("PUT", "state", {"options": changes})

    def faults(self, *faults: Any) -> None:
        self.control("POST", "faults", {"faults": list(faults)})

    def advance(self, span: str) -> None:
        self.control("POST", "clock", {"advance": span})

    def initiate(
        self,
        vm: str,
        port: int,
        source: str | list[str] | None = ALICE,
        minutes: float = 60,
        **how: Any,
    ) -> Response:
        end = self.now + timedelta(minutes=minutes)
        wanted: dict[str, Any] = {"number": port, "endTimeUtc": end.isoformat()}
        field = "allowedSourceAddressPrefixes" if isinstance(source, list) else None
        wanted |= {} if source is None else {field or "allowedSourceAddressPrefix": source}
        body = {"virtualMachines": [{"id": vm, "ports": [wanted]}], "justification": "a test"}
        where = vm.partition("/providers/")[0]
        return self.call("POST", f"{policy(where)}/initiate", body, **how)

    def entries(self, where: str) -> list[Any]:
        """All ports of all requests of the group's policy, oldest first."""
        requests = self.get(policy(where))["properties"]["requests"]
        machines = [vm for request in requests for vm in request["virtualMachines"]]
        return [port for vm in machines for port in vm["ports"]]

    def rules(self, nsg: str) -> dict[str, Any]:
        found = self.get(nsg)["properties"]["securityRules"]
        return {rule["name"]: rule["properties"] for rule in found}

    def allows(self, nsg: str) -> list[Any]:
        """Defender's allow rules in the NSG."""
        return [rule for name, rule in self.rules(nsg).items() if "JITRule-" in name]

    def denies(self, nsg: str) -> list[Any]:
        """Defender's deny rules in the NSG."""
        return [rule for name, rule in self.rules(nsg).items() if "JITRule_" in name]

    def nat(self) -> list[Any]:
        """Defender's DNAT rules in the classic firewall."""
        collections = self.get(FW_PROD)["properties"]["natRuleCollections"]
        own = [each for each in collections if each["name"].startswith("MDC-JIT")]
        return [rule for each in own for rule in each["properties"]["rules"]]

    def reachable(self, vm: str, port: int, source: str = ALICE) -> Any:
        return self.control("GET", f"reachable?source={source}&port={port}&vm={vm}")


def version_of(path: str) -> str:
    """Return a version that the type at the end of *path* has."""
    last = path.lower().rpartition("/providers/")[2]
    newer = {
        "microsoft.authorization/": AUTHORIZATION,
        "microsoft.compute/": COMPUTE,
        "microsoft.security/pricings": PRICINGS,
    }
    return next((found for name, found in newer.items() if last.startswith(name)), API)


def rule(**changes: Any) -> dict[str, Any]:
    """A customer's allow rule as a client sends it."""
    properties = {
        "priority": 200,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefix": "10.1.0.0/26",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "10.1.1.4",
        "destinationPortRange": "3389",
        **changes,
    }
    return {"properties": {name: value for name, value in properties.items() if value is not None}}


def error(response: Response) -> tuple[int, str]:
    """The status and code of a refusal."""
    return response.status, response.json()["error"]["code"]
