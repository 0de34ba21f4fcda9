"""Templates and instantiated maps in the database, where every server finds them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
from psycopg import errors

from carto_like.server.accounts import Account
from carto_like.server.cache import Cache
from carto_like.server.maps.problems import MapProblem, bad
from carto_like.server.maps.tokens import content_hash
from carto_like.server.platform import Platform
from carto_like.server.pool import Connection

# The longer a map is looked at the rarer its time is renewed.
_RENEWED_AFTER = 0.9
_FORGOTTEN_AT_ONCE = 50
_WARN_BELOW = 100


@dataclass(frozen=True)
class Template:
    """A stored template."""

    content: dict[str, Any] = field(repr=False)
    hash: str

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.content["name"])


@dataclass(frozen=True)
class Instance:
    """A stored map.

    Attributes:
        config: the effective configuration.
        auth: who may look at it with its owner's rights; None when nobody may.
        template: ``name`` and ``hash`` of the template it comes from.
        signed: indices of layers that are read with the owner's rights, whoever looks.
    """

    config: dict[str, Any] = field(repr=False)
    auth: dict[str, Any] | None = field(default=None, repr=False)
    template: dict[str, str] | None = None
    signed: tuple[int, ...] = ()

    @property
    def record(self) -> dict[str, Any]:
        """What is stored."""
        return {
            "config": self.config,
            "auth": self.auth,
            "template": self.template,
            "signed": list(self.signed),
        }


class MapStore:
    """What the database knows of maps; encrypted with the instance secret, bound to the account."""

    def __init__(self, platform: Platform) -> None:
        self._database = platform.database
        self._secrets = platform.secrets
        self._limits = platform.settings.limits
        self._instances: Cache[Instance] = Cache()

    async def names(self, account: Account) -> list[str]:
        """The names of all templates, in order."""
        async with self._database.metadata() as conn:
            cursor = await conn.execute(
                'SELECT name FROM carto_like.map_templates WHERE account_id = %s ORDER BY name COLLATE "C"',
                (account.id,),
            )
            return [row[0] for row in await cursor.fetchall()]

    async def templates(self, account: Account) -> list[Template]:
        """All templates, in the order of their names."""
        async with self._database.metadata() as conn:
            cursor = await conn.execute(
                "SELECT content, hash FROM carto_like.map_templates WHERE account_id = %s "
                'ORDER BY name COLLATE "C"',
                (account.id,),
            )
            rows = await cursor.fetchall()
        # They may be thousands.
        return await asyncio.to_thread(
            lambda: [Template(self._decrypted(content, account), digest) for content, digest in rows]
        )

    async def template(self, account: Account, name: str, missing: str) -> Template:
        """A template by its name, which may begin with ``user@``.

        Raises:
            Problem: 404 with ``missing``, in which ``{name}`` and ``{user}`` are replaced.
        """
        plain = plain_name(account, name)
        rows = await self._database.ask(
            "SELECT content, hash FROM carto_like.map_templates WHERE account_id = %s AND name = %s",
            (account.id, plain.replace("\0", "\ufffd")),
        )
        if not rows:
            raise MapProblem(404, missing.format(name=plain, user=account.name))
        return Template(self._decrypted(rows[0][0], account), rows[0][1])

    async def create(self, account: Account, template: dict[str, Any]) -> int | None:
        """Store a new template; answers how many more fit once fewer than 100 do, else None.

        Raises:
            Problem: 400 when its name is taken, 409 when there are too many.
        """
        name, most = template["name"], self._limits.map_templates
        async with self._database.metadata() as conn:
            # Of two that come at once, the second counts the first.
            await conn.execute("SELECT FROM carto_like.users WHERE id = %s FOR UPDATE", (account.id,))
            count = await _count(conn, account)
            if most and count >= most:
                text = f"User '{account.name}' reached limit on number of templates ({count}/{most})"
                raise MapProblem(409, text, kind="limit")
            try:
                await conn.execute(
                    "INSERT INTO carto_like.map_templates (account_id, name, content, hash) "
                    "VALUES (%s, %s, %s, %s)",
                    (account.id, name, self._encrypted(template, account), content_hash(template)),
                )
            except errors.UniqueViolation:
                raise bad(f"Template '{name}' of user '{account.name}' already exists") from None
        left = most - count - 1
        return left if most and left < _WARN_BELOW else None

    async def replace(self, account: Account, name: str, template: dict[str, Any]) -> None:
        """Store a template in place of the one with its name.

        Raises:
            Problem: 404 when there is none, 400 when it would get another name.
        """
        plain = plain_name(account, name)
        if template["name"] != plain:
            raise bad(f"Cannot update name of a map template ('{plain}' != '{template['name']}')")
        async with self._database.metadata() as conn:
            cursor = await conn.execute(
                "UPDATE carto_like.map_templates SET content = %s, hash = %s, updated_at = now() "
                "WHERE account_id = %s AND name = %s",
                (self._encrypted(template, account), content_hash(template), account.id, plain),
            )
        if not cursor.rowcount:
            raise _absent(account, plain)

    async def delete(self, account: Account, name: str) -> None:
        """Delete a template; raises the 404 when there is none."""
        plain = plain_name(account, name)
        async with self._database.metadata() as conn:
            cursor = await conn.execute(
                "DELETE FROM carto_like.map_templates WHERE account_id = %s AND name = %s",
                (account.id, plain.replace("\0", "\ufffd")),
            )
        if not cursor.rowcount:
            raise _absent(account, plain)

    async def keep(self, account: Account, map_id: str, instance: Instance) -> None:
        """Store a map for its time to live, and forget some whose time is over."""
        content = self._encrypted(instance.record, account)
        async with self._database.metadata() as conn:
            await conn.execute(
                "DELETE FROM carto_like.map_instances WHERE ctid = ANY (ARRAY(SELECT ctid "
                "FROM carto_like.map_instances WHERE expires_at < now() LIMIT %s FOR UPDATE SKIP LOCKED))",
                (_FORGOTTEN_AT_ONCE,),
            )
            await conn.execute(
                "INSERT INTO carto_like.map_instances (account_id, id, content, expires_at) "
                "VALUES (%s, %s, %s, now() + make_interval(secs => %s)) "
                "ON CONFLICT (account_id, id) DO UPDATE SET expires_at = excluded.expires_at",
                (account.id, map_id, content, self._limits.map_ttl),
            )

    async def instance(self, account: Account, map_id: str) -> Instance | None:
        """A stored map, whose time begins anew; None when there is none (any more)."""
        known = self._instances.get((account.id, map_id))
        if known is not None:
            return known
        rows = await self._database.ask(
            "SELECT content, expires_at < now() + make_interval(secs => %s) "
            "FROM carto_like.map_instances WHERE account_id = %s AND id = %s AND expires_at > now()",
            (self._limits.map_ttl * _RENEWED_AFTER, account.id, map_id),
        )
        if not rows:
            return None
        stored, is_old = rows[0]
        if is_old:
            async with self._database.metadata() as conn:
                await conn.execute(
                    "UPDATE carto_like.map_instances SET expires_at = now() + make_interval(secs => %s) "
                    "WHERE account_id = %s AND id = %s",
                    (self._limits.map_ttl, account.id, map_id),
                )
        found = Instance(**{**self._decrypted(stored, account)})
        found = Instance(found.config, found.auth, found.template, tuple(found.signed))
        self._instances.put((account.id, map_id), found)
        return found

    def _encrypted(self, value: Any, account: Account) -> bytes:
        return self._secrets.encrypt_token(orjson.dumps(value).decode(), account.id)

    def _decrypted(self, stored: bytes, account: Account) -> dict[str, Any]:
        value: dict[str, Any] = orjson.loads(self._secrets.decrypt_token(stored, account.id))
        return value


def plain_name(account: Account, name: str) -> str:
    """A template's name without the ``user@`` that it may be written with."""
    return name.removeprefix(f"{account.name}@")


async def _count(conn: Connection, account: Account) -> int:
    cursor = await conn.execute(
        "SELECT count(*) FROM carto_like.map_templates WHERE account_id = %s", (account.id,)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _absent(account: Account, name: str) -> MapProblem:
    return MapProblem(404, f"Template '{name}' of user '{account.name}' does not exist")
