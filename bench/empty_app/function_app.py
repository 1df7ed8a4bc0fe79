# ruff: noqa: INP001 - an app is a folder, not a package
"""The yardstick: the smallest app there is, one HTTP function that says nothing."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="empty", methods=["GET"])
def empty(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 200 with nothing."""
    return func.HttpResponse(status_code=200)
