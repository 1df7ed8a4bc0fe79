"""Queue names and messages: a message is a hint that carries a key, never state."""

from __future__ import annotations

import json

from jit.domain.errors import Defect

POLICY = "jit-policy"
RECONCILE = "jit-reconcile"
POLICY_POISON = f"{POLICY}-poison"
RECONCILE_POISON = f"{RECONCILE}-poison"
AUDIT = "audit"
"""The part of a message that wants the audit outbox drained."""

BARS = "bars"
"""The part of a message that wants the access of barred people revoked."""

CONNECTION = "AzureWebJobsStorage"
"""The setting that leads the host to the queues."""
_LIMIT = 4096


def policy(policy_id: str, *, look: str | None = None) -> str:
    """
    Return a message that says: this JIT policy has work.

    *look* is the id of a request whose open paths somebody wants looked at. An older version does
    not know it, and does only the work that is due.
    """
    return json.dumps({"policy": policy_id} | ({"look": look} if look else {}))


def reconcile(subscription: str) -> str:
    """Return a message that says: compare this subscription's rules with its grants."""
    return json.dumps({"subscription": subscription})


def drain(subscription: str) -> str:
    """
    Return a message that says: the audit outbox of this subscription has work.

    An older version does not know the part, and makes a whole comparison.
    """
    return json.dumps({"subscription": subscription, "part": AUDIT})


def revoke_barred(subscription: str) -> str:
    """
    Return a message that says: the access of a barred person is still to be revoked.

    It is about all subscriptions. *subscription* is any of them: an older version does not know the
    part, and compares that one.
    """
    return json.dumps({"subscription": subscription, "part": BARS})


def has_part(body: bytes, part: str) -> bool:
    """Return True if a message wants this part of the work alone."""
    try:
        return read(body, "part") == part
    except Defect:
        return False


def read_look(body: bytes) -> str | None:
    """Return the id of the request that a message wants looked at; None if it names none."""
    try:
        return read(body, "look")
    except Defect:
        return None


def read(body: bytes, key: str) -> str:
    """
    Return the value of *key* in a message.

    Raises:
        Defect: It is not one of our messages; it will end in the poison queue and be alerted.
    """
    try:
        value = json.loads(body[:_LIMIT])[key]
    except (ValueError, LookupError, TypeError) as error:
        raise Defect(f"a message without {key}") from error
    if not isinstance(value, str):
        raise Defect(f"a message whose {key} is not text")
    return value
