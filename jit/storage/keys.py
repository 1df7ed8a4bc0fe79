"""
Row keys and instants as text.

Row keys are made of hashes (first 16 bytes of SHA-256 of the lower-cased id, base32). An ARM id
holds ``/``, varies in case and can be too long for a key. Full ids are properties. Instants are
ISO text of one width, so text order is time order.
"""

from __future__ import annotations

from datetime import UTC, datetime

from jit.domain.values import arm_ids

REQUESTS, GRANTS, TOMBSTONES, MACHINES, OUTBOX, ADMIN_RULES = "r", "g", "t", "v", "a", "n"
REPEATED, KEYS, ENDINGS, BARS, OWN, ERASURES = "d", "i", "x", "b", "q", "e"
POLICIES, LOOKS, FIREWALLS, DENIALS = "p", "l", "f", "c"
"""Prefixes of the row keys in ``JitState``: all rows of one kind in a partition."""

COMPARISON = "s|comparison"
"""Row key of the control row of a subscription, in the partition of the subscription."""

DRAIN = "s|drain"
"""Row key of the control row of a subscription's audit outbox, in the same partition."""

LOOK, PLAN = "s|look", "s|plan"
"""Row keys of the last look that callers caused, and of the last dry run, in a subscription."""

SUBSCRIPTIONS = "Subscriptions"
"""Partition with one row for each subscription, and one for the timer ``tick``."""

PEOPLE = "people"
"""
Partition with the rows about people, of no subscription, and with the audit rows of these.

In lower case, as the ids of subscriptions: their chain is drained in the same way.
"""

CALLERS = "Callers"
"""Partition with one row for each caller who was denied."""

TICK = "s|tick"
"""Row key of the last tick, in the partition ``SUBSCRIPTIONS``."""

_AFTER_BAR = "}"  # the character after `|`: each key with a prefix is below prefix + this


def write_stamp(moment: datetime) -> str:
    """Return an instant as text of one width: microseconds, UTC, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_stamp(text: str) -> datetime:
    """
    Read the text of ``write_stamp``.

    Raises:
        ValueError: The text is no instant.
    """
    return datetime.fromisoformat(text)


def key_range(prefix: str) -> tuple[str, str]:
    """Return the half-open range of keys that begin with *prefix* and ``|``."""
    return f"{prefix}|", f"{prefix}{_AFTER_BAR}"


def keys_after(prefix: str) -> str:
    """Return the smallest key after all keys that begin with *prefix* and ``|``."""
    return key_range(prefix)[1]


def subscription_key(subscription: str) -> str:
    """Return the row key of a subscription, in the partition ``SUBSCRIPTIONS``."""
    return f"s|{subscription}"


def bar_key(person_id: str) -> str:
    """Return the row key of the bar of a person, in the partition ``PEOPLE``."""
    return f"{BARS}|{person_id}"


def erasure_key(person_id: str) -> str:
    """Return the row key of the erasure order about a person, in the partition of a chain."""
    return f"{ERASURES}|{person_id}"


def denials_key(caller: str) -> str:
    """Return the row key of a caller's denials, in the partition ``CALLERS``."""
    return f"{DENIALS}|{arm_ids.row_hash(caller)}"


def request_key(request_id: str) -> str:
    """Return the row key of a live request."""
    return f"{REQUESTS}|{request_id}"


def grants_prefix(policy_id: str, vm_id: str | None = None) -> str:
    """Return the prefix of the row keys of a policy's grants, or of its grants on one VM."""
    policy = f"{GRANTS}|{arm_ids.row_hash(policy_id)}"
    return policy if vm_id is None else f"{policy}|{arm_ids.row_hash(vm_id)}"


def grants_key(policy_id: str, vm_id: str, request_id: str) -> str:
    """Return the row key of a request's grants on one VM."""
    return f"{grants_prefix(policy_id, vm_id)}|{request_id}"


def read_machine(key: str) -> str:
    """Return the hash of the VM's id in the row key of grants or of their tombstone."""
    return key.split("|")[2]


def tombstones_prefix(policy_id: str) -> str:
    """Return the prefix of the row keys of a policy's tombstones."""
    return f"{TOMBSTONES}|{arm_ids.row_hash(policy_id)}"


def tombstone_key(policy_id: str, vm_id: str, request_id: str) -> str:
    """Return the row key of the tombstone of a request's grants on one VM."""
    return f"{tombstones_prefix(policy_id)}|{arm_ids.row_hash(vm_id)}|{request_id}"


def machine_key(vm_id: str) -> str:
    """Return the row key of a VM in the inventory."""
    return f"{MACHINES}|{arm_ids.row_hash(vm_id)}"


def admin_rules_key(network_id: str) -> str:
    """Return the row key of the security admin rules of a virtual network."""
    return f"{ADMIN_RULES}|{arm_ids.row_hash(network_id)}"


def idempotency_key(digest: str) -> str:
    """Return the row key of an idempotency key; *digest* names the caller and the key."""
    return f"{KEYS}|{digest}"


def person_key(person_id: str) -> str:
    """Return the row key of the accepted requests of a person."""
    return f"{OWN}|{arm_ids.row_hash(person_id)}"


def is_place(key: str) -> bool:
    """Return True if *key* is that of a live request of a person, and not of their times."""
    return key.count("|") > 1


def own_request_key(person_id: str, request_id: str) -> str:
    """Return the row key by which a live request of a person is found."""
    return f"{person_key(person_id)}|{request_id}"


def policy_key(policy_id: str) -> str:
    """Return the row key of the control row of a JIT policy."""
    return f"{POLICIES}|{arm_ids.row_hash(policy_id)}"


def looks_key(policy_id: str) -> str:
    """Return the row key of the looks that were asked for under a JIT policy."""
    return f"{LOOKS}|{arm_ids.row_hash(policy_id)}"


def firewall_key(firewall_id: str) -> str:
    """Return the row key of the control row of a firewall."""
    return f"{FIREWALLS}|{arm_ids.row_hash(firewall_id)}"
