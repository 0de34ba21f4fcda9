"""Requests to IOTile Cloud on a test server; answers are ``requests.Response``, unjudged."""

from __future__ import annotations

from typing import Any

import requests

from tests.support.api import TestAccount, Verbs
from tests.support.server import RunningServer


class IOTileApi(Verbs):
    """Requests in the name of one account, or of none."""

    def __init__(self, server: RunningServer, authorization: str | None = None) -> None:
        super().__init__()
        self.server = server
        self.domain = f"{server.base_url}iotile"
        self.authorization = authorization

    def login(self, account: TestAccount, password: str | None = None) -> IOTileApi:
        """The same server in the name of an account, whose key is its password when none is given."""
        given = {"email": account.name, "password": account.api_key if password is None else password}
        answer = self.post("auth/login/", json=given)
        assert answer.status_code == 200, answer.text
        return IOTileApi(self.server, f"jwt {answer.json()['jwt']}")

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = dict(options.pop("headers", {}))
        if self.authorization is not None:
            headers.setdefault("Authorization", self.authorization)
        url = path if path.startswith("http") else f"{self.domain}/api/v1/{path}"
        return super().request(method, url, headers=headers, **options)
