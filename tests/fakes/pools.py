"""A pool without threads: thousands of runs need none, and their calls have one order."""

from concurrent.futures import Executor, Future
from typing import Any


class InlinePool(Executor):
    """Runs each call at once, in the thread of its caller."""

    def __init__(self, _workers):
        pass

    def submit(self, fn, /, *args, **kwargs):
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - the result raises it, as that of a thread
            future.set_exception(error)
        return future
