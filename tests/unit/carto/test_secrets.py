"""A key shows nowhere: not in errors and what hangs on them, not in logs, warnings and representations."""

from __future__ import annotations

import base64
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

import carto_like
from carto_like.auth import APIKeyAuthClient, AuthAPIClient, BaseAuthClient, NonVerifiedAPIKeyAuthClient
from carto_like.datasets import DatasetManager
from carto_like.exceptions import CartoException
from carto_like.sql import CopySQLClient, SQLClient
from tests.support.clock import FakeClock

KEY = "f4c6e7ad4566ef417bd64355ba314edf74f05541"
BASE = "https://gis.example.org/user/jane/"
HIDDEN = (KEY, base64.b64encode(f"jane:{KEY}".encode()).decode())
PACKAGE = str(Path(carto_like.__file__).parent)

CLIENTS = [APIKeyAuthClient, NonVerifiedAPIKeyAuthClient, AuthAPIClient]
CALLS: list[Callable[[BaseAuthClient], Any]] = [
    lambda client: client.get_response_data(client.send("x", "post", files={"file": b"abc"})),
    lambda client: client.get_response_data(client.send("api/v3/me", "get")),
    lambda client: SQLClient(client).send("select 1"),
    lambda client: SQLClient(client).send("select 1", do_post=False),
    lambda client: list(SQLClient(client).iterate("select 1")),
    lambda client: CopySQLClient(client).copyfrom("COPY t FROM STDIN", b"1\n"),
    lambda client: CopySQLClient(client).copyto("COPY t TO STDOUT"),
    lambda client: DatasetManager(client).all(),
    lambda client: DatasetManager(client).get("trees").save(),
]
QUOTED = f"what you asked, {BASE}?api_key={KEY}, with {KEY}"
ANSWERS: dict[str, Callable[[requests.PreparedRequest], Any]] = {
    "refused": lambda request: (400, {}, f'{{"error": ["{QUOTED}"], "hint": "{QUOTED}"}}'),
    "page": lambda request: (502, {}, f"<html>{request.url} {QUOTED}"),
    "too many": lambda request: (429, {"Retry-After": "5"}, QUOTED),
    "redirect": lambda request: (301, {"Location": f"https://elsewhere.org/?api_key={KEY}"}, ""),
    "lost": lambda request: requests.ConnectionError(f"with url: {request.url}", request=request),
    "no bundle": lambda request: OSError(f"invalid path: {KEY}"),
}


def assert_hidden(text: str) -> None:
    assert [secret for secret in HIDDEN if secret in text] == []


def everything_about(error: BaseException) -> Iterator[str]:
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        item = todo.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield f"{item} {item!r} {getattr(item, 'args', '')} {vars(item)}"
        todo += [getattr(item, name, None) for name in ("__cause__", "__context__", "request")]
        todo += [part for part in getattr(item, "args", ()) if isinstance(part, BaseException)]
    yield from traceback.format_exception(error)
    yield str(pickle.dumps(error))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(PACKAGE):
            yield repr(frame.f_locals)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", CLIENTS)
@responses.activate
def test_no_error_shows_the_key(
    kind: Any, call: Any, answer: Any, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    def respond(request: requests.PreparedRequest) -> Any:
        outcome = answer(request)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    caplog.set_level(logging.DEBUG)
    for method in ("GET", "POST"):
        responses.add_callback(method, re.compile(".*"), respond)
    client = kind(BASE, KEY, retry=1)
    client.clock = FakeClock()
    with pytest.raises(CartoException) as caught:
        call(client)
    for text in everything_about(caught.value):
        assert_hidden(text)
    assert_hidden(f"{client} {client!r}")
    assert_hidden("".join(f"{record.getMessage()} {record.args}" for record in caplog.records))
    assert_hidden("".join(str(warning.message) for warning in recwarn))
