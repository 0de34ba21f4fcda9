"""IOTile Cloud for tests: a real server, on a database of its own, that is filled by short calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

from carto_like.pure.gids import joined_number
from carto_like.server.background import BackgroundServer
from carto_like.server.pool import Connection
from carto_like.server.services.iotile import devices, fleets, orgs, slugs
from carto_like.server.services.iotile.kinds import insert
from carto_like.server.services.iotile.recording import record

from . import beddata
from .bedrows import device_number, one, place_of, project_row, streamer_facts
from .mount import PREFIX

T = TypeVar("T")

_EMPTY = (
    "TRUNCATE carto_like.iotile_org, carto_like.iotile_device, carto_like.iotile_vartype, "
    "carto_like.iotile_catalog, carto_like.iotile_property, carto_like.iotile_stream_data, "
    "carto_like.iotile_stream_event RESTART IDENTITY CASCADE"
)
_ORG_ID = "SELECT id FROM carto_like.iotile_org WHERE slug = %s"
_SELECTOR = 0xFFFF


class IOTileCloud:
    """A server of IOTile Cloud; every account that is made here is an administrator of every organization.

    It unpacks into the address and itself: ``domain, cloud = iotile_cloud``.

    Args:
        server: that nobody else uses.

    Attributes:
        url: what clients take as their domain.
        stream_folder: where :meth:`add_data` looks for readings, in files named ``<slug of a stream>.json``.
    """

    def __init__(self, server: BackgroundServer) -> None:
        self.server = server
        self.url = f"{server.base_url.rstrip('/')}{PREFIX}"
        self.stream_folder: Path | None = None
        self._accounts: list[int] = []
        self._org: str | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.url, self))

    def reset(self) -> None:
        """Forget everything, accounts too."""
        users = self.server.app.platform.users
        for account in self._run(users.list()):
            self._run(users.delete(account))
        self._do(lambda connection: connection.execute(_EMPTY))
        self.server.app.iotile.site.accounts.forget()
        self._accounts, self._org, self.stream_folder = [], None, None

    def add_data(self, path: str | Path) -> None:
        """Add what a JSON file describes; see the page "IOTile Cloud".

        Raises:
            ValueError: it describes something that does not exist, or does not say enough about it.
        """
        description = json.loads(Path(path).read_text("utf-8"))
        beddata.add(self, description, self.stream_folder)

    def quick_add_user(self, email: str, password: str) -> str:
        """Make an account that logs in with this address and password; answers its user name."""
        name = f"u{uuid4().hex[:10]}"
        users = self.server.app.platform.users
        user = self._run(users.create(name, email=email))
        self._run(self.server.app.iotile.site.accounts.set_password(user.id, password))

        async def welcome(connection: Connection) -> int:
            account = await one(
                connection, "SELECT id FROM carto_like.iotile_account WHERE user_id = %s", user.id
            )
            cursor = await connection.execute("SELECT id FROM carto_like.iotile_org")
            for row in await cursor.fetchall():
                await orgs.join(connection, row[0], account, is_admin=True)
            return int(account)

        self._accounts.append(self._do(welcome))
        return name

    def quick_add_org(self, name: str, slug: str | None = None, **facts: Any) -> str:
        """Make an organization; answers its slug, which is made of its name when none is given."""
        slug = slug or orgs.slug_of(name)

        async def make(connection: Connection) -> None:
            values = {"name": name, "slug": slug, **facts}
            if self._accounts:
                values["created_by"] = self._accounts[0]
            org = await insert(connection, orgs.TABLE, values)
            for account in self._accounts:
                await orgs.join(connection, org, account, is_admin=True)

        self._do(make)
        self._org = slug
        return slug

    def quick_add_project(
        self,
        name: str | None = None,
        org_slug: str | None = None,
        *,
        gid: Any = None,
        id: Any = None,
        **facts: Any,
    ) -> tuple[str, str]:
        """Make a project; answers its UUID and its slug.

        Args:
            name: whatever name when none is given.
            org_slug: of its organization; by default the one that was made last, or a new one.
            gid: number or slug of the project; the next number when none is given.
            id: its UUID; a random one when none is given.
            **facts: further columns, such as ``about``.
        """
        values: dict[str, Any] = {"name": name or f"Project {uuid4().hex[:6]}", **facts}
        if gid is not None:
            values["gid"] = gid if isinstance(gid, int) else joined_number(gid.removeprefix("p--"), 32, "gid")
        if id is not None:
            values["id"] = UUID(str(id))
        org = org_slug or self._org or self.quick_add_org("Organization")

        async def make(connection: Connection) -> tuple[str, str]:
            values["org"] = await one(connection, _ORG_ID, org)
            made = await insert(connection, "iotile_project", values)
            query = "SELECT gid FROM carto_like.iotile_project WHERE id = %s"
            return str(made), slugs.project_slug(await one(connection, query, made))

        return self._do(make)

    def quick_add_device(
        self,
        project_id: str | None,
        device_id: Any = None,
        streamers: Iterable[Any] | None = None,
        **facts: Any,
    ) -> str:
        """Make a device; answers its slug.

        Args:
            project_id: UUID or slug of its project; None for a device that nobody has claimed.
            device_id: its number or slug; the next number when none is given.
            streamers: indexes of its streamers, or ``(index, last id)``, or mappings of what
                :meth:`quick_add_streamer` takes.
            **facts: further columns, such as ``label``, ``lat`` and ``lon``.
        """
        values = dict(facts)
        if device_id is not None:
            values["id"] = device_number(device_id)

        async def make(connection: Connection) -> int:
            if project_id is not None:
                values.update(await place_of(connection, project_id, self._accounts))
            return await devices.create(connection, values)

        slug = slugs.device_slug(self._do(make))
        for streamer in streamers or ():
            self.quick_add_streamer(slug, **streamer_facts(streamer))
        return slug

    def quick_add_streamer(
        self,
        device_id: Any,
        streamer_index: int,
        streamer_ack: int = 0,
        selector: int | None = None,
        **facts: Any,
    ) -> str:
        """Make a streamer that has acknowledged readings up to a number; answers its slug."""
        device = device_number(device_id)
        values = {
            "device": device,
            "index": streamer_index,
            "last_id": streamer_ack,
            "selector": _SELECTOR if selector is None else selector,
            **facts,
        }
        self._do(lambda connection: insert(connection, "iotile_streamer", values))
        return slugs.streamer_slug(device, streamer_index)

    def quick_add_variable(self, project_id: str, lid: int, name: str | None = None, **facts: Any) -> str:
        """Make a variable with a local number; answers its slug."""

        async def make(connection: Connection) -> int:
            project = await project_row(connection, project_id)
            key = slugs.make_variable_key(project["gid"], lid)
            values = {"variable": key, "project": project["id"], "name": name or f"Variable {lid:04x}"}
            await insert(connection, "iotile_variable", {**values, **facts})
            return key

        return slugs.variable_slug(self._do(make))

    def quick_add_stream(self, device_slug: str, variable_slug: str, **facts: Any) -> str:
        """Make the record of a stream of a device (or block) and a variable; answers its slug."""
        device, variable = slugs.device_key(device_slug), slugs.variable_key(variable_slug)
        if device is None or variable is None:
            raise ValueError(f"no stream is made of {device_slug!r} and {variable_slug!r}")

        async def make(connection: Connection) -> None:
            query = "SELECT id FROM carto_like.iotile_project WHERE gid = %s"
            project = await one(connection, query, slugs.project_of(variable))
            values = {"device": device, "variable": variable, "project": project, **facts}
            await insert(connection, "iotile_stream", values)

        self._do(make)
        return slugs.stream_slug(slugs.StreamKey(device, variable))

    def quick_add_points(self, stream_slug: str, points: Iterable[Mapping[str, Any]]) -> int:
        """Record readings of a stream, in the words that the API lists them in; answers how many.

        A stream whose variable there is gets its record.
        """
        key = slugs.stream_key(stream_slug)
        if key is None:
            raise ValueError(f"{stream_slug!r} is no stream")
        readings = [beddata.reading(key, point) for point in points]
        account = self._accounts[0] if self._accounts else None
        self._do(lambda connection: record(connection, readings, account))
        return len(readings)

    def quick_add_event(self, stream_slug: str, raw: Any = None, **facts: Any) -> int:
        """Record an event of a stream with the JSON that came with it, if any; answers its number."""
        values, content = beddata.event(stream_slug, raw, facts)

        async def make(connection: Connection) -> int:
            number = await insert(connection, "iotile_stream_event", values)
            if content is not None:
                chunk = {"event": number, "number": 0, "content": content}
                await insert(connection, "iotile_event_chunk", chunk, key="event")
            return int(number)

        return self._do(make)

    def quick_add_fleet(
        self,
        devices: Iterable[Any],
        is_network: bool = False,
        fleet_slug: str | None = None,
        org_slug: str | None = None,
        **facts: Any,
    ) -> str:
        """Make a fleet of devices, named by slug, number or ``(slug, always_on, is_access_point)``."""
        values: dict[str, Any] = {"name": f"Fleet {uuid4().hex[:6]}", "is_network": is_network, **facts}
        if fleet_slug is not None:
            values["id"] = joined_number(fleet_slug.removeprefix("g--"), 48, "a fleet")
        org = org_slug or self._org or self.quick_add_org("Organization")
        members = [device if isinstance(device, tuple) else (device, True, False) for device in devices]

        async def make(connection: Connection) -> int:
            owner = await one(connection, _ORG_ID, org)
            fleet = await insert(connection, fleets.FLEET_TABLE, {**values, "org": owner})
            for device, always_on, is_access_point in members:
                await fleets.add_devices(
                    connection,
                    fleet,
                    [device_number(device)],
                    always_on=always_on,
                    is_access_point=is_access_point,
                )
            return int(fleet)

        return slugs.fleet_slug(self._do(make))

    def quick_add_sg(self, slug: str = "sensor-graph", **data: Any) -> str:
        """Put a sensor graph into the catalogue; answers its slug."""
        return self._catalogue("sg", slug, data)

    def quick_add_dt(self, slug: str = "device-template", **data: Any) -> str:
        """Put a device template into the catalogue; answers its slug."""
        return self._catalogue("dt", slug, data)

    def org_id(self, slug: str) -> Any:
        """The UUID of an organization."""
        return self._do(lambda connection: one(connection, _ORG_ID, slug))

    def insert(self, table: str, values: Mapping[str, Any], *, key: str = "id") -> Any:
        """Write a row of what has no call of its own; answers its key."""
        return self._do(lambda connection: insert(connection, table, values, key=key))

    def _catalogue(self, kind: str, slug: str, data: Mapping[str, Any]) -> str:
        self.insert("iotile_catalog", {"kind": kind, "slug": slug, "data": {"name": slug, **data}})
        return slug

    def _do(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            async with self.server.app.platform.database.metadata() as connection:
                return await work(connection)

        return self._run(run())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.server.on_server(work)
