"""
The use cases of the broker, one package each.

* ``requests``       callers ask for access, revoke, extend, read
* ``policy_worker``  one JIT policy has work: open, observe, mend, close (level-triggered)
* ``reconcile``      all rules of a subscription against all its grants; the timers
* ``configure``      operators change JIT policies
* ``locks``          one worker for each policy, one change at a time for each firewall
* ``azure_changes``  every change of Azure that the worker and the comparison make
* ``health``         storage, Azure and the timers answer
"""
