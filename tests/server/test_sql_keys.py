"""What each kind of API key may do by SQL."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.support.api import Api, TestAccount
from tests.support.server import RunningServer

SQL = "api/v2/sql"


@pytest.fixture
def regular_keys(platform_server: RunningServer, account: TestAccount, api: Api) -> tuple[str, str]:
    """The tokens of two regular keys: the first may read the table t1, the second nothing of its own."""
    users, database = platform_server.app.platform.users, platform_server.app.platform.database
    tokens = uuid4().hex, uuid4().hex
    roles = [f"{account.role}_k_{token[:8]}" for token in tokens]

    async def make() -> None:
        async with database.metadata() as connection:
            for role, token in zip(roles, tokens, strict=True):
                await users.make_role(connection, role, [account.public_role])
                await users._add_key(connection, account.account, role, "regular", role, token)
        users.forget()

    platform_server.on_server(make())
    made = api.sql(
        f'CREATE TABLE t1 (a int); INSERT INTO t1 VALUES (1); GRANT SELECT ON t1 TO "{roles[0]}";'
        "CREATE TABLE seen (b int); GRANT SELECT ON seen TO publicuser"
    )
    assert made.status_code == 200, made.text
    return tokens


@pytest.mark.parametrize("basic", [False, True])
def test_a_regular_key_reads_what_it_was_granted(
    api: Api, account: TestAccount, regular_keys: tuple[str, str], basic: bool
) -> None:
    answers = []
    for token in regular_keys:
        client = api.anonymous if basic else api.with_key(token)
        auth = (account.name, token) if basic else None
        answers.append(client.get(SQL, params={"q": "SELECT * FROM t1"}, auth=auth))
    allowed, refused = answers
    assert (allowed.status_code, allowed.json()["rows"]) == (200, [{"a": 1}])
    assert (refused.status_code, refused.json()) == (403, {"error": ["permission denied for table t1"]})


def test_a_regular_key_does_no_more_than_that(api: Api, regular_keys: tuple[str, str]) -> None:
    for token in regular_keys:
        client = api.with_key(token)
        assert client.sql("SELECT * FROM seen").status_code == 200
        assert client.sql("INSERT INTO t1 VALUES (2)").status_code == 403
        assert client.sql("SELECT * FROM pg_class").json() == {"error": ["system tables are forbidden"]}
        assert client.sql("DROP TABLE seen").json() == {"error": ["must be owner of table seen"]}
    assert api.sql("SELECT count(*) AS n FROM t1").json()["rows"] == [{"n": 1}]
