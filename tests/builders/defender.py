"""Builders of requests in Defender."""

from jit.domain.azure.defender_requests import DefenderRequest
from tests.builders.values import HERE, MINE, MINUTE, NOW, vm_id


def an_entry(*sources, initiate_id=MINE, minutes=120, **changes):
    """Defender's request for SSH to the VM, which ends so many minutes from now."""
    return DefenderRequest(
        **{
            "vm_id": vm_id(),
            "port": 22,
            "initiate_id": initiate_id,
            "sources": sources or (HERE,),
            "ends_at": NOW + minutes * MINUTE,
            "active": True,
            "reason": "UserRequested",
            "mapped_port": None,
            "started_at": NOW,
            **changes,
        }
    )
