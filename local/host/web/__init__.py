"""HTTP: the front end, the server, the routes of the app and of the host itself."""
