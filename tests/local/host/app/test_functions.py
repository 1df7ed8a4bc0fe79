"""The app's functions as data."""

import azure.functions as func

from local.host.app import functions


def test_an_empty_route_is_the_name_of_the_function():
    """As in the real host: it is never the root."""
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="")
    def greet(req: func.HttpRequest) -> str:
        """Greet."""
        return "hello"

    (indexed,) = functions.index(app)

    assert indexed.trigger.fields["route"] == "greet"
