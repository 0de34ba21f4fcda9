"""What a test's requests carried, as ``responses`` recorded them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import responses


def sent_json(index: int = -1) -> Any:
    """The JSON body of one of the requests."""
    body = responses.calls[index].request.body
    assert isinstance(body, (str, bytes))
    return json.loads(body)


def sent_query(index: int = -1) -> dict[str, str]:
    """The query of one of the requests; a name that is repeated fails the test."""
    pairs = parse_qsl(urlsplit(str(responses.calls[index].request.url)).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def sent_paths() -> list[str]:
    """Method and path of each request, in the order they were made."""
    requests = [call.request for call in responses.calls]
    return [f"{request.method} {urlsplit(str(request.url)).path}" for request in requests]
