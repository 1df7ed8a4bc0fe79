"""
A fresh process that answers one HTTP request: started as a script, measured from outside.

Usage: ``python bench/programs/first_answer.py <folder of function_app.py> <file>``. The file holds
the request: ``{"function", "method", "url", "headers", "body", "status"}``. The program prints one
line as soon as the function has answered. It ends with 1 if the status is not the expected one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


class Out:
    """Keeps the value of a queue output binding; the host would send it."""

    def set(self, value: object) -> None:
        """Keep *value*."""
        self.value = value


def main(folder: str, file: str) -> int:
    """Load the app as the worker does, answer, say so; return the exit code."""
    sys.path.insert(0, folder)
    import azure.functions as func

    import function_app

    indexed = function_app.app.get_functions()
    functions = {each.get_function_name(): each.get_user_function() for each in indexed}
    wanted = json.loads(Path(file).read_text())
    request = func.HttpRequest(
        method=wanted["method"],
        url=wanted["url"],
        headers=wanted["headers"],
        body=wanted["body"].encode(),
    )
    outputs = {"work": Out()} if wanted["method"] == "POST" else {}
    answer = functions[wanted["function"]](req=request, **outputs)
    print(answer.status_code, flush=True)
    return 0 if answer.status_code == wanted["status"] else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
