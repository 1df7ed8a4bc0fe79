"""The values of the simulator: ids, instants, HTTP requests and answers."""
