"""Bodies of the API's requests, read into the arguments of the use cases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import azure.functions as func

from jit.api.cross_origin import SAFE_METHODS
from jit.api.json_bytes import read_bytes, read_optional_bytes
from jit.domain.errors import InvalidRequest, Malformed, UnsupportedMediaType, Violation
from jit.domain.limits import Limits, bound_violations
from jit.domain.model.people import Person
from jit.domain.requests.json_node import Node
from jit.domain.values.json_pointer import ROOT

if TYPE_CHECKING:  # each body is loaded when the first of its kind comes
    from jit.domain.audit.erasure import WantedErasure
    from jit.domain.model.bar import WantedBar
    from jit.domain.model.machine import MachinePolicy
    from jit.domain.requests.extension_body import Extension
    from jit.domain.requests.revocation import Revocation
    from jit.domain.requests.submission import Submission

UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
_JSON_TYPE = re.compile(r"application/(?:[a-z0-9!#$&^_.-]+\+)?json", re.IGNORECASE | re.ASCII)


def check_media_type(req: func.HttpRequest) -> None:
    """
    Refuse a body that is not called JSON; parameters such as ``charset`` do not count.

    A form of another web site cannot send ``application/json`` without asking first.

    Raises:
        UnsupportedMediaType: The request changes something, has a body, and its ``Content-Type``
            is missing or neither ``application/json`` nor ``application/*+json``.
    """
    if req.method.upper() in SAFE_METHODS or not req.get_body():
        return
    media_type = req.headers.get("Content-Type", "").partition(";")[0].strip()
    if _JSON_TYPE.fullmatch(media_type) is None:
        detail = "send the header Content-Type: application/json"
        raise UnsupportedMediaType(detail, (Violation(ROOT, UNSUPPORTED_MEDIA_TYPE, detail),))


def read_submission(
    req: func.HttpRequest, caller: Person, *, now: datetime, limits: Limits
) -> Submission:
    """
    Return the access request in *req*; faults of its fields are in its draft.

    Raises:
        InvalidRequest: The body is not a JSON object, or the ``Idempotency-Key`` cannot be used.
        TooLarge: The body has too many bytes.
    """
    from jit.domain.requests.access_body import read_access_request
    from jit.domain.requests.submission import Submission

    body, key = read_bytes(req.get_body()), _read_key(req)
    draft = read_access_request(body, now=now, limits=limits)
    return Submission(draft=draft, body=body, key=key, caller=caller)


def read_revocation(req: func.HttpRequest, limits: Limits) -> Revocation:
    """Return the revocation in *req*, which needs no body; raise as `read_submission`."""
    from jit.domain.requests.revocation_body import read_revoke

    found, faults = read_revoke(read_optional_bytes(req.get_body()), limits=limits)
    _refuse_faults(faults)
    return found


def read_extension(req: func.HttpRequest, limits: Limits) -> Extension:
    """Return the extension in *req*; raise as `read_submission`."""
    from jit.domain.requests import extension_body

    body, key = read_bytes(req.get_body()), _read_key(req)
    extension, faults = extension_body.read_extend(body, key=key, limits=limits)
    if extension is None:
        raise InvalidRequest("the body has faults", faults)
    return extension


def read_policy_put(req: func.HttpRequest, limits: Limits) -> tuple[MachinePolicy, ...]:
    """Return the virtual machines to configure, with their ports; raise as `read_submission`."""
    from jit.domain.requests import policy_bodies

    machines, faults = policy_bodies.read_policy_put(read_bytes(req.get_body()), limits=limits)
    _refuse_faults(faults)
    return machines


def read_policy_delete(req: func.HttpRequest, limits: Limits) -> tuple[MachinePolicy, ...]:
    """Return the virtual machines to take out of JIT; raise as `read_submission`."""
    from jit.domain.requests import policy_bodies

    machines, faults = policy_bodies.read_policy_delete(read_bytes(req.get_body()), limits=limits)
    _refuse_faults(faults)
    return machines


def read_bar(req: func.HttpRequest, *, now: datetime, limits: Limits) -> WantedBar:
    """Return the bar in *req*; raise as `read_submission`."""
    from jit.domain.requests import bar_body

    wanted, faults = bar_body.read_bar(read_bytes(req.get_body()), now=now, limits=limits)
    if wanted is None:
        raise InvalidRequest("the body has faults", faults)
    return wanted


def read_erasure(req: func.HttpRequest, limits: Limits) -> WantedErasure:
    """Return the erasure in *req*; raise as `read_submission`."""
    from jit.domain.audit.erasure import WantedErasure
    from jit.domain.requests.operators import erasure_body

    found, faults = erasure_body.read_erasure(read_bytes(req.get_body()), limits=limits)
    if found is None:
        raise InvalidRequest("the body has faults", faults)
    return WantedErasure(person_id=found[0], reason=found[1])


def refuse_fields(req: func.HttpRequest, limits: Limits) -> None:
    """
    Refuse a body with fields: the route reads none, and somebody meant something by them.

    Raises:
        InvalidRequest: The body has a field, or is not a JSON object.
    """
    root = Node(read_optional_bytes(req.get_body()) or {}, ROOT, [])
    root.read_fields(())
    _refuse_faults(bound_violations(root.faults, limits))


def read_person_id(req: func.HttpRequest) -> str:
    """
    Return the object id in the path of *req*, in lower case.

    Raises:
        InvalidRequest: It is no object id.
    """
    from jit.domain.values import object_ids

    try:
        return object_ids.parse_object_id(req.route_params["oid"])
    except Malformed as fault:
        violation = Violation(ROOT, fault.code, str(fault))
        raise InvalidRequest("the path names no person", (violation,)) from fault


def _read_key(req: func.HttpRequest) -> str | None:
    from jit.domain.requests import idempotency_key

    key, faults = idempotency_key.read_idempotency_key(req.headers.get("Idempotency-Key"))
    if faults:
        raise InvalidRequest("the Idempotency-Key cannot be used", faults)
    return key


def _refuse_faults(faults: Sequence[Violation]) -> None:
    if faults:
        raise InvalidRequest("the body has faults", tuple(faults))
