"""Accounts: the platform's users as IOTile Cloud knows them, and how they prove who they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import anyio
import anyio.to_thread

from carto_like.server.cache import Cache
from carto_like.server.db import Database
from carto_like.server.errors import Problem
from carto_like.server.pool import Connection
from carto_like.server.secrets import Secrets, new_token, same

from .passwords import hashed, matches, nobodys
from .tokens import Claims, TokenError, Tokens, is_renewable

_ACCOUNT = """
SELECT a.id, a.user_id, u.name, coalesce(u.email, ''), a.name, a.tagline, a.is_staff, a.generation,
       u.created_at, greatest(u.updated_at, a.updated_at), a.password, k.token_encrypted
FROM carto_like.iotile_account a
JOIN carto_like.users u ON u.id = a.user_id
JOIN carto_like.api_keys k ON k.user_id = u.id AND k.type = 'master'
"""
_OWN_COLUMNS = 10
# Addresses are not unique on this platform: the password decides among those who share one.
_MOST_NAMESAKES = 5
_SHORTEST_PASSWORD = 8
_LONGEST_PASSWORD = 1000


@dataclass(frozen=True)
class Person:
    """An account.

    Attributes:
        id: the number that the API knows it by.
        user_id: the platform's user.
        username: name of that user, which is the account's slug, too.
        generation: that its signed tokens must have.
    """

    id: int
    user_id: UUID
    username: str
    email: str
    name: str
    tagline: str
    is_staff: bool
    generation: int
    created_at: datetime
    updated_at: datetime


class Accounts:
    """The accounts of an installation, and their logins."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self._database = database
        self._secrets = secrets
        self._tokens = Tokens(secrets.derive("iotile jwt"))
        self._pepper = secrets.derive("iotile password")
        # What unknown names are compared with, so that they take as long as known ones.
        self._nobody = nobodys()
        self._people: Cache[Person] = Cache()
        self._by_token: Cache[Person] = Cache()
        self._stretching = anyio.CapacityLimiter(2)

    async def log_in(self, name: str, password: str) -> Person | None:
        """The account with this address or user name and this password; None when there is none.

        The password is the account's own, where one was set, or the user's master key.
        """
        async with self._database.metadata() as connection:
            cursor = await connection.execute(
                f"{_ACCOUNT} WHERE u.name = %(name)s OR lower(u.email) = lower(%(name)s) "
                f"ORDER BY u.name <> %(name)s, a.id LIMIT {_MOST_NAMESAKES}",
                {"name": name},
            )
            rows = await cursor.fetchall()
        found = None
        for row in rows:
            person, stored, key = _person(row), row[-2], row[-1]
            token = self._secrets.decrypt_token(bytes(key), person.user_id)
            right = same(token, password)
            if await self._is_password(password, stored or self._nobody) or right:
                found = found or person
        if not rows:
            await self._is_password(password, self._nobody)
        return found

    async def set_password(self, user_id: UUID, password: str) -> None:
        """Set the password of a user's account; tokens of both kinds that were issued before are void.

        Raises:
            Problem: 422, it is too short or too long.
        """
        if not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            raise Problem(
                422,
                f"A password has {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters.",
            )
        stored = await anyio.to_thread.run_sync(hashed, password, self._pepper, limiter=self._stretching)
        async with self._database.metadata() as connection:
            await connection.execute(
                "UPDATE carto_like.iotile_account SET password = %s, generation = generation + 1, "
                "updated_at = now() WHERE user_id = %s",
                (stored, user_id),
            )
            # There is no other way to be rid of a permanent token that somebody else has got hold of.
            await connection.execute(
                "DELETE FROM carto_like.iotile_api_token k USING carto_like.iotile_account a "
                "WHERE a.id = k.account AND a.user_id = %s",
                (user_id,),
            )
        self.forget()

    async def set_staff(self, user_id: UUID, is_staff: bool) -> None:
        """Say whether a user's account keeps the catalogues."""
        async with self._database.metadata() as connection:
            await connection.execute(
                "UPDATE carto_like.iotile_account SET is_staff = %s, updated_at = now() WHERE user_id = %s",
                (is_staff, user_id),
            )
        self.forget()

    def forget(self) -> None:
        """Drop what is remembered; to be called after an account changed."""
        self._people.clear()
        self._by_token.clear()

    # Signed tokens

    def signed_token(self, person: Person, *, logged_in: int | None = None) -> str:
        """A signed token, of a login now or at another moment (seconds since 1970)."""
        claims = Claims(person.id, person.generation, int(time.time()) if logged_in is None else logged_in)
        return self._tokens.issue(claims, username=person.username, email=person.email)

    async def by_signed_token(self, token: str) -> Person:
        """The account that a signed token is of.

        Raises:
            TokenError: the token is not good.
        """
        return (await self._read(token))[0]

    async def renewed(self, token: str) -> str:
        """A token that expires later than this one, from which it is.

        Raises:
            TokenError: the token is not good, or its login too long ago.
        """
        person, claims = await self._read(token)
        if not is_renewable(claims):
            raise TokenError("Refresh has expired.")
        return self.signed_token(person, logged_in=claims.logged_in)

    async def _read(self, token: str) -> tuple[Person, Claims]:
        claims = self._tokens.read(token)
        person = self._people.get(claims.account)
        # A token of a later generation than we remember is of a login after another server's change.
        if person is None or person.generation < claims.generation:
            person = await self._find("a.id = %s", claims.account)
            if person is not None:
                self._people.put(claims.account, person)
        if person is None or person.generation != claims.generation:
            raise TokenError("User account is disabled or its password was changed.")
        return person, claims

    # Permanent tokens

    async def permanent_token(self, person: Person) -> str:
        """The account's permanent token, made when there is none yet."""
        token = new_token()
        values = (
            person.id,
            self._secrets.token_index(token),
            self._secrets.encrypt_token(token, person.user_id),
        )
        async with self._database.metadata() as connection:
            await connection.execute(
                "INSERT INTO carto_like.iotile_api_token (account, token_index, token_encrypted) "
                "VALUES (%s, %s, %s) ON CONFLICT (account) DO NOTHING",
                values,
            )
            cursor = await connection.execute(
                "SELECT token_encrypted FROM carto_like.iotile_api_token WHERE account = %s", (person.id,)
            )
            row = await cursor.fetchone()
        if row is None:
            raise Problem(404, "The account is gone.")
        return self._secrets.decrypt_token(bytes(row[0]), person.user_id)

    async def by_permanent_token(self, token: str) -> Person | None:
        """The account that has a permanent token, None when nobody has it."""
        index = self._secrets.token_index(token)
        person = self._by_token.get(index)
        if person is None:
            condition = "a.id = (SELECT account FROM carto_like.iotile_api_token WHERE token_index = %s)"
            person = await self._find(condition, index)
            if person is None:
                return None
            self._by_token.put(index, person)
        # The index is a keyed hash of all of the token: nobody finds a row by a part of one.
        return person

    # What accounts say about themselves

    async def get(self, account: int) -> Person | None:
        """The account of a number."""
        return await self._find("a.id = %s", account)

    async def named(self, connection: Connection, name: str) -> Person | None:
        """The account of a user name, or else of an address that only one has."""
        cursor = await connection.execute(
            f"{_ACCOUNT} WHERE u.name = %(name)s OR lower(u.email) = lower(%(name)s) "
            "ORDER BY u.name <> %(name)s LIMIT 2",
            {"name": name},
        )
        people = [_person(row) for row in await cursor.fetchall()]
        if not people or (len(people) > 1 and people[0].username != name):
            return None
        return people[0]

    async def describe(self, person: Person, *, name: str | None, tagline: str | None) -> Person:
        """Change what an account says about itself; None leaves it as it is."""
        values = {"id": person.id, "name": name, "tagline": tagline}
        async with self._database.metadata() as connection:
            await connection.execute(
                "UPDATE carto_like.iotile_account SET name = coalesce(%(name)s, name), "
                "tagline = coalesce(%(tagline)s, tagline), updated_at = now() WHERE id = %(id)s",
                values,
            )
        self.forget()
        return await self.get(person.id) or replace(
            person, name=name or person.name, tagline=tagline or person.tagline
        )

    async def _find(self, condition: str, value: Any) -> Person | None:
        async with self._database.metadata() as connection:
            row = await (await connection.execute(f"{_ACCOUNT} WHERE {condition}", (value,))).fetchone()
        return None if row is None else _person(row)

    async def _is_password(self, password: str, stored: str) -> bool:
        return await anyio.to_thread.run_sync(
            matches, password, stored, self._pepper, limiter=self._stretching
        )


def _person(row: tuple[Any, ...]) -> Person:
    return Person(*row[:_OWN_COLUMNS])
