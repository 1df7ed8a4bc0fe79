"""
A run whose faults are hit in forks: all runs of a scenario share their beginning.

At the call that a fault hits, the process is forked. The child has the fault and runs to rest. The
parent waits for its result, and goes on without the fault.
"""

from __future__ import annotations

import gc
import os
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.crash.faults import InjectedFault
from tests.crash.scenario_run import ScenarioRun


@dataclass(frozen=True, slots=True)
class ForkResult:
    """The name of the call that the fault hit, and the promises that were not kept."""

    hit: str
    violations: tuple[str, ...]


@dataclass
class ForkedRun:
    """
    One run without a fault, and a child of it for each fault.

    Attributes:
        run: A run that has not begun.
        prepare: Called in a child with its fault, before the fault hits.
        results: The results so far, by the fault's place in the arguments of ``run_to_rest``.
    """

    run: ScenarioRun
    prepare: Callable[[InjectedFault], None]
    results: dict[int, ForkResult] = field(default_factory=dict)
    _waiting: dict[int, InjectedFault] = field(default_factory=dict)
    _pipe: BinaryIO | None = None  # in a child only
    _hit: InjectedFault | None = None  # the same

    def run_to_rest(self, faults: Iterable[InjectedFault]) -> dict[int, ForkResult]:
        """Run to rest, with a child for each of *faults* whose call comes; return the results."""
        self._waiting = dict(enumerate(faults))
        self.run.parts.calls.before = self._fork_for_faults
        try:
            self.run.run_to_rest()
            self._report(tuple(self.run.promises.violations))
        except BaseException:
            self._report((traceback.format_exc(),))
            raise
        return self.results

    def _fork_for_faults(self, name: str, number: int) -> None:
        due = [k for k, fault in self._waiting.items() if fault.is_due(name, number)]
        for place in due:
            fault = self._waiting.pop(place)
            if self._is_child(place):
                self._hit = fault
                self.prepare(fault)
                fault.arm()
                self.run.parts.calls.before(name, number)
                return

    def _is_child(self, place: int) -> bool:
        """Fork; return True in the child. Return False in the parent, with the child's result."""
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            # Other threads of a test worker hold nothing that a run needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            gc.disable()  # a short life; pages that it leaves alone are not copied
            os.close(reader)
            self._pipe = os.fdopen(writer, "wb")
            return True
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            self.results[place] = pickle.loads(pipe.read())
        os.waitpid(child, 0)
        return False

    def _report(self, violations: tuple[str, ...]) -> None:
        """In a child: write its result and end the process."""
        if self._pipe is None or self._hit is None:
            return
        with self._pipe as pipe:
            pickle.dump(ForkResult(self._hit.hit, violations), pipe)
        os._exit(0)
