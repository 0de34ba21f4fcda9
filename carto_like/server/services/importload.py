"""From the rows of a file to a dataset, in one transaction of the account's own role.

Rows go by COPY straight into the table that stays; points and their projection are generated columns
while it runs, and become ordinary ones afterwards, which costs nothing. Indexes are built once, at the end.
Geometry that comes as text of some kind takes a detour by a temporary table.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from psycopg import Error, sql

from carto_like.server.accounts import Account
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.reader import Rows, Table
from carto_like.server.pool import Connection
from carto_like.server.services.copy import copy_in

LOCK_WAIT = "10s"
"""How long to wait for a table that is in use, before the import fails."""

# What is none of the Earth's coordinates gives no point; a pole has no place on a web map.
_POINT = """CASE WHEN {lat} BETWEEN -90 AND 90 AND {lon} BETWEEN -180 AND 180
    THEN ST_SetSRID(ST_MakePoint({lon}, {lat}), 4326) END"""
_POINT_MERCATOR = """CASE WHEN {lat} BETWEEN -89 AND 89 AND {lon} BETWEEN -180 AND 180
    THEN ST_Transform(ST_SetSRID(ST_MakePoint({lon}, {lat}), 4326), 3857) END"""
_MERCATOR = "cartodb.CDB_TransformToWebmercator(the_geom)"

_PARSED = {
    "wkt": "btrim(the_geom)::geometry",
    "hex": "btrim(the_geom)::geometry",
    "geojson": "ST_GeomFromGeoJSON(the_geom)",
    "kml": "ST_GeomFromKML(the_geom)",
}
_CONVERT = """
INSERT INTO {table} ({columns}, the_geom, the_geom_webmercator)
SELECT {columns}, g, cartodb.CDB_TransformToWebmercator(g) FROM (
    SELECT *, CASE WHEN GeometryType(f) IN ('LINESTRING', 'POLYGON') THEN ST_Multi(f) ELSE f END AS g FROM (
        SELECT *, ST_Force2D(CASE ST_SRID(p) WHEN 4326 THEN p WHEN 0 THEN {assumed} ELSE ST_Transform(p, 4326)
                             END) AS f
        FROM (SELECT *, {parsed} AS p FROM {source} OFFSET 0) a OFFSET 0) b OFFSET 0) c
