"""Whatever is sent to a route of IOTile Cloud, the answer is in its words, and never a 500; see test_fuzz."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from carto_like.server.app import create_app
from carto_like.server.bootstrap import bootstrap
from carto_like.server.iotile.mount import API, PREFIX
from carto_like.server.migrations import migrate
from carto_like.server.postgres import PrivatePostgres
from carto_like.server.secrets import Secrets
from carto_like.server.settings import Limits, Settings
from tests.server.test_fuzz import FACTOR, Answer, Target, _Collector
from tests.support.api import make_account
from tests.support.hostile import Message, bodies, messages, mostly
from tests.support.iotile import IOTileApi
from tests.support.server import SECRET, RunningServer

EXAMPLES = 10 * FACTOR
# A hash that takes time on purpose.
SLOW = {"/auth/login": 4 * FACTOR, "/auth/api-jwt-auth": 4 * FACTOR}


def route_methods() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for route in create_app(Settings(dsn="", secret=SECRET)).iotile.routes:
        found.setdefault(route.path, set()).update(route.methods or ())
    return {path: frozenset(methods) for path, methods in found.items()}


ROUTES = route_methods()


class Farm:
    """What the requests are about: an organization with one of everything, made anew where it is gone."""

    def __init__(self, target: Target) -> None:
        self.target = target
        accounts = target.server.app.iotile.site.accounts
        target.server.on_server(accounts.set_staff(target.account.account.id, True))
        self.api = IOTileApi(target.server).login(target.account)
        self.known: dict[str, list[str]] = {}
        self.furnish()

    def furnish(self) -> None:
        org = self._make("org", name=f"Farm {uuid4().hex[:8]}")
        project = self._make("project", name="Pumps", org=org["slug"])
        device = self._make("device", project=project["id"])
        variable = self._make("variable", name="Flow", project=project["id"], lid=0x5001)
        stream = self._make("stream", device=device["slug"], variable=variable["slug"])
        fleet = self._make("fleet", name="All", org=org["slug"])
        fact = self._make("property", target=device["slug"], name="x", value=1)
        self.known = {
            "org": [org["slug"]],
            "project": [project["id"], project["slug"]],
            "device": [device["slug"]],
            "variable": [variable["slug"]],
            "stream": [stream["slug"]],
            "slug": [stream["slug"], self.target.account.name],
            "fleet": [fleet["slug"]],
            "property": [str(fact["id"])],
            "user": [self.target.account.name],
            "streamer": [f"t--{device['gid']}--0001"],
            "id": ["1", "99999999999999999999", str(uuid4())],
        }

    def _make(self, kind: str, **body: Any) -> Any:
        answer = self.api.post(f"{kind}/", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    @property
    def is_whole(self) -> bool:
        kept = ("org", "project", "variable", "fleet", "device", "property")
        paths = [f"{kind}/{self.known[kind][0]}/" for kind in kept]
        return all(self.api.get(path).status_code == requests.codes.ok for path in paths)


@pytest.fixture(scope="module")
def farm(cluster: PrivatePostgres) -> Iterator[Farm]:
    dsn = bootstrap(cluster, "fuzz_iotile")
    asyncio.run(migrate(dsn, Secrets(SECRET)))
    limits = Limits(body_max_bytes=100_000)
    server = RunningServer(Settings(dsn=dsn, secret=SECRET, limits=limits, worker=False))
    target = Target(server, make_account(server))
    collector = _Collector(target.unexpected)
    logger = logging.getLogger("carto_like.server")
    logger.addHandler(collector)
    yield Farm(target)
    logger.removeHandler(collector)
    server.stop()


def is_told(value: Any) -> bool:
    """Whether a part of an error's body says something: text, or texts by name or number."""
    if isinstance(value, str):
        return bool(value)
    if isinstance(value, list):
        return bool(value) and all(map(is_told, value))
    return isinstance(value, dict) and bool(value) and all(map(is_told, value.values()))


def check(message: Message, answer: Answer) -> None:
    """Fail unless the answer is one that IOTile Cloud gives."""
    content_type = answer.headers.get("Content-Type", "")
    assert 200 <= answer.status < 500, answer
    assert answer.is_whole
    assert answer.headers.get("X-Evil") is None
    if message.method == "HEAD" or not answer.body:
        return
    if content_type.startswith("text/plain") and answer.status in (400, 414, 431):
        # Not HTTP, or too much of it: the application has not seen it.
        return
    if answer.status == 404 and content_type.startswith("text/html"):
        # A suffix that led out of this part of the application.
        assert b"<pre>Cannot " in answer.body
        return
    if answer.status >= 400:
        assert content_type == "application/json"
        assert is_told(json.loads(answer.body)), answer
    elif content_type.startswith("application/json"):
        json.loads(answer.body)


@pytest.mark.filterwarnings("ignore:Do not use the .random. module inside strategies")
@pytest.mark.timeout(120 * FACTOR)
@pytest.mark.parametrize("path", sorted(ROUTES))
def test_every_route_answers_whatever_comes(path: str, farm: Farm) -> None:
    token = farm.api.authorization or ""
    writing = sorted(ROUTES[path] - {"GET", "HEAD", "OPTIONS", "DELETE"})

    @hypothesis_settings(
        max_examples=SLOW.get(path, EXAMPLES),
        deadline=None,
        database=None,
        derandomize=FACTOR == 1,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        message=messages(path, ROUTES[path], farm.known),
        written=bodies,
        writes=st.booleans(),
        shown=mostly(st.just(token), st.sampled_from(["jwt x", "token x", "jwt", "token a b"])),
        chunked=st.booleans(),
    )
    def answers(
        message: Message, written: tuple[bytes, bytes], writes: bool, shown: str, chunked: bool
    ) -> None:
        headers = list(message.headers)
        if writing and writes:
            body, kind = written
            message = replace(message, method=writing[0], body=body)
            headers += [("Content-Type", kind)] if kind else []
        if "Authorization" not in dict(headers):
            headers.append(("Authorization", shown.encode()))
        message = replace(message, headers=headers)
        whole = replace(message, target=f"{PREFIX}{API}".encode() + message.target)
        answer = farm.target.send(whole, chunked=chunked)
        check(whole, answer)
        if answer.status < 300 and message.method != "GET" and not farm.is_whole:
            farm.furnish()

    answers()
    assert [record.exc_info for record in farm.target.unexpected] == []


def test_it_was_not_all_refused(farm: Farm) -> None:
    """The requests reach what is behind the routes."""
    for kind, path in (("stream", "stream/{}/"), ("stream", "stream/{}/data/"), ("project", "project/{}/")):
        assert farm.api.get(path.format(farm.known[kind][0])).status_code == 200
