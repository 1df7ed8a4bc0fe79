"""Compression: long JSON for callers who take gzip, and the same bytes for everybody else."""

import gzip
import json

import azure.functions as func
import pytest

from jit.api.compression import LONGEST_PLAIN, may_gzip, pack_json
from tests.api.http_requests import make_request

LONG = json.dumps({"value": ["a path"] * 2_000})


def answer(body=LONG, mimetype="application/json", **named):
    return func.HttpResponse(body, mimetype=mimetype, **named)


@pytest.mark.parametrize("mimetype", ["application/json", "application/problem+json"])
def test_long_json_is_compressed_for_a_caller_who_may_gzip(mimetype):
    """With its status and its other headers; the bytes are the same each time."""
    plain = answer(mimetype=mimetype, status_code=403, headers={"ETag": 'W/"1"'})
    request = make_request(Accept_Encoding="gzip, deflate, br")

    packed = pack_json(plain, request)

    assert gzip.decompress(packed.get_body()).decode() == LONG
    assert len(packed.get_body()) < len(LONG) / 10
    assert (packed.status_code, packed.mimetype) == (403, mimetype)
    headers = {name.lower(): value for name, value in packed.headers.items()}
    assert headers == {"etag": 'W/"1"', "vary": "Accept-Encoding", "content-encoding": "gzip"}
    assert packed.get_body() == pack_json(answer(mimetype=mimetype), request).get_body()


@pytest.mark.parametrize(
    ("plain", "accepted"),
    [
        (answer(), ""),
        (answer(), "br, identity"),
        (answer("x" * LONGEST_PLAIN), "gzip"),
        (answer(mimetype="text/plain"), "gzip"),
        (func.HttpResponse(status_code=304, mimetype="application/json"), "gzip"),
    ],
    ids=["no header", "no gzip", "short", "text", "no body"],
)
def test_other_answers_stay_as_they_are(plain, accepted):
    """They also say that they depend on the header: a cache must not mix the forms."""
    body = plain.get_body()

    found = pack_json(plain, make_request(Accept_Encoding=accepted))

    assert found.get_body() == body
    assert dict(found.headers.items()) == {"Vary": "Accept-Encoding"}


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("br;q=1.0, x-gzip", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0, gzip", True),
        ("deflate", False),
        ("notgzip", False),
        ("gzip;q=much", False),
        ("", False),
    ],
)
def test_gzip_is_taken_by_name_or_by_the_star(accepted, takes):
    """RFC 9110, section 12.5.3; an unreadable header takes nothing."""
    assert may_gzip(accepted) is takes
