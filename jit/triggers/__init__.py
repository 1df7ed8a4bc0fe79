"""Azure Functions decorators only: a trigger reads, calls one use case, renders."""
