"""Ids of access requests: subscription, time of creation, random bits."""

from __future__ import annotations

import re
from base64 import b32decode, b32hexdecode, b32hexencode
from datetime import UTC, datetime, timedelta

from jit.domain.values.arm_ids import FLAGS, UUID, base32

RANDOM_BYTES = 10
_REQUEST_ID = re.compile(r"([a-z2-7]{26})([0-9a-v]{26})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def make_request_id(subscription_id: str, now: datetime, random80: bytes) -> str:
    """
    Make the id of an access request from its subscription, its creation time and random bits.

    Args:
        subscription_id: UUID, in any case.
        now: Aware, not before 1970.
        random80: 10 bytes from a cryptographic source.

    Returns:
        52 characters of [a-z0-9]: 26 for the subscription (base32), 26 for 48 bits of
        milliseconds and 80 random bits (base32hex, whose order is that of the bytes). Within a
        subscription, ids sort by time.

    Raises:
        ValueError: *subscription_id* is no UUID, *now* is too early, or *random80* has another
            length.

    Source:
        RFC 4648 sections 6 and 7; the split of the second half is that of ULID.
    """
    if len(random80) != RANDOM_BYTES:
        raise ValueError(f"a request id takes {RANDOM_BYTES} random bytes")
    milliseconds = (now - _EPOCH) // _MILLISECOND
    if milliseconds < 0:
        raise ValueError("a request id cannot be older than 1970")
    return base32(_uuid_bytes(subscription_id)) + _base32hex(
        milliseconds.to_bytes(6, "big") + random80
    )


def parse_request_id(text: str) -> tuple[str, datetime] | None:
    """
    Read a request id back: (lower-case subscription id, creation time to the millisecond, UTC).

    Returns None for a text that `make_request_id` cannot have made, so each id has only one
    spelling.
    """
    found = _REQUEST_ID.fullmatch(text)
    if found is None:
        return None
    owner = b32decode(found[1].upper() + "======")
    stamp = b32hexdecode(found[2].upper() + "======")
    if (base32(owner), _base32hex(stamp)) != found.groups():
        return None
    try:
        created_at = _EPOCH + _MILLISECOND * int.from_bytes(stamp[:6], "big")
    except OverflowError:  # 48 bits reach beyond the year 9999
        return None
    return _uuid_text(owner), created_at


def _base32hex(raw: bytes) -> str:
    return b32hexencode(raw).decode().rstrip("=").lower()


def _uuid_bytes(text: str) -> bytes:
    if not re.fullmatch(UUID, text, FLAGS):
        raise ValueError("a subscription id is a UUID")
    return bytes.fromhex(text.replace("-", ""))


def _uuid_text(raw: bytes) -> str:
    digits = raw.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
