"""
The development host: the work of the Functions host, on one machine.

Reading order: ``app.functions`` (the functions of the app), ``app.checks``
(faults that can be found before the start), ``invocation`` (one run of a
function), then the three sources of work, ``web.server``, ``triggers.queues``
and ``triggers.timers``, and ``process``, which owns them.

It stands in for https://github.com/Azure/azure-functions-host and its Python
worker, https://github.com/Azure/azure-functions-python-worker. It has the same
surprises. These are the differences:

* It looks at an empty queue every second at most, not every ``maxPollingInterval``.
* It creates the queues of its triggers; there, a trigger waits for its queue.
* Its timers follow ``JIT_LOCAL_CLOCK``, in UTC, and a jump of the clock is a miss.
* A killed instance gets its timers back at once if it starts again on its port.
* ``functionTimeout`` is checked, but nothing is ended after it.
* It knows no function keys, and refuses an app that wants them.
* It has HTTP, queue and timer triggers, queue outputs, and refuses the rest.
* App Service authentication is part of it, with ``X-Local-User`` for a login page.
  It excludes paths by the raw path, and passes a client's headers on them.
* ``HttpRequest.url`` has the path as the client sent it, before dot segments are
  resolved. The real host builds it from the resolved path.
* ``X-Local-Address`` plays the caller's address, ``X-Local-Wait`` waits for a
  function that ``POST /admin/functions/{name}`` fires.
"""
