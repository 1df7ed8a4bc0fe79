"""Functions of the queues: work, and an alert for each message that keeps failing."""

import azure.functions as func

from jit import messages, telemetry, wiring

bp = func.Blueprint()  # type: ignore[no-untyped-call] # as the package has it


@bp.queue_trigger(arg_name="msg", queue_name=messages.POLICY, connection=messages.CONNECTION)
def work_policy(msg: func.QueueMessage) -> None:
    """Do everything that is due for a JIT policy."""
    body = msg.get_body()
    policy_id, look = messages.read(body, "policy"), messages.read_look(body)
    wiring.worker().work(policy_id, now=wiring.clock(), look=look)


@bp.queue_trigger(arg_name="msg", queue_name=messages.POLICY_POISON, connection=messages.CONNECTION)
def alert_policy_poison(msg: func.QueueMessage) -> None:
    """Alert: no grant depends on a message, but something keeps failing."""
    telemetry.alert("message.poisoned", queue=messages.POLICY, message_id=msg.id)


@bp.queue_trigger(arg_name="msg", queue_name=messages.RECONCILE, connection=messages.CONNECTION)
def reconcile_subscription(msg: func.QueueMessage) -> None:
    """Compare a subscription's rules with its grants; or do the one part that is named."""
    body = msg.get_body()
    subscription = messages.read(body, "subscription")
    if messages.has_part(body, messages.BARS):
        wiring.due_work().wake(wiring.bar_changes().revoke_rest(wiring.clock()))
        return
    reconciler = wiring.reconciler()
    act = reconciler.drain if messages.has_part(body, messages.AUDIT) else reconciler.run
    act(subscription, now=wiring.clock())


@bp.queue_trigger(
    arg_name="msg", queue_name=messages.RECONCILE_POISON, connection=messages.CONNECTION
)
def alert_reconcile_poison(msg: func.QueueMessage) -> None:
    """Alert: a subscription cannot be reconciled."""
    telemetry.alert("message.poisoned", queue=messages.RECONCILE, message_id=msg.id)
