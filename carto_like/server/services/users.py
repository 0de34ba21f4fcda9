"""Users: who exists, with which roles and keys; made once, looked up with each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from psycopg import errors, sql
from psycopg.types.json import Jsonb

from carto_like.server.accounts import Account, Key, Membership
from carto_like.server.cache import Cache
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.migrations import clients_group
from carto_like.server.pool import Connection
from carto_like.server.secrets import Secrets, new_token, same
from carto_like.server.services.removal import remove_user
from carto_like.server.services.usernames import DEFAULT_TOKEN, check_name, check_token, is_name

ACCOUNTS = """
SELECT u.id, u.name, u.role, u.public_role, u.quota_bytes, u.details,
       o.id, o.name, w.name, o.owner_id = u.id, u.org_admin OR o.owner_id = u.id
FROM carto_like.users u
LEFT JOIN carto_like.organizations o ON o.id = u.organization_id
LEFT JOIN carto_like.users w ON w.id = o.owner_id
"""
"""Users, ``u``, as :func:`account_from` wants them."""

_CHANGE = """
UPDATE carto_like.users
SET email = coalesce(%(email)s, email), quota_bytes = coalesce(%(quota)s, quota_bytes),
    org_admin = coalesce(%(admin)s, org_admin), details = jsonb_strip_nulls(details || %(details)s),
    updated_at = now()
