from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from carto_like.server.accounts import Account
from carto_like.server.errors import Problem
from carto_like.server.ratelimit import judge, limit
from carto_like.server.settings import RateLimit
from tests.conftest import MakeServer
from tests.support.api import Api, make_account
from tests.support.server import RunningServer

ONE_PER_SECOND = RateLimit(burst=1, count=1, period=1.0)


def test_burst_refusal_and_refill() -> None:
    first = judge(ONE_PER_SECOND, 0.0, 100.0)
    assert (first.limit, first.remaining, first.retry_after) == (2, 1, None)
    second = judge(ONE_PER_SECOND, first.due, 100.0)
    assert (second.remaining, second.reset, second.retry_after) == (0, 2.0, None)
    third = judge(ONE_PER_SECOND, second.due, 100.25)
    assert third.retry_after == pytest.approx(0.75)
    assert third.headers == {
        "Carto-Rate-Limit-Limit": "2",
        "Carto-Rate-Limit-Remaining": "0",
        "Carto-Rate-Limit-Reset": "2",
        "Retry-After": "1",
    }
    fourth = judge(ONE_PER_SECOND, third.due, 101.0)
    assert (fourth.remaining, fourth.retry_after) == (0, None)
    assert "Retry-After" not in fourth.headers


def test_a_long_rest_fills_no_more_than_the_burst() -> None:
    verdict = judge(RateLimit(burst=3, count=1, period=60.0), 0.0, 1e9)
    assert (verdict.limit, verdict.remaining, verdict.reset) == (4, 3, 60.0)


def ask(server: RunningServer, account: Account, group: str = "query") -> dict[str, str]:
    return server.on_server(limit(server.app.platform, account, group))


def test_without_a_limit_there_are_no_headers(platform_server: RunningServer) -> None:
    assert ask(platform_server, make_account(platform_server).account) == {}


def test_two_servers_share_one_count(make_server: MakeServer) -> None:
    hourly = {"query": (RateLimit(burst=1, count=1, period=3600.0),)}
    one, two = make_server(rate_limits=hourly), make_server(rate_limits=hourly)
    account = make_account(one).account
    assert ask(one, account)["Carto-Rate-Limit-Remaining"] == "1"
    assert ask(two, account)["Carto-Rate-Limit-Remaining"] == "0"
    for server in (one, two):
        with pytest.raises(Problem, match="You are over platform's limits") as caught:
            ask(server, account)
        assert caught.value.status == 429
        assert (caught.value.context, caught.value.detail) == ("limit", "rate-limit")
        assert 3590 <= int(caught.value.headers["Retry-After"]) <= 3600
    assert ask(two, make_account(one).account)["Carto-Rate-Limit-Remaining"] == "1"
    assert ask(two, account, "copy_from") == {}


def test_of_several_limits_the_strictest_speaks_and_refusals_cost_nothing(
    make_server: MakeServer, admin: psycopg.Connection[Any]
) -> None:
    limits = (RateLimit(burst=9, count=1, period=3600.0), RateLimit(burst=0, count=1, period=1800.0))
    server = make_server(rate_limits={"query": limits})
    account = make_account(server).account
    assert ask(server, account)["Carto-Rate-Limit-Limit"] == "1"
    for _ in range(3):
        with pytest.raises(Problem) as caught:
            ask(server, account)
        assert caught.value.headers["Carto-Rate-Limit-Limit"] == "1"
    query = "SELECT due - extract(epoch FROM now()) < 3600 FROM carto_like.rate_limits WHERE account_id = %s"
    assert admin.execute(query, (account.id,)).fetchall() == [(True,), (True,)]


def test_requests_at_the_same_moment_are_counted_one_by_one(make_server: MakeServer) -> None:
    server = make_server(rate_limits={"query": (RateLimit(burst=4, count=1, period=3600.0),)})
    account = make_account(server).account

    def passes(_: int) -> bool:
        try:
            ask(server, account)
        except Problem:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(passes, range(20))) == 5


def test_every_endpoint_of_the_sql_api_counts_for_itself(make_server: MakeServer) -> None:
    hourly = (RateLimit(burst=1, count=1, period=3600.0),)
    server = make_server(rate_limits={"query": hourly, "copy_from": hourly, "copy_to": hourly})
    account = make_account(server)
    api = Api(account.base_url, account.api_key)
    asked = {
        "api/v2/sql": {"q": "SELECT 1 AS one"},
        "api/v2/sql/copyto": {"q": "COPY (SELECT 1) TO STDOUT"},
        "api/v2/sql/copyfrom": {"q": "COPY t FROM STDIN"},
    }
    assert api.sql("CREATE TABLE t (i int)").headers["Carto-Rate-Limit-Remaining"] == "1"
    for path, params in asked.items():
        method = api.post if path.endswith("from") else api.get
        for _ in range(2):
            answer = method(path, params=params, data=b"1\n" if path.endswith("from") else None)
        assert answer.headers["Carto-Rate-Limit-Limit"] == "2"
        # Refused before the key is looked at, so a wrong one is not told that it is wrong.
        last = method(path, params={**params, "api_key": "wrong"})
        assert last.status_code == 429
        assert last.json() == {
            "error": ["You are over platform's limits. Please contact us to know more details"],
            "context": "limit",
            "detail": "rate-limit",
        }
        assert last.headers["Carto-Rate-Limit-Remaining"] == "0"
        assert int(last.headers["Retry-After"]) > 3000
