"""Whatever is sent to a route, the answer is one of its family's, and never a 500.

Routes are those that the application has, so a new one is covered as soon as it is there. The requests are
the same in every run; ``CARTO_LIKE_FUZZ=20`` sends twenty times as many, and others each time.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from carto_like.server.app import create_app
from carto_like.server.bootstrap import bootstrap
from carto_like.server.migrations import migrate
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.secrets import Secrets
from carto_like.server.services.organizations import Organizations
from carto_like.server.settings import Limits, Settings
from tests.support.api import Api, TestAccount, make_account
from tests.support.datasets import owner_of
from tests.support.hostile import Message, messages, mostly
from tests.support.maps import NAMED, config, styled_layer, template, token_of
from tests.support.server import SECRET, RunningServer

FACTOR = int(os.environ.get("CARTO_LIKE_FUZZ", "1"))
EXAMPLES = 60 * FACTOR


def route_methods() -> dict[str, frozenset[str]]:
    """The methods of each path of the application."""
    app = create_app(Settings(dsn="", secret=SECRET))
    found: dict[str, set[str]] = {}
    for route in (*app._open_routes, *app._routes):
        found.setdefault(route.path, set()).update(route.methods or ())
    return {path: frozenset(methods) for path, methods in found.items()}


ROUTES = route_methods()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    is_whole: bool


class Target:
    """A server, an account on it that owns an organization and a dataset, and what went wrong inside."""

    def __init__(self, server: RunningServer, account: TestAccount) -> None:
        self.server = server
        self.account = account
        self.organization = f"o-{uuid4().hex[:8]}"
        self.map = ""
        self.unexpected: list[logging.LogRecord] = []

    def send(self, message: Message, *, chunked: bool) -> Answer:
        url = urlsplit(self.server.base_url)
        head = [b"%b %b HTTP/1.1" % (message.method.encode(), message.target)]
        given = {name for name, _ in message.headers}
        if "Host" not in given:
            head.append(b"Host: " + url.netloc.encode())
        head += [name.encode() + b": " + value for name, value in message.headers]
        if chunked:
            head.append(b"Transfer-Encoding: chunked")
            size = max(1, len(message.body) // 3)
            pieces = [message.body[start : start + size] for start in range(0, len(message.body), size)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        else:
            head.append(b"Content-Length: %d" % len(message.body))
            body = message.body
        with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
            connection.sendall(b"\r\n".join([*head, b"Connection: close", b"", b""]) + body)
            response = http.client.HTTPResponse(connection, method=message.method)
            response.begin()
            try:
                content, is_whole = response.read(), True
            except http.client.IncompleteRead as error:
                content, is_whole = error.partial, False
            response.close()
        return Answer(response.status, response.headers, content, is_whole)

    def furnish(self) -> None:
        """Make account, organization and dataset where they are gone, as a request may well ask for."""
        platform = self.server.app.platform
        account = self.server.on_server(platform.users.get(self.account.name))
        if account is None:
            made = platform.users.create(self.account.name, api_key=self.account.api_key)
            account = self.server.on_server(made)
        organizations = Organizations(platform.database, platform.users)
        self.server.on_server(organizations.join(account, self.organization))
        with owner_of(self.server.settings, self.account) as owner:
            if owner.execute("SELECT to_regclass('trees')") == [(None,)]:
                owner.dataset("trees", rows=5)
        self.map = self._make_map()

    def _make_map(self) -> str:
        """Make a template, and a map of it; answers the map's token."""
        api = Api(self.account.base_url, self.account.api_key)
        layer = styled_layer("select * from trees", interactivity="n")
        layer["options"]["attributes"] = {"id": "cartodb_id", "columns": ["n"]}
        given = {**template(), "layergroup": config(layer)}
        made = api.post(NAMED, json=given)
        assert made.status_code in (200, 400), made.text
        return token_of(api.post(f"{NAMED}/world"))