"""
# COPY takes rings of two points, and rings that are open. This way of reading does not: it raises an error.
_CHECKED = """
SELECT bool_or(GeometryType(the_geom) = 'GEOMETRYCOLLECTION'), count(ST_GeomFromWKB(ST_AsBinary(the_geom)))
FROM {} WHERE GeometryType(the_geom) NOT IN ('POINT', 'MULTIPOINT')
"""


class Loader:
    """Makes one dataset under a name of its own, in the transaction that the session is in.

    Attributes:
        stage: the name.
    """

    def __init__(self, session: Connection, account: Account, stage: str) -> None:
        self._session = session
        self._account = account
        self.stage = stage
        self._table = sql.Identifier(account.schema, stage)

    async def fill(self, reading: Rows, *, geometry_or_nothing: bool) -> None:
        """Make the table and bring in the rows.

        Args:
            reading: the rows.
            geometry_or_nothing: a geometry that cannot be read ends the import; otherwise it stays text.

        Raises:
            psycopg.Error: the database refuses the rows.
            ImportFailure: the file cannot be read to its end.
            WrongEncoding: the same, in this encoding.
        """
        table = reading.table
        if table.geometry is None or table.geometry[1] in ("wkb", "empty"):
            await self._fill_directly(reading)
        else:
            await self._fill_by_text(reading, table.geometry[1], geometry_or_nothing=geometry_or_nothing)
        if table.geometry is not None:
            cursor = await self._session.execute(sql.SQL(_CHECKED).format(self._table))
            row = await cursor.fetchone()
            if row is not None and row[0]:
                raise ImportFailure(codes.COLLECTIONS)

    async def finish(self) -> None:
        """Make a dataset of the table: key, sequence, indexes, triggers, statistics.

        Raises:
            psycopg.Error: the key is none, for one.
            ImportFailure: the account's quota is exceeded.
        """
        name = sql.Literal(self._table.as_string())
        schema = sql.Literal(self._account.schema)
        # One message, and no more of CDB_CartodbfyTable than a table made here needs: a small file's import
        # consists of little else.
        await self._session.execute(
            sql.SQL(
                "SELECT cartodb._CDB_CheckCartodbfy({schema}, {name}::regclass);"
                "ALTER TABLE {table} ADD PRIMARY KEY (cartodb_id);"
                "SELECT cartodb._CDB_GiveSequence({schema}, {stage}, {name}::regclass);"
                "SELECT cartodb._CDB_AddIndexes({name}::regclass);"
                "SELECT cartodb._CDB_AddTriggers({schema}, {name}::regclass);"
                "ANALYZE {table}"
            ).format(table=self._table, schema=schema, stage=sql.Literal(self.stage), name=name)
        )
        await self.check_quota()

    async def cartodbfy(self) -> None:
        """Make a dataset of a table of any shape."""
        await self._session.execute(
            "SELECT cartodb.CDB_CartodbfyTable(%s, %s::regclass)",
            (self._account.schema, self._table.as_string()),
        )

    async def check_quota(self) -> None:
        """See that what the account stores, this table included, is within its quota."""
        quota = self._account.quota_bytes
        if not quota:
            return
        # Tables that somebody has for himself cannot be measured.
        await self._session.execute("SELECT set_config('lock_timeout', %s, true)", (LOCK_WAIT,))
        cursor = await self._session.execute("SELECT cartodb.CDB_UserDataSize(%s)", (self._account.schema,))
        row = await cursor.fetchone()
        if row is not None and row[0] > quota:
            raise ImportFailure(codes.OVER_QUOTA, f"{row[0]} bytes would be stored, {quota} are allowed")

    async def _fill_directly(self, reading: Rows) -> None:
        table = reading.table
        lonlat: sql.Composable = sql.SQL("")
        mercator: sql.Composable = sql.SQL("")
        if table.point is not None:
            names = {"lat": sql.Identifier(table.point[0]), "lon": sql.Identifier(table.point[1])}
            lonlat, mercator = (_generated(text, **names) for text in (_POINT, _POINT_MERCATOR))
        elif table.geometry is not None:
            mercator = _generated(_MERCATOR)
        await self._create(_definitions(table), lonlat, mercator)
        # No session sees the table before the transaction ends, and then all of its rows.
        await self._copy(self._table, reading, sql.SQL(" WITH (FREEZE)"))
        generated = [("the_geom", lonlat), ("the_geom_webmercator", mercator)]
        drops = [f"ALTER COLUMN {name} DROP EXPRESSION" for name, kind in generated if kind.as_string()]
        if drops:
            await self._run(f"ALTER TABLE {{}} {', '.join(drops)}")

    async def _fill_by_text(self, reading: Rows, kind: str, *, geometry_or_nothing: bool) -> None:
        table = reading.table
        source = sql.Identifier("pg_temp", self.stage)
        definitions = _definitions(table)
        await self._session.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ({}, the_geom text) ON COMMIT DROP").format(
                source, sql.SQL(", ").join(definitions)
            )
        )
        await self._copy(source, reading, sql.SQL(""))
        columns = sql.SQL(", ").join(map(sql.Identifier, ["cartodb_id", *_others(table)]))
        convert = sql.SQL(_CONVERT).format(
            table=self._table,
            columns=columns,
            source=source,
            parsed=sql.SQL(_PARSED[kind]),
            assumed=sql.SQL(
                "ST_SetSRID(p, 4326)"
                if table.srid == 4326
                else f"ST_Transform(ST_SetSRID(p, {table.srid}), 4326)"
            ),
        )
        await self._create(definitions, sql.SQL(""), sql.SQL(""))
        try:
            async with self._session.transaction():
                await self._session.execute(convert)
        except Error as error:
            if geometry_or_nothing or self._session.closed or not _is_bad_geometry(error):
                raise
            await self._keep_as_text(source, columns)

    async def _keep_as_text(self, source: sql.Identifier, columns: sql.Composed) -> None:
        await self._run("ALTER TABLE {} ADD COLUMN invalid_the_geom text")
        await self._session.execute(
            sql.SQL("INSERT INTO {} ({columns}, invalid_the_geom) SELECT {columns}, the_geom FROM {}").format(
                self._table, source, columns=columns
            )
        )

    async def _create(
        self, definitions: list[sql.Composable], lonlat: sql.Composable, mercator: sql.Composable
    ) -> None:
        key, *others = definitions
        await self._session.execute(
            sql.SQL(
                "CREATE TABLE {} ({}, the_geom geometry(Geometry, 4326) {}, "
                "the_geom_webmercator geometry(Geometry, 3857) {}{})"
            ).format(
                self._table,
                key,
                lonlat,
                mercator,
                sql.SQL("").join(sql.SQL(", ") + definition for definition in others),
            )
        )

    async def _copy(self, into: sql.Composable, reading: Rows, options: sql.SQL) -> None:
        table = reading.table
        names = [name for name, _ in table.columns]
        if table.numbered:
            names.insert(0, "cartodb_id")
        statement = sql.SQL("COPY {} ({}) FROM STDIN{}").format(
            into, sql.SQL(", ").join(map(sql.Identifier, names)), options
        )
        async with aclosing(_closable(reading)) as blocks:
            await copy_in(self._session, statement.as_string(), blocks)

    async def _run(self, statement: str) -> None:
        await self._session.execute(sql.SQL(statement).format(self._table))


async def _closable(reading: Rows) -> AsyncGenerator[bytes, None]:
    async for block in reading.blocks():
        yield block


def _generated(text: str, **names: sql.Composable) -> sql.Composed:
    return sql.SQL("GENERATED ALWAYS AS ({}) STORED").format(sql.SQL(text).format(**names))


def _others(table: Table) -> list[str]:
    return [name for name, _ in table.columns if name not in ("cartodb_id", "the_geom")]


def _definitions(table: Table) -> list[sql.Composable]:
    """The columns that every kind of table has, the key first."""
    types = dict(table.columns)
    key = sql.SQL("cartodb_id {} NOT NULL").format(sql.SQL(types.get("cartodb_id", "integer")))
    others = [sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in _others(table)]
    return [key, *others]


def _is_bad_geometry(error: Error) -> bool:
    return (error.sqlstate or "").startswith(("XX", "22"))
