"""The version of the code, as callers and operators see it."""

VERSION = "0.1.0"
