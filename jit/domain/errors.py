"""
Every error the broker raises on purpose.

* BrokerError
  x Rejected               the caller can repair it          4xx   never retried
    - InvalidRequest       the body breaks the contract      400
    - Unauthenticated      nobody is signed in               401
    - Forbidden            the caller may not do this        403
    - AccessDenied         JIT policy, rule or RBAC says no  403
    - NotFound             no such thing                     404
    - Conflict             the state does not allow it       409
    - TooLarge             the body is over the limit        413
    - UnsupportedMediaType the body is not called JSON       415
    - LimitReached         the caller has had enough for now 429   waiting repairs it
  x Unavailable            waiting may repair it             503   retried by the host
    - Throttled            a service asked us to slow down   503
    - Unknown              the answer to a call was lost     503
    - CannotTell           a fact for a decision is missing  503
  x Refused                Azure refused a well-formed call  500   never retried as it is
    - PermissionLost       Azure: the broker may not         500
    - Gone                 Azure: there is no such resource  500
    - VersionRefused       Azure: no such API version        500
    - Busy                 Azure: another operation runs     503
  x StateConflict          someone else wrote first          503   read and decide again
  x Defect                 only a developer can repair it    500   poison after the last try
    - IllegalTransition    the state table has no such edge  500

A caller gets the same answer for ``Refused`` and ``Unavailable``: the broker knows nothing.

``Malformed`` stands outside the tree: a parser's ``ValueError``, which readers make a violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

CANNOT_TELL = "cannot-tell"


@dataclass(frozen=True, slots=True)
class Violation:
    """
    One reason to refuse.

    Attributes:
        pointer: JSON pointer as a URI fragment (RFC 6901 section 6): ``#/virtualMachines/0/id``.
        code: Stable, kebab-case, for programs.
        detail: One sentence for people; names the thing and the limit.
    """

    pointer: str
    code: str
    detail: str

    def doc(self) -> dict[str, str]:
        """Return the violation as the HTTP contract and the audit trail write it."""
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


class BrokerError(Exception):
    """Base class. Its message is written for the caller and never quotes Azure."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "defect"


class Rejected(BrokerError):
    """The caller can repair it."""

    status = 400
    slug = "rejected"

    def __init__(
        self,
        detail: str,
        violations: tuple[Violation, ...] = (),
        *,
        request_id: str | None = None,
    ) -> None:
        """Keep *violations* for the problem body; *request_id* names the audited request."""
        super().__init__(detail)
        self.violations = violations
        self.request_id = request_id


class InvalidRequest(Rejected):
    """The request breaks the contract."""

    slug = "invalid-request"


class Unauthenticated(Rejected):
    """Nobody is signed in."""

    status = 401
    slug = "unauthenticated"


class Forbidden(Rejected):
    """The caller may not do this."""

    status = 403
    slug = "forbidden"


class AccessDenied(Rejected):
    """This access is not allowed."""

    status = 403
    slug = "access-denied"


class NotFound(Rejected):
    """There is no such thing."""

    status = 404
    slug = "not-found"


class Conflict(Rejected):
    """The present state does not allow it."""

    status = 409
    slug = "conflict"


class TooLarge(Rejected):
    """The body is over the limit."""

    status = 413
    slug = "too-large"


class UnsupportedMediaType(Rejected):
    """The body is not called JSON."""

    status = 415
    slug = "unsupported-media-type"


class LimitReached(Rejected):
    """The caller has reached a limit."""

    status = 429
    slug = "limit-reached"

    def __init__(
        self,
        detail: str,
        violations: tuple[Violation, ...] = (),
        *,
        request_id: str | None = None,
        retry_after_seconds: int,
    ) -> None:
        """*retry_after_seconds* is the time until the limit lets one more call pass."""
        super().__init__(detail, violations, request_id=request_id)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(BrokerError):
    """Waiting may repair it; repeat with the same Idempotency-Key."""

    status = 503
    slug = "unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: int = 10) -> None:
        """*retry_after_seconds* comes from the failing service, or is our own guess."""
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class CannotTell(Unavailable):
    """
    A fact that the decision needs could not be read.

    Attributes:
        violations: One reason, which names the fact.
    """

    def __init__(self, detail: str, *, retry_after_seconds: int = 10) -> None:
        """*detail* names the fact."""
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.violations = (Violation("#", CANNOT_TELL, detail),)


class Throttled(Unavailable):
    """A service asked us to slow down."""


class Unknown(Unavailable):
    """The answer to a call was lost: it may or may not have happened."""


class Busy(Unavailable):
    """Azure runs another operation on that resource."""


class Refused(BrokerError):
    """Azure refused a well-formed call; repeating it as it is would not help."""

    def __init__(
        self, detail: str, *, code: str = "", azure_status: int = 0, resource_id: str = ""
    ) -> None:
        """
        Keep the words of Azure.

        *code* is its error code, *azure_status* its HTTP status, both for decisions; *resource_id*
        is the path that was called, for the log.
        """
        super().__init__(detail)
        self.code = code
        self.azure_status = azure_status
        self.resource_id = resource_id


class PermissionLost(Refused):
    """Azure says that the broker's identity may not do this."""


class Gone(Refused):
    """Azure says that there is no such resource."""


class VersionRefused(Refused):
    """
    Azure does not take the API version of the call.

    Attributes:
        kind: The type of the resource, as in a path: ``Microsoft.Network/azureFirewalls``.
        version: The version of the call.
        supported: Versions that Azure takes, as far as it names them, the newest first.
    """

    def __init__(self, kind: str, version: str, supported: tuple[str, ...], **words: Any) -> None:
        """*words* are Azure's, as for `Refused`."""
        takes = f"it takes {', '.join(supported)}" if supported else "it names no other one"
        detail = f"Azure does not take API version {version} of {kind}; {takes}"
        super().__init__(detail, **words)
        self.kind = kind
        self.version = version
        self.supported = supported


class StateConflict(Unavailable):
    """Someone else wrote first: read and decide again."""


class Defect(BrokerError):
    """Only a developer can repair it."""


class IllegalTransition(Defect):
    """The state table has no such edge."""


class Malformed(ValueError):
    """
    Text in a wrong form: a value to report, before there is a request to reject.

    Attributes:
        code: Stable, kebab-case, for programs; becomes the code of a `Violation`.
    """

    def __init__(self, code: str, detail: str) -> None:
        """Keep *code*; *detail* is one sentence for people and never repeats hostile text."""
        super().__init__(detail)
        self.code = code
