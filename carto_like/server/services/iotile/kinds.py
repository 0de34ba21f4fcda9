"""Kinds of things, as they are read from the database, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from psycopg import sql
from psycopg.types.json import Jsonb

from carto_like.server.pool import Connection

Record: TypeAlias = dict[str, Any]

MINE = "(SELECT m.org FROM carto_like.iotile_org_member m WHERE m.account = %(me)s AND m.is_active)"
"""The organizations of the account ``me``, which sees what is theirs."""


class Where:
    """Conditions that are met together, with the values in them.

    Args:
        me: number of the account that asks.
    """

    def __init__(self, me: int) -> None:
        self.conditions: list[str] = []
        self.values: dict[str, Any] = {"me": me}

    def add(self, condition: str, **values: Any) -> Where:
        """One more condition; the names of its values are told from those of others."""
        for name, value in values.items():
            place = f"{name}_{len(self.values)}"
            condition = condition.replace(f"%({name})s", f"%({place})s")
            self.values[place] = value
        self.conditions.append(condition)
        return self

    def nothing(self) -> Where:
        """Conditions that nothing meets."""
        return self.add("false")


@dataclass(frozen=True)
class Kind:
    """A kind of things.

    Attributes:
        columns: what is read of each, by the names that the API has for it.
        source: the tables, after ``FROM``.
        keys: expressions that order a list of them, and tell each from the others.
        visible: which of them the account ``me`` may see.
    """

    columns: Mapping[str, str]
    source: str
    keys: tuple[str, ...]
    visible: str

    @property
    def selected(self) -> str:
        """The columns, as SQL."""
        return ", ".join(f'{expression} AS "{name}"' for name, expression in self.columns.items())

    def found(self, where: Where) -> str:
        """The tables and the condition, from ``FROM`` on."""
        conditions = " AND ".join(f"({condition})" for condition in (self.visible, *where.conditions))
        return f"FROM {self.source} WHERE {conditions}"

    def record(self, row: tuple[Any, ...]) -> Record:
        """What was read, by name."""
        return dict(zip(self.columns, row, strict=True))


async def find(connection: Connection, kind: Kind, where: Where) -> Record | None:
    """The thing that meets the conditions, None when there is none."""
    query = f"SELECT {kind.selected} {kind.found(where)} ORDER BY {', '.join(kind.keys)} LIMIT 1"
    row = await (await connection.execute(query, where.values)).fetchone()
    return None if row is None else kind.record(row)


async def insert(connection: Connection, table: str, values: Mapping[str, Any], *, key: str = "id") -> Any:
    """Write a new row; answers its key."""
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
        sql.Identifier("carto_like", table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Placeholder, values)),
        sql.Identifier(key),
    )
    row = await (await connection.execute(statement, _adapted(values))).fetchone()
    assert row is not None
    return row[0]


async def update(
    connection: Connection, table: str, identity: Any, values: Mapping[str, Any], *, key: str = "id"
) -> None:
    """Change columns of the row with a key; without values nothing is changed."""
    if not values:
        return
    assignments = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values]
    statement = sql.SQL("UPDATE {} SET {} WHERE {} = {}").format(
        sql.Identifier("carto_like", table),
        sql.SQL(", ").join(assignments),
        sql.Identifier(key),
        sql.Placeholder("row_identity"),
    )
    await connection.execute(statement, {**_adapted(values), "row_identity": identity})


async def delete(connection: Connection, table: str, identity: Any, *, key: str = "id") -> None:
    """Remove the row with a key."""
    statement = sql.SQL("DELETE FROM {} WHERE {} = %s").format(
        sql.Identifier("carto_like", table), sql.Identifier(key)
    )
    await connection.execute(statement, (identity,))


def _adapted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
