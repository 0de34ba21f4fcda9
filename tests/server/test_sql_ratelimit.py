"""Rate limits of ``/sql`` and COPY."""

from __future__ import annotations

import pytest

from carto_like.server.errors import RATE_LIMITED
from carto_like.server.settings import RateLimit
from tests.conftest import MakeServer
from tests.support.api import Api, make_account
from tests.support.raw import eventually

REQUESTS = {
    "query": ("GET", "api/v2/sql", "select 1"),
    "copy_to": ("GET", "api/v2/sql/copyto", "COPY (SELECT 1) TO STDOUT"),
    "copy_from": ("POST", "api/v2/sql/copyfrom", "COPY missing FROM STDIN"),
}


@pytest.mark.parametrize("group", REQUESTS)
def test_an_account_that_asks_too_often_has_to_wait(make_server: MakeServer, group: str) -> None:
    account = make_account(make_server(rate_limits={group: (RateLimit(burst=1, count=1, period=1.0),)}))
    api = Api(account.base_url, account.api_key)
    method, path, q = REQUESTS[group]
    found = [api.request(method, path, params={"q": q}) for _ in range(3)]
    limits = [response.headers["Carto-Rate-Limit-Limit"] for response in found]
    remaining = [response.headers["Carto-Rate-Limit-Remaining"] for response in found]
    assert (limits, remaining) == (["2", "2", "2"], ["1", "0", "0"])
    assert found[0].status_code == found[1].status_code == (400 if group == "copy_from" else 200)
    assert found[2].status_code == 429
    assert found[2].headers["Retry-After"] == "1"
    assert found[2].json() == {"error": [RATE_LIMITED], "context": "limit", "detail": "rate-limit"}
    eventually(lambda: api.request(method, path, params={"q": q}).status_code != 429, "it may ask again", 5)