WHERE id = %(id)s
"""
_KEY = "SELECT user_id, name, type, role, apis, token_encrypted FROM carto_like.api_keys"

# The method named like the built-in type hides it from the annotations after it.
Accounts: TypeAlias = list[Account]
Keys: TypeAlias = list[Key]


@dataclass(frozen=True)
class Changes:
    """What shall become different about a user; None and what is absent stay as they are.

    Attributes:
        quota_bytes: 0 for unlimited.
        details: by the API's names; None removes one.
    """

    email: str | None = None
    quota_bytes: int | None = None
    org_admin: bool | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    """What a token turned out to be: a key of the account, or known to belong to another."""

    key: Key | None
    elsewhere: bool = False


class Users:
    """The accounts of one installation and their keys."""

    def __init__(self, database: Database, secrets: Secrets, *, default_quota: int = 0) -> None:
        self._default_quota = default_quota
        self._database = database
        self._secrets = secrets
        self._accounts: Cache[Account] = Cache()
        self._tokens: Cache[_Found] = Cache()

    def forget(self) -> None:
        """Drop what is remembered of accounts and keys; to be called after any of them changed."""
        self._accounts.clear()
        self._tokens.clear()

    async def create(
        self,
        name: str,
        *,
        api_key: str | None = None,
        quota_bytes: int | None = None,
        email: str | None = None,
    ) -> Account:
        """Make a user: two login roles, a schema, a master key and the key ``default_public``.

        Raises:
            Problem: 422 for a name that cannot be used, 409 for one that is taken.
        """
        async with self._database.metadata() as connection:
            account = await self.add(connection, name, api_key=api_key, quota_bytes=quota_bytes, email=email)
        self.forget()
        return account

    async def add(
        self,
        connection: Connection,
        name: str,
        *,
        api_key: str | None = None,
        quota_bytes: int | None = None,
        email: str | None = None,
    ) -> Account:
        """:meth:`create` within a transaction that does more."""
        quota = self._default_quota if quota_bytes is None else quota_bytes
        check_name(name)
        if api_key is not None:
            check_token(api_key)
        token = api_key or new_token()
        try:
            async with connection.transaction():
                account = await self._insert(connection, name, quota, email)
                await self._make_roles(connection, account)
                await _make_schema(connection, account)
                await self._add_key(connection, account, "Master", "master", account.role, token)
                await self._add_key(
                    connection, account, "Default public", "default", account.public_role, DEFAULT_TOKEN
                )
        except (errors.UniqueViolation, errors.DuplicateSchema, errors.DuplicateObject):
            raise Problem(409, f"There is already a user or schema named '{name}'.") from None
        return account

    async def change(self, account: Account, changes: Changes) -> Account:
        """Change what is given, and answer the account as it is then.

        Raises:
            Problem: 404, the user is gone.
        """
        async with self._database.metadata() as connection:
            account = await self.apply(connection, account, changes)
        self.forget()
        return account

    async def apply(self, connection: Connection, account: Account, changes: Changes) -> Account:
        """:meth:`change` within a transaction that does more."""
        values = {
            "id": account.id,
            "email": changes.email,
            "quota": changes.quota_bytes,
            "admin": changes.org_admin,
            "details": Jsonb(dict(changes.details)),
        }
        await connection.execute(_CHANGE, values)
        row = await (await connection.execute(f"{ACCOUNTS} WHERE u.id = %s", (account.id,))).fetchone()
        if row is None:
            raise Problem(404, f"There is no user '{account.name}'.")
        if changes.quota_bytes is not None:
            await _set_quota(connection, account.schema, changes.quota_bytes)
        return account_from(row)

    async def delete(self, account: Account) -> None:
        """Delete a user with all that is his; his running queries end.

        Raises:
            Problem: 404, he is gone already; 409, he owns an organization that others are in; 503, somebody
                else holds on to one of his tables.
        """
        await remove_user(self._database, account)
        self.forget()

    async def get(self, name: str) -> Account | None:
        """The account of a user, None when there is no such user."""
        account = self._accounts.get(name)
        if account is None and (account := await self._load(name)) is not None:
            self._accounts.put(name, account)
        return account

    async def list(self) -> Accounts:
        """All accounts, by name."""
        async with self._database.metadata() as connection:
            cursor = await connection.execute(f"{ACCOUNTS} ORDER BY u.name")
            return [account_from(row) for row in await cursor.fetchall()]

    async def key_for_token(self, account: Account, token: str) -> Key | None:
        """The account's key with a token, None when nobody has it.

        Raises:
            Problem: 403 ``Forbidden`` when the token is another account's.
        """
        found = await self._find(account, token)
        if found.elsewhere:
            raise Problem(403, "Forbidden")
        return found.key

    async def default_key(self, account: Account) -> Key:
        """The key that a request without one uses."""
        key = (await self._find(account, DEFAULT_TOKEN)).key
        if key is None:
            raise Problem(401, "Unauthorized")
        return key

    async def keys(self, account: Account) -> Keys:
        """The account's keys with their tokens in clear; master first, then default, then by name."""
        query = f"{_KEY} WHERE user_id = %s ORDER BY array_position('{{master,default,regular}}', type), name"
        async with self._database.metadata() as connection:
            cursor = await connection.execute(query, (account.id,))
            return [self._key(row) for row in await cursor.fetchall()]

    async def _load(self, name: str) -> Account | None:
        if not is_name(name):
            return None
        rows = await self._database.ask(f"{ACCOUNTS} WHERE u.name = %s", (name,))
        return account_from(rows[0]) if rows else None

    async def _find(self, account: Account, token: str) -> _Found:
        index = self._secrets.token_index(token)
        found = self._tokens.get((account.id, index))
        if found is None:
            found = await self._find_stored(account, index)
            self._tokens.put((account.id, index), found)
        # The index says where to look; whether the token is right is decided here, in constant time.
        if found.key is not None and not same(found.key.token, token):
            return _Found(None)
        return found

    async def _find_stored(self, account: Account, index: bytes) -> _Found:
        query = f"{_KEY} WHERE token_index = %s ORDER BY user_id = %s DESC LIMIT 1"
        rows = await self._database.ask(query, (index, account.id))
        if not rows:
            return _Found(None)
        row = rows[0]
        return _Found(self._key(row)) if row[0] == account.id else _Found(None, elsewhere=True)

    def _key(self, row: tuple[Any, ...]) -> Key:
        owner, name, kind, role, apis, stored = row
        token = self._secrets.decrypt_token(bytes(stored), owner)
        return Key(name, kind, role, frozenset(apis), token)

    async def _insert(self, connection: Connection, name: str, quota: int, email: str | None) -> Account:
        row = await (
            await connection.execute(
                "INSERT INTO carto_like.users (name, role, public_role, quota_bytes, email) "
                "SELECT %(name)s, format('cl%%s_%%s', id, %(name)s::text), "
                "       format('cl%%s_%%s_pub', id, %(name)s::text), %(quota)s, %(email)s "
                "FROM carto_like.installation RETURNING id, name, role, public_role, quota_bytes",
                {"name": name, "quota": quota, "email": email},
            )
        ).fetchone()
        if row is None:
            raise RuntimeError("the database has no installation row: it was not migrated")
        return Account(*row)

    async def _make_roles(self, connection: Connection, account: Account) -> None:
        installation = await (await connection.execute("SELECT id FROM carto_like.installation")).fetchone()
        group = clients_group(installation[0] if installation else "")
        for role, groups in ((account.role, [group]), (account.public_role, [group, "publicuser"])):
            await self.make_role(connection, role, groups)

    async def make_role(self, connection: Connection, role: str, groups: Sequence[str]) -> None:
        """Make a login role that the platform can log in as, act for and end sessions of."""
        statement = sql.SQL(
            "CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION "
            "PASSWORD {verifier} IN ROLE {groups}"
        )
        names = {
            "role": sql.Identifier(role),
            "verifier": sql.Literal(self._secrets.scram_verifier(role)),
            "groups": sql.SQL(", ").join(map(sql.Identifier, groups)),
        }
        await connection.execute(statement.format(**names))
        await connection.execute(sql.SQL("GRANT {role} TO CURRENT_USER").format(**names))

    async def _add_key(
        self, connection: Connection, account: Account, name: str, kind: str, role: str, token: str
    ) -> None:
        await connection.execute(
            "INSERT INTO carto_like.api_keys (user_id, name, type, role, token_index, token_encrypted) "
            "VALUES (%s, %s, %s, %s, %s, %s)",
            (
                account.id,
                name,
                kind,
                role,
                self._secrets.token_index(token),
                self._secrets.encrypt_token(token, account.id),
            ),
        )


def account_from(row: Sequence[Any]) -> Account:
    """The account in a row of :data:`ACCOUNTS`."""
    own, shared = row[:6], row[6:]
    return replace(Account(*own), membership=None if shared[0] is None else Membership(*shared))


async def _make_schema(connection: Connection, account: Account) -> None:
    names = {
        "schema": sql.Identifier(account.schema),
        "role": sql.Identifier(account.role),
        "public_role": sql.Identifier(account.public_role),
    }
    await connection.execute(sql.SQL("CREATE SCHEMA {schema} AUTHORIZATION {role}").format(**names))
    await connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {public_role}").format(**names))
    await _set_quota(connection, account.schema, account.quota_bytes)


async def _set_quota(connection: Connection, schema: str, quota_bytes: int) -> None:
    await connection.execute(
        "SELECT cartodb.CDB_SetUserQuotaInBytes(%s::text, %s::bigint)", (schema, quota_bytes)
    )
