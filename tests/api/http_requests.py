"""HTTP requests and settings for the tests of the API."""

import base64
import json

import azure.functions as func

from jit.settings import Settings

NEEDED = {
    "AzureWebJobsStorage": "x",
    "JIT_SUBSCRIPTIONS": "5c0ffee0-0000-4000-8000-000000000001",
    "WEBSITE_HOSTNAME": "broker.azurewebsites.net",
}
TENANT = "7E4A4700-0000-4000-8000-000000000000"
SIGNED_IN = NEEDED | {"WEBSITE_AUTH_ENABLED": "True"}
SETTINGS = Settings.from_env(SIGNED_IN | {"JIT_TENANT_ID": TENANT})
OFF = Settings.from_env(NEEDED)
BASED = Settings.from_env(NEEDED | {"JIT_PUBLIC_BASE_URL": "https://jit.example/"})
OID = "A11CE000-0000-4000-8000-000000000001"
REQUESTER = ("roles", "Jit.Requester")
URL = "https://broker.azurewebsites.net/api/access-requests?x=1"


def encode(document):
    return base64.b64encode(json.dumps(document).encode()).decode()


def make_principal(*claims, auth_typ="aad", tenant=("tid", TENANT)):
    """Return the header for a caller with *claims*; *tenant* is one more claim, or empty."""
    named = [*claims, *([tenant] if tenant else [])]
    return encode({"auth_typ": auth_typ, "claims": [{"typ": k, "val": v} for k, v in named]})


def make_request(principal=None, *, method="POST", url=URL, body=b"", params=None, **headers):
    """Return a request; ``X_Forwarded_For="…"`` becomes the header X-Forwarded-For."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {} if principal is None else {"X-MS-CLIENT-PRINCIPAL": principal}
    return func.HttpRequest(method=method, url=url, headers=named, params=params, body=body)


class WatchedValues(dict[str, str]):
    """Headers or query parameters that remember the names that were asked for."""

    def __init__(self, values=()):
        super().__init__(values)
        self.asked = set()

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key):
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key):
        self.asked.add(key)
        return super().__contains__(key)