class _Collector(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._records.append(record)


@pytest.fixture(scope="module")
def target(cluster: PrivatePostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    # A database of its own, where nobody works: jobs are put into the queue, and that is all.
    dsn = bootstrap(cluster, "fuzz")
    asyncio.run(migrate(dsn, Secrets(SECRET)))
    limits = Limits(query_timeout=1, copy_timeout=5, body_max_bytes=100_000, copy_max_bytes=100_000)
    uploads = tmp_path_factory.mktemp("uploads")
    server = RunningServer(Settings(dsn=dsn, secret=SECRET, limits=limits, worker=False, uploads_dir=uploads))
    account = make_account(server)
    found = Target(server, account)
    found.furnish()
    collector = _Collector(found.unexpected)
    logger = logging.getLogger("carto_like.server")
    logger.addHandler(collector)
    yield found
    logger.removeHandler(collector)
    server.stop()


def is_error_of_sql(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and isinstance(body.get("error"), list)
        and all(isinstance(text, str) and text for text in body["error"])
        and set(body) <= {"error", "context", "detail", "hint", "request_id"}
    )


def is_error_of_others(body: Any, status: int) -> bool:
    if isinstance(body, str):
        return bool(body)
    if isinstance(body, list):
        return status == 410 and all(isinstance(text, str) and text for text in body)
    return isinstance(body, dict) and (
        bool(body.get("errors") or body.get("error")) or (status == 401 and not body)
    )


def check(message: Message, path: str, answer: Answer) -> None:
    """Fail unless the answer is one that the family of the path gives."""
    content_type = answer.headers.get("Content-Type", "")
    assert 200 <= answer.status < 500, answer
    assert answer.headers.get("X-Evil") is None
    if message.method == "HEAD" or not answer.body:
        return
    if not answer.is_whole:
        # An error after the head: all that the server can do is break off.
        assert answer.status == 200
        assert "/sql" in path
        return
    if answer.status >= 400 and content_type.startswith("text/html"):
        is_page = path in ("/", "/enter", "/leave") or path.startswith(("/map/", "/dataset/"))
        is_told = b"<pre>Cannot " in answer.body if answer.status == 404 else False
        assert is_told or (is_page and b"<main>" in answer.body), answer
        assert b"<script>" not in answer.body
        return
    if content_type.startswith("text/plain") and answer.status in (400, 414, 431):
        # Not HTTP, or too much of it: the application has not seen it.
        return
    if answer.status >= 400:
        text = answer.body.decode()
        padded = re.fullmatch(r"(?:/\*\*/)?[\w$.]+\((.*)\);?", text, re.DOTALL)
        body = json.loads(padded.group(1) if padded else text)
        right = is_error_of_sql(body) if "/sql" in path else is_error_of_others(body, answer.status)
        assert right, answer
    elif content_type.startswith("application/json"):
        json.loads(answer.body)


# The server's threads use ``random`` while hypothesis looks whether a strategy does.
@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
@pytest.mark.timeout(120 * FACTOR)
@pytest.mark.parametrize("path", sorted(ROUTES))
def test_every_route_answers_whatever_comes(path: str, target: Target) -> None:
    open_paths = {route.path for route in target.server.app._open_routes}
    own = st.just(b"" if path in open_paths else b"/user/" + target.account.name.encode())
    known = {
        "version": ["v2", "v1"],
        "organization": [target.organization],
        "username": [target.account.name, "bob"],
        "name": ["Master", "Default%20public"],
        "template": ["world"],
        "token": [target.map],
        "layer": ["0", "all", "layer0"],
        "z": ["0", "3"],
        "x": ["0", "-1"],
        "last": ["0.mvt", "1.grid.json", "0@2x.png"],
        "feature": ["1"],
        "lat": ["10.5"],
        "lng": ["-20"],
        "box": ["-10,-10,10,10"],
        "width": ["64"],
        "height": ["32.png", "32.jpg"],
    }

    @hypothesis_settings(
        # Many addresses lead to the same few things.
        max_examples=EXAMPLES // 2 if "/map" in path else EXAMPLES,
        deadline=None,
        database=None,
        derandomize=FACTOR == 1,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        message=messages(path, ROUTES[path], known),
        prefix=mostly(own, st.sampled_from([b"", b"/u/nobody", b"/user/%00", b"/user/%ff", b"/user/"])),
        key=mostly(st.just(target.account.api_key), st.sampled_from(["default_public", "wrong", ""])),
        chunked=st.booleans(),
    )
    def answers(message: Message, prefix: bytes, key: str, chunked: bool) -> None:
        found = message.target
        if key:
            found += (b"&" if b"?" in found else b"?") + b"api_key=" + key.encode()
        message = replace(message, target=prefix + found)
        answer = target.send(message, chunked=chunked)
        check(message, path, answer)
        if message.method == "DELETE" and answer.status < 300:
            target.furnish()

    answers()
    assert [record.exc_info for record in target.unexpected] == []


def test_it_was_not_all_refused(target: Target) -> None:
    """The requests reach what is behind the routes: the key is right, and so are account and dataset."""
    target.furnish()
    ask = Message(
        "GET",
        f"/user/{target.account.name}/api/v1/users/me?api_key={target.account.api_key}".encode(),
        [],
        b"",
    )
    assert target.send(ask, chunked=False).status == 200
    health = target.send(Message("GET", b"/health", [], b""), chunked=True)
    assert health.status == 200
    assert {"/api/v1/users/{anybody:path}", "/api/v3/me", "/health"} <= set(ROUTES)
