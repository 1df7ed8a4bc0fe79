"""Functions of the timers: they look, and send messages to the workers."""

import azure.functions as func

from jit import telemetry, wiring

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.timer_trigger(arg_name="timer", schedule="%JIT_TICK_SCHEDULE%", use_monitor=True)
def tick(timer: func.TimerRequest) -> None:
    """Wake the policies with something due: a grant needs no message to go on."""
    if fault := wiring.settings().authentication_fault:
        telemetry.alert("authentication.misconfigured", detail=fault)
    wiring.due_work().tick(now=wiring.clock())


@bp.timer_trigger(arg_name="timer", schedule="%JIT_RECONCILE_SCHEDULE%", use_monitor=True)
def reconcile(timer: func.TimerRequest) -> None:
    """Have every subscription compared: one message each."""
    wiring.due_work().enqueue_comparisons()
