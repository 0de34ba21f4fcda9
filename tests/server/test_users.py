from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from carto_like.server.errors import Problem, StartError
from carto_like.server.migrations import migrate, migration_files
from carto_like.server.secrets import Secrets
from carto_like.server.services.users import Users
from carto_like.server.settings import Settings
from tests.conftest import MakeServer
from tests.support.api import TestAccount, make_account
from tests.support.server import SECRET, RunningServer


@pytest.fixture
def users(platform_server: RunningServer) -> Users:
    return platform_server.app.platform.users


def test_a_user_owns_a_schema_that_only_his_roles_enter(
    account: TestAccount, platform_server: RunningServer, admin: psycopg.Connection[Any]
) -> None:
    other = make_account(platform_server)
    query = "SELECT has_schema_privilege(%s, %s, 'USAGE'), has_schema_privilege(%s, %s, 'CREATE')"
    expected = {
        account.role: (True, True),
        account.public_role: (True, False),
        "publicuser": (False, False),
        other.role: (False, False),
        other.public_role: (False, False),
    }
    for role, rights in expected.items():
        assert admin.execute(query, (role, account.schema, role, account.schema)).fetchone() == rights


def test_roles_are_as_weak_as_roles_get(account: TestAccount, admin: psycopg.Connection[Any]) -> None:
    columns = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin"
    for role in (account.role, account.public_role):
        row = admin.execute(f"SELECT {columns} FROM pg_roles WHERE rolname = %s".encode(), (role,)).fetchone()
        assert row == (False, False, False, False, False, True)


def test_no_token_or_password_is_stored_in_clear(
    account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    rows = admin.execute("SELECT k::text FROM carto_like.api_keys k").fetchall()
    assert account.api_key not in str(rows)
    assert account.api_key.encode().hex() not in str(rows)
    row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (account.role,)).fetchone()
    assert row is not None
    assert row[0].startswith("SCRAM-SHA-256$")
    assert Secrets(SECRET).role_password(account.role) not in row[0]


IMPOSSIBLE_NAMES = [
    *(
        "",
        "Ana",
        "1ana",
        "ana.b",
        "ana b",
        'ana"',
        "ana/..",
        "..",
        "añá",
        "a" * 41,
        "pg_ana",
        "public",
        "none",
    ),
    *("cartodb", "carto_like", "publicuser", "information_schema", "ana_pub", "ana_k_1", "ana\n"),
]


@pytest.mark.parametrize("name", IMPOSSIBLE_NAMES)
def test_names_that_cannot_be(users: Users, platform_server: RunningServer, name: str) -> None:
    with pytest.raises(Problem, match="cannot be a user's name") as caught:
        platform_server.on_server(users.create(name))
    assert caught.value.status == 422
    assert platform_server.on_server(users.get(name)) is None


def test_a_taken_name_leaves_nothing_behind(
    users: Users, platform_server: RunningServer, account: TestAccount, admin: psycopg.Connection[Any]
) -> None:
    for name in (account.name, "a-schema"):
        admin.execute('CREATE SCHEMA IF NOT EXISTS "a-schema"')
        with pytest.raises(Problem, match="already a user or schema") as caught:
            platform_server.on_server(users.create(name))
        assert caught.value.status == 409
    assert admin.execute("SELECT FROM pg_roles WHERE rolname LIKE '%a-schema%'").fetchone() is None


@pytest.mark.parametrize("token", ["default_public", "short", "with space in it", "ünïcode-token"])
def test_tokens_that_cannot_be(users: Users, platform_server: RunningServer, token: str) -> None:
    with pytest.raises(Problem, match="An API key must have") as caught:
        platform_server.on_server(users.create("never", api_key=token))
    assert token not in str(caught.value) or token == "default_public"


def test_a_name_with_dashes_works(users: Users, platform_server: RunningServer) -> None:
    name = f"a-{uuid4().hex[:8]}-b"
    account = platform_server.on_server(users.create(name, api_key="a-key-of-my-own", quota_bytes=5))
    assert account.quota_bytes == 5
    assert platform_server.on_server(users.get(name)) == account
    assert account in platform_server.on_server(users.list())
    key = platform_server.on_server(users.key_for_token(account, "a-key-of-my-own"))
    assert key is not None
    assert (key.type, key.role) == ("master", account.role)


def test_what_another_server_changed_is_known_soon(
    users: Users, platform_server: RunningServer, make_server: MakeServer, account: TestAccount
) -> None:
    elsewhere = make_server()
    found = elsewhere.on_server(elsewhere.app.platform.users.key_for_token(account.account, account.api_key))
    assert found is not None
    assert found.role == account.role
    assert platform_server.on_server(users.get("nobody-yet-here")) is None
    made = elsewhere.on_server(elsewhere.app.platform.users.create(f"n-{uuid4().hex[:8]}"))
    assert platform_server.on_server(users.get(made.name)) == made


def test_migrating_again_changes_nothing(settings: Settings) -> None:
    assert asyncio.run(migrate(settings.dsn, Secrets(SECRET))) == []
    numbers = [number for number, _, _ in migration_files()]
    assert numbers == sorted(set(numbers))


def test_another_secret_is_refused(settings: Settings) -> None:
    other = replace(settings, secret=b"another secret, long enough to be one")
    with pytest.raises(StartError, match="another instance secret"):
        asyncio.run(migrate(other.dsn, Secrets(other.secret)))
