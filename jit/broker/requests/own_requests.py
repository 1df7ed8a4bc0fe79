"""The caller's own live requests for a VM port: a refusal names them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jit.domain.model.grant import Grant
from jit.domain.model.people import Person
from jit.storage.request_store import RequestStore


@dataclass(frozen=True, slots=True)
class OwnRequests:
    """The live requests of *caller*. Each look reads the requests of some grants: it is slow."""

    requests: RequestStore
    caller: Person

    def find(self, grants: Iterable[Grant]) -> str | None:
        """Return the id of the caller's own request among those of *grants*, which are live."""
        for request_id in dict.fromkeys(grant.request_id for grant in grants):
            request = self.requests.find_request(request_id)
            if request is not None and request.requester.id == self.caller.id:
                return request_id
        return None

    def name_in(self, detail: str, grants: Iterable[Grant]) -> str:
        """Return *detail* with the id of the caller's own request among those of *grants*."""
        own = self.find(grants)
        return f"{detail}; your own request {own} has it" if own else detail
