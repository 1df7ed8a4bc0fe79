"""Faults on demand: the calls that go wrong, the way, the number of times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from local.azure.arm.operations import Effects
from local.azure.values.http import ArmError, Json, Response, answer
from local.azure.values.times import parse_duration

_MATCHES = {"method", "path", "bodyContains", "principal"}
_KINDS = {"answer", "drop", "delay", "leaveRules", "neverRule", "omit", "operation"}
_OUTCOMES = {"Failed", "Canceled"}
_OK = 200


@dataclass(frozen=True, slots=True)
class Subject:
    """
    A call, or a step of Defender's own work, that a fault may match.

    Attributes:
        method: HTTP method; for Defender's work, the one that it would use.
        path: Decoded path or resource id.
        body: As text.
        principal: Short name of the principal that acts.
    """

    method: str
    path: str
    body: str = ""
    principal: str = ""


@dataclass(slots=True)
class Fault:
    """
    One planned fault.

    Attributes:
        document: As it was given.
        skip: Matching calls that still go well first.
        left: How often it strikes yet; None without end.
    """

    document: Json
    skip: int
    left: int | None

    def matches(self, subject: Subject) -> bool:
        """Return True if the fault is meant for *subject*; an empty match means any."""
        match = self.document.get("match", {})
        return (
            str(match.get("method", subject.method)).upper() == subject.method.upper()
            and str(match.get("path", "")).lower() in subject.path.lower()
            and str(match.get("bodyContains", "")).lower() in subject.body.lower()
            and match.get("principal", subject.principal) == subject.principal
        )

    @property
    def answers(self) -> bool:
        """True if the fault replaces or swallows the answer."""
        return "answer" in self.document or "drop" in self.document

    def effects(self) -> Effects:
        """Return the effects of the fault on the slow part of the call."""
        operation = self.document.get("operation")
        outcome = None
        if operation is not None:
            error = {
                "code": operation.get("code", "InternalServerError"),
                "message": operation.get("message", "An error occurred."),
            }
            outcome = {"status": operation["status"], "error": error}
        delay = self.document.get("delay")
        return Effects(
            delay=timedelta(0) if delay is None else parse_duration(delay),
            outcome=outcome,
            never_rule=bool(self.document.get("neverRule")),
        )

    def response(self) -> Response | None:
        """Return the answer that replaces the real one; None where the fault has none."""
        wanted = self.document.get("answer")
        if wanted is None:
            return None
        if "body" in wanted:
            return answer(wanted["status"], wanted["body"], wanted.get("headers"))
        code = wanted.get("code", "InternalServerError")
        message = wanted.get("message", "This fault was asked for.")
        error = ArmError(wanted["status"], code, message, headers=wanted.get("headers"))
        return error.response()

    def shorten(self, response: Response) -> Response:
        """Return a list without the resources that the fault omits; any other answer as it is."""
        omitted = [str(part).lower() for part in self.document.get("omit", ())]
        found = response.json() if omitted and response.status == _OK else None
        if not isinstance(found, dict) or not isinstance(found.get("value"), list):
            return response
        left = [item for item in found["value"] if not _is_named(item, omitted)]
        return answer(response.status, {**found, "value": left}, response.headers)


def _is_named(item: Json, parts: list[str]) -> bool:
    """Return True if the id of a resource contains one of *parts*, in lower case."""
    return any(part in str(item.get("id", "")).lower() for part in parts)


@dataclass(slots=True)
class Faults:
    """The planned faults in the order they were given; the first that matches strikes."""

    _planned: list[Fault] = field(default_factory=list)

    def plan(self, documents: object) -> None:
        """
        Add faults.

        Raises:
            ValueError: One of them makes no sense; then none is added.
        """
        if not isinstance(documents, list):
            raise ValueError("faults is a list")  # noqa: TRY004 - one error for bad input
        self._planned.extend([_read(each) for each in documents])

    def clear(self) -> None:
        """Forget all planned faults."""
        self._planned.clear()

    def left(self) -> list[Json]:
        """Return the faults that can still strike, with their ``times``."""
        return [{**fault.document, "times": fault.left} for fault in self._planned]

    def strike(self, subject: Subject) -> Fault | None:
        """Return the fault that strikes the call *subject*, one time less from now on."""
        return self._find_next(subject, lambda fault: "leaveRules" not in fault.document)

    def forgets(self, subject: Subject) -> bool:
        """Return True if Defender forgets to remove the rules of *subject*."""
        fault = self._find_next(subject, lambda fault: bool(fault.document.get("leaveRules")))
        return fault is not None

    def strike_defender(self, subject: Subject) -> Effects:
        """Return the effects on Defender's own write; only faults that name Defender count."""
        named = self._find_next(
            subject, lambda fault: fault.document.get("match", {}).get("principal") == "defender"
        )
        return Effects() if named is None else named.effects()

    def _find_next(self, subject: Subject, wanted: Any) -> Fault | None:
        for fault in list(self._planned):
            if not wanted(fault) or not fault.matches(subject):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            self._use(fault)
            return fault
        return None

    def _use(self, fault: Fault) -> None:
        if fault.left is not None:
            fault.left -= 1
            if fault.left == 0:
                self._planned.remove(fault)


def _read(document: object) -> Fault:
    if not isinstance(document, dict):
        raise ValueError("a fault is an object")  # noqa: TRY004 - one error for bad input
    unknown = document.keys() - _KINDS - {"match", "times", "skip"}
    unknown |= document.get("match", {}).keys() - _MATCHES
    if unknown or not document.keys() & _KINDS:
        raise ValueError(f"a fault has {', '.join(sorted(_KINDS))}; unknown: {sorted(unknown)}")
    _check_values(document)
    return Fault(document, document.get("skip", 0), document.get("times", 1))


def _check_values(document: Json) -> None:
    times, skip = document.get("times", 1), document.get("skip", 0)
    if not isinstance(skip, int) or skip < 0:
        raise ValueError("skip is a number")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise ValueError("times is a positive number, or null for ever")
    if "drop" in document and document["drop"] not in {"before", "after"}:
        raise ValueError("drop is before or after")
    if "answer" in document and not isinstance(document["answer"].get("status"), int):
        raise ValueError("answer needs a status")
    if "operation" in document and document["operation"].get("status") not in _OUTCOMES:
        raise ValueError("operation needs a status: Failed or Canceled")
    if "omit" in document and not _is_list_of_texts(document["omit"]):
        raise ValueError("omit is a list of parts of resource ids")
    if "delay" in document:
        parse_duration(document["delay"])


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(item, str) for item in value)
