"""Fixtures of the host's own tests: small apps, hosted for real in a process of their own."""

import json
import os
import sys
from pathlib import Path

import pytest

from local.children import Children
from local.stack import HostProcess, Options, free_port

PROJECT = Path(__file__).resolve().parents[3]
HOST_JSON = {
    "version": "2.0",
    "extensions": {"queues": {"visibilityTimeout": "00:00:00", "maxDequeueCount": 2}},
}
HEAD = """
import logging, os, pathlib
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"
"""


@pytest.fixture
def write_app(tmp_path):
    """Write an app with the given source below the usual head; return its folder."""

    def write(source, host_json=HOST_JSON):
        (tmp_path / "function_app.py").write_text(HEAD + source)
        (tmp_path / "host.json").write_text(json.dumps(host_json))
        return tmp_path

    return write


@pytest.fixture
def host_of(write_app, storage, tmp_path):
    """Host an app with the given source; instances share the test's storage account."""
    with Children() as children:

        def start(source, number=0, **env):
            options = Options(app=write_app(source))
            host = HostProcess(f"host{number}", free_port(), options, children, tmp_path)
            host.env = os.environ | {"AzureWebJobsStorage": storage} | env
            host.start()
            return host

        yield start


@pytest.fixture
def run_host(write_app, storage, tmp_path):
    """Run a host on an app that cannot start; return its exit code and its output."""

    def run(source, host_json=HOST_JSON, **env):
        folder = write_app(source, host_json)
        command = [sys.executable, "-m", "local.host", "--port", "0", "--app", str(folder)]
        with Children() as children:
            child = children.start(
                "host",
                command,
                env=os.environ | {"AzureWebJobsStorage": storage} | env,
                log=tmp_path / "host.log",
                cwd=PROJECT,
            )
            return child.wait(seconds=60), child.output()

    return run
