"""A user of a test server, and short ways to send it requests as that user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import requests

from carto_like.server.accounts import Account

from .server import RunningServer

TIMEOUT = 60


@dataclass(frozen=True)
class TestAccount:
    """A user made for one test."""

    __test__ = False

    account: Account
    api_key: str
    base_url: str

    @property
    def name(self) -> str:
        return self.account.name

    @property
    def role(self) -> str:
        return self.account.role

    @property
    def public_role(self) -> str:
        return self.account.public_role

    @property
    def schema(self) -> str:
        return self.account.schema


def make_account(server: RunningServer, name: str | None = None, **options: Any) -> TestAccount:
    """A new user of a server."""
    name = name or f"t{uuid4().hex[:10]}"
    users = server.app.platform.users
    account = server.on_server(users.create(name, **options))
    master = server.on_server(users.keys(account))[0]
    return TestAccount(account, master.token, f"{server.base_url}user/{name}/")


class Verbs:
    """Short ways to send requests over one session, which the environment does not change."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request; whoever inherits says to where, and as whom."""
        options.setdefault("timeout", TIMEOUT)
        return self.session.request(method, path, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> requests.Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> requests.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> requests.Response:
        return self.request("DELETE", path, **options)


class Api(Verbs):
    """Requests to one user's addresses, with a key or none; answers are ``requests.Response``, unjudged."""

    def __init__(self, base_url: str, api_key: str | None) -> None:
        super().__init__()
        self.base_url = base_url
        self.api_key = api_key

    @property
    def anonymous(self) -> Api:
        """The same addresses without a key."""
        return self.with_key(None)

    def with_key(self, api_key: str | None) -> Api:
        """The same addresses with another key."""
        other = Api(self.base_url, api_key)
        other.session = self.session
        return other

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request; the key goes into the query string."""
        params = options.pop("params", None) or {}
        if self.api_key is not None:
            params = {"api_key": self.api_key, **params}
        return super().request(method, self.base_url + path.lstrip("/"), params=params, **options)

    def sql(self, q: str, **params: Any) -> requests.Response:
        """Run SQL by POST, so that the statement may have any length."""
        return self.post("api/v2/sql", data={"q": q, **params})
