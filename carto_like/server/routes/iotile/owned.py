"""What belongs to an organization: made, changed and deleted by its administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from carto_like.server.iotile.call import Call, answer, no_content
from carto_like.server.iotile.fields import Field, read, text
from carto_like.server.iotile.parameters import object_of
from carto_like.server.pool import Connection
from carto_like.server.routes.iotile.found import named_org
from carto_like.server.services.iotile.kinds import Kind, Record, delete, insert, update

_ORG = {"org": Field(text(blank=False), required=True)}


async def _nothing(connection: Connection, record: Record) -> None:
    """Nothing stands against a deletion."""


@dataclass(frozen=True)
class Owned:
    """Things of a kind, of which each is one organization's.

    Attributes:
        kind: how they are read.
        table: where they are.
        key: the column of their identity, as ``kind`` has it.
        fields: what may be said about one.
        shape: how one is told.
        find: the one that the path names; raises 404.
        before_deletion: raises for one that must stay.
    """

    kind: Kind
    table: str
    key: str
    fields: Mapping[str, Field]
    shape: Callable[[Record], Any]
    find: Callable[[Call, Connection], Awaitable[Record]]
    before_deletion: Callable[[Connection, Record], Awaitable[None]] = _nothing

    async def make(self, call: Call) -> Response:
        """Make one in an organization that the account administers."""
        values = read(await object_of(call.request), {**self.fields, **_ORG})
        async with call.platform.database.metadata() as connection:
            org = await named_org(call, connection, values["org"])
            await call.require_admin(connection, org["id"])
            values |= {"org": org["id"], "created_by": call.person.id}
            identity = await insert(connection, self.table, values)
            where = call.where().add(f"{self.key} = %(id)s", id=identity)
            made = await call.find(connection, self.kind, where)
        return answer(self.shape(made), 201)

    async def one(self, call: Call) -> Response:
        """Read, change or delete one."""
        async with call.platform.database.metadata() as connection:
            found = await self.find(call, connection)
            if call.method == "GET":
                return answer(self.shape(found))
            await call.require_admin(connection, found["org_id"])
            if call.method == "DELETE":
                await self.before_deletion(connection, found)
                await delete(connection, self.table, found["id"])
                return no_content()
            values = read(await object_of(call.request), self.fields, partial=True)
            await update(connection, self.table, found["id"], values)
        return answer(self.shape({**found, **values}))
