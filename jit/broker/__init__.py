"""
The use cases of the broker, one module each.

* ``accept``     an access request comes in: decide, store, answer
* ``worker``     a JIT policy has work: open, observe, mend, close (level-triggered)
* ``turns``      claims: one worker a policy, one change at a time a firewall
* ``decisions``  a person revokes or extends
* ``reconcile``  all rules of a subscription against all its grants
* ``views``      what requests and virtual machines look like from outside
* ``configure``  JIT policies changed for some VMs (``policychange``: one policy, step by step)
* ``audit``      the outbox drained into the chain
"""
