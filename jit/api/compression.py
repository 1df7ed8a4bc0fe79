"""
Compression of answers: long JSON, if the caller takes gzip.

App Service compresses the JSON of a function app on Windows only. On Linux the host compresses
nothing unless a feature flag is set (https://github.com/Azure/azure-functions-host/pull/10870).
"""

from __future__ import annotations

import re
import zlib

import azure.functions as func

LONGEST_PLAIN = 16 * 1024
"""Bytes; a longer JSON body is compressed."""

_JSON = re.compile(r"application/(?:[\w.-]+\+)?json")
_GZIP = 31  # the window of zlib's ``wbits`` with the header of gzip; it has no time
_CODING = re.compile(r"\s*(?P<name>[\w*-]+)\s*(?:;\s*q\s*=\s*(?P<weight>[0-9.]+)\s*)?")


def pack_json(response: func.HttpResponse, req: func.HttpRequest) -> func.HttpResponse:
    """
    Return *response*, with its body compressed if that is long JSON and the caller takes gzip.

    Every answer says that it depends on ``Accept-Encoding``: a cache must not mix both forms.
    """
    response.headers["Vary"] = "Accept-Encoding"
    plain = response.get_body()
    is_long = len(plain) > LONGEST_PLAIN and _JSON.fullmatch(response.mimetype or "") is not None
    if not is_long or not may_gzip(str(req.headers.get("Accept-Encoding", ""))):
        return response
    packer = zlib.compressobj(wbits=_GZIP)
    return func.HttpResponse(
        packer.compress(plain) + packer.flush(),
        status_code=response.status_code,
        mimetype=response.mimetype,
        headers={**dict(response.headers.items()), "Content-Encoding": "gzip"},
    )


def may_gzip(accepted: str) -> bool:
    """
    Return True if the header ``Accept-Encoding`` takes gzip, by name or by ``*``.

    Source: RFC 9110, section 12.5.3. A caller without the header gets no coding.
    """
    found = [match for part in accepted.split(",") if (match := _CODING.fullmatch(part))]
    weights = {match["name"].lower(): _read_weight(match["weight"]) for match in found}
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _read_weight(text: str | None) -> float:
    """Return the weight of a coding: 1 if there is none, 0 if it is no number."""
    if text is None:
        return 1.0
    return float(text) if re.fullmatch(r"[01](?:\.[0-9]{0,3})?", text) else 0.0
