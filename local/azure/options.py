"""The options of the simulator: durations, and choices between doubtful behaviours."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

DENY_PLACEMENTS = ("aboveConflict", "lowest", "reprioritise")


@dataclass(slots=True)
class Options:
    """
    The options that ``PUT /_sim/state {"options": {...}}`` sets.

    The JSON document writes the same names in camel case: ``nsgSeconds``.
    ``local/README.md`` names the source of each behaviour, and its certainty.

    Attributes:
        nsg_seconds: How long an NSG or one of its rules is ``Updating``.
        firewall_seconds: How long a firewall is ``Updating``; its old rules stay effective.
        initiate_seconds: From an accepted initiate to Defender's first rule.
        expiry_seconds: From a request's end to Defender's removal of its rules.
        entry_delay_seconds: From an accepted initiate to its entry in the policy.
        request_days: How long a policy lists a request after its end.
        page_size: Items on a page of a list.
        throttling: True if ARM's token buckets count.
        busy_seconds: ``Retry-After`` of a resource that another operation holds.
        newer_cancels_older: A write to a busy NSG cancels the older one; else it is refused.
        firewall_if_match: True if a firewall's PUT honours ``If-Match``.
        firewall_keeps_old_on_failure: A failed update leaves the old rules effective, else the new.
        accept_prefix_lists: True if initiate takes ``allowedSourceAddressPrefixes``.
        ignore_prefix_lists: Initiate drops ``allowedSourceAddressPrefixes`` without a word.
        echo_prefix_lists: True if a policy's requests repeat them.
        exact_prefix_only: A source must equal an allowed prefix; being inside is refused.
        initiating_status: An entry's status before its rule exists (an open enumeration).
        caller_address: Source of an initiate that names none: the calling service's own.
        put_erases_requests: A policy PUT without ``requests`` erases the history.
        put_takes_requests: A policy PUT replaces the history: Defender forgets what it leaves out.
        put_forgets_rules: A port that leaves its policy leaves its open rules behind for ever.
        delete_forgets_rules: Deleting a policy leaves its open rules behind for ever.
        deny_placement: The place of the deny when a rule of the NSG allows its port.
    """

    nsg_seconds: float = 3
    firewall_seconds: float = 240
    initiate_seconds: float = 10
    expiry_seconds: float = 20
    entry_delay_seconds: float = 0
    request_days: float = 30
    page_size: int = 50
    throttling: bool = True
    busy_seconds: int = 10
    newer_cancels_older: bool = False
    firewall_if_match: bool = True
    firewall_keeps_old_on_failure: bool = True
    accept_prefix_lists: bool = True
    ignore_prefix_lists: bool = False
    echo_prefix_lists: bool = True
    exact_prefix_only: bool = False
    initiating_status: str = "Initiating"
    caller_address: str = "51.105.66.10"
    put_erases_requests: bool = False
    put_takes_requests: bool = False
    put_forgets_rules: bool = False
    delete_forgets_rules: bool = False
    deny_placement: str = "aboveConflict"

    def change(self, changes: dict[str, Any]) -> None:
        """
        Set the options that *changes* names; all of them or, when one is wrong, none.

        Raises:
            ValueError: A name is unknown or a value of the wrong kind: a misspelt
                switch must not pass for a switched one.
        """
        known = {_camel(field.name): field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"there is no option {name!r}")
            _check(name, value, getattr(self, known[name]))
        for name, value in changes.items():
            setattr(self, known[name], value)

    def document(self) -> dict[str, Any]:
        """Return the options as JSON."""
        return {_camel(name): value for name, value in asdict(self).items()}


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def _check(name: str, value: object, present: object) -> None:
    kind = type(present).__name__
    numeric = isinstance(present, (int, float)) and not isinstance(present, bool)
    right = isinstance(value, (int, float) if numeric else type(present))
    if not right or isinstance(value, bool) != isinstance(present, bool):
        raise ValueError(f"option {name!r} takes a {kind}")
    if isinstance(value, (int, float)) and (value < 0 or (name == "pageSize" and value < 1)):
        raise ValueError(f"option {name!r} cannot be {value}")
    if name == "denyPlacement" and value not in DENY_PLACEMENTS:
        raise ValueError(f"denyPlacement is one of {', '.join(DENY_PLACEMENTS)}")
