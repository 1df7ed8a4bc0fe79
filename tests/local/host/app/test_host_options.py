"""``host.json``: defaults, values, and every slip of the pen named."""

import json
from datetime import timedelta

import pytest

from local.host.app import host_options
from local.host.app.host_options import HostOptions, HttpOptions, QueueOptions


def queues(**values):
    return {"version": "2.0", "extensions": {"queues": values}}


def test_the_projects_own_file_has_no_faults(project):
    """The real host understands the deployed file."""
    document = json.loads((project / "host.json").read_text())

    assert list(host_options.find_faults(document)) == []


def test_a_file_that_says_nothing_means_the_real_hosts_defaults():
    """Routes lie under api, and a failed message returns at once, five times."""
    expected = HostOptions("api", QueueOptions(16, 8, 5, timedelta(0), timedelta(minutes=1)))

    assert host_options.options({"version": "2.0"}) == expected


def test_values_replace_the_defaults():
    """Each name of the queue section reaches the queue listeners."""
    document = queues(
        batchSize=4,
        newBatchThreshold=2,
        maxDequeueCount=3,
        visibilityTimeout="00:00:30",
        maxPollingInterval="00:00:02.5",
        messageEncoding="None",
    )
    expected = QueueOptions(4, 2, 3, timedelta(seconds=30), timedelta(seconds=2.5), "none")

    assert host_options.options(document).queues == expected


def test_the_route_prefix_may_be_empty():
    """An empty prefix puts the routes at the root."""
    document = {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}

    assert host_options.options(document).route_prefix == ""


def test_the_bounds_of_http_requests_are_read():
    """The real host has none on most plans."""
    section = {"maxConcurrentRequests": 16, "maxOutstandingRequests": 200}
    document = {"version": "2.0", "extensions": {"http": section}}

    assert host_options.options(document).http == HttpOptions(16, 200)
    assert host_options.options({"version": "2.0"}).http == HttpOptions(-1, -1)


@pytest.mark.parametrize("name", ["maxConcurrentRequests", "maxOutstandingRequests"])
@pytest.mark.parametrize(
    ("value", "is_fault"), [(1, False), (-1, False), (0, True), (-2, True), ("16", True)]
)
def test_a_bound_of_http_requests_is_a_number_or_no_limit(name, value, is_fault):
    """The real host fails at its start on the others."""
    document = {"version": "2.0", "extensions": {"http": {name: value}}}

    assert (name in "".join(host_options.find_faults(document))) == is_fault


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "not an object"),
        ({}, "version"),
        ({"version": 2}, "version"),
        ({"version": "2.0", "extension": {}}, "extension is not a name"),
        ({"version": "2.0", "extensions": {"queues": []}}, "extensions.queues must be an object"),
        ({"version": "2.0", "extensions": {"http": {"prefix": ""}}}, "http.prefix is not a name"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": "{x}"}}}, "routePrefix"),
        ({"version": "2.0", "functionTimeout": "5 minutes"}, "functionTimeout"),
        ({"version": "2.0", "functionTimeout": "00:00:00"}, "functionTimeout"),
        ({"version": "2.0", "extensionBundle": {"version": "4"}}, "extensionBundle.version"),
        (queues(batchsize=1), "batchsize is not a name"),
        (queues(batchSize=33), "batchSize"),
        (queues(batchSize="16"), "batchSize"),
        (queues(batchSize=True), "batchSize"),
        (queues(newBatchThreshold=-1), "newBatchThreshold"),
        (queues(maxDequeueCount=0), "maxDequeueCount"),
        (queues(visibilityTimeout=30), "visibilityTimeout"),
        (queues(visibilityTimeout="00:00:99"), "visibilityTimeout"),
        (queues(visibilityTimeout="8.00:00:00"), "visibilityTimeout"),
        (queues(maxPollingInterval="00:00:00"), "maxPollingInterval"),
        (queues(messageEncoding="utf-8"), "messageEncoding"),
    ],
)
def test_each_fault_is_named(document, words):
    """The real host would ignore some of these and fail on others later."""
    assert words in "\n".join(host_options.find_faults(document))


def test_all_faults_are_named_at_once():
    """One start shows everything that is to be mended."""
    found = list(host_options.find_faults(queues(batchSize=0, maxDequeueCount=0, surprise=1)))

    assert len(found) == 3


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:00:30", timedelta(seconds=30)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("00:00:00.0500000", timedelta(milliseconds=50)),
        ("24:00:00", None),
        ("PT30S", None),
        (30, None),
    ],
)
def test_spans_are_written_as_dot_net_writes_them(text, span):
    """Days before a dot, a fraction of up to seven digits after one."""
    assert host_options.time_span(text) == span
