"""Datasets of an account: find, list, describe, rename, publish and drop them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from carto_like.server.accounts import Account
from carto_like.server.db import Database
from carto_like.server.services import figures
from carto_like.server.services.extents import Box, touching
from carto_like.server.services.registry import (
    DATASETS,
    Dataset,
    account_values,
    synchronise,
)

_BY_SQL = {
    "name": sql.SQL("name"),
    "updated_at": sql.SQL("updated_at"),
    "privacy": sql.SQL("privacy"),
    # Nobody has looked at a dataset, liked it or made a map of it yet: all are equal.
    "mapviews": sql.SQL("NULL::int"),
    "favorited": sql.SQL("NULL::int"),
    "dependent_visualizations": sql.SQL("NULL::int"),
}
ORDERS = (*_BY_SQL, "size", "estimated_row_count")
"""What a list can be ordered by."""

COMBINABLE_ORDERS = ("name", "updated_at", "favorited", "privacy", "dependent_visualizations")
"""What several orders can be made of."""

_DOCUMENT = """(setweight(to_tsvector('english', name), 'A')
    || setweight(to_tsvector('english', array_to_string(tags, ' ')), 'B')
    || setweight(to_tsvector('english', coalesce(description, '')), 'C'))"""


@dataclass(frozen=True)
class Search:
    """Which datasets are wanted; the default is all of them.

    Attributes:
        text: words in name, tags or description, or a part of name or description.
        tags: any of these.
        within: what the data must touch.
        nothing: true for criteria that no dataset can meet.
    """

    text: str = ""
    privacy: str | None = None
    tags: tuple[str, ...] = ()
    locked: bool | None = None
    with_display_name: bool = False
    within: Box | None = None
    nothing: bool = False


@dataclass(frozen=True)
class Page:
    """A part of a list: from ``1``, ``per_page`` items each, ordered by ``(order, descending)`` pairs."""

    number: int = 1
    per_page: int = 20
    orders: tuple[tuple[str, bool], ...] = (("updated_at", True),)


@dataclass(frozen=True)
class Listing:
    """What was found: one page of it, the number of all matches, and of all datasets and locked ones."""

    datasets: list[Dataset] = field(default_factory=list)
    matches: int = 0
    total: int = 0
    locked: int = 0


class Datasets:
    """Reads datasets; each call sees the tables as they are now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, account: Account, reference: str) -> Dataset | None:
        """The dataset with this id, name or ``schema.name``; None when there is none."""
        return await self._one(account, reference, "id")

    async def find_table(self, account: Account, reference: str) -> Dataset | None:
        """The dataset whose table has this id, name or ``schema.name``; None when there is none."""
        return await self._one(account, reference, "table_id")

    async def _one(self, account: Account, reference: str, column: str) -> Dataset | None:
        if "\0" in reference:
            return None
        names = [reference]
        if reference.startswith(f"{account.schema}."):
            names.append(reference.removeprefix(f"{account.schema}."))
        query = sql.SQL(
            "SELECT * FROM ({}) d WHERE {id}::text = ANY (%(ids)s) OR name = ANY (%(names)s)"
            " ORDER BY {id}::text = ANY (%(ids)s) DESC, name = %(reference)s DESC LIMIT 1"
        ).format(sql.SQL(DATASETS), id=sql.Identifier(column))
        values = {
            **account_values(account),
            "ids": [name.lower() for name in names],
            "names": names,
            "reference": reference,
        }
        async with self._database.metadata() as conn:
            await synchronise(conn, account)
            async with conn.cursor(row_factory=class_row(Dataset)) as cursor:
                return await (await cursor.execute(query, values)).fetchone()

    async def all(self, account: Account) -> list[Dataset]:
        """All datasets of the account, by name."""
        nothing_asked, values = _condition(Search(), None)
        values.update(account_values(account))
        async with self._database.metadata() as conn:
            await synchronise(conn, account)
            return await _select(conn, nothing_asked, values, sql.SQL("name"), None)

    async def search(self, account: Account, search: Search, page: Page) -> Listing:
        """One page of the datasets that meet ``search``, with exact totals."""
        within = None
        if search.within and not search.nothing:
            within = await touching(self._database, account, await self.all(account), search.within)
        condition, values = _condition(search, within)
        values.update(account_values(account))
        by_figures = not search.text and any(order not in _BY_SQL for order, _ in page.orders)
        order = _ranked() if search.text else sql.SQL("name") if by_figures else _ordered(page.orders)
        totals = sql.SQL(
            "SELECT count(*) FILTER (WHERE {}), count(*), count(*) FILTER (WHERE locked) FROM ({}) d"
        ).format(condition, sql.SQL(DATASETS))
        async with self._database.metadata() as conn:
            await synchronise(conn, account)
            counts = await (await conn.execute(totals, values)).fetchone() or (0, 0, 0)
            found = await _select(conn, condition, values, order, None if by_figures else page)
        if by_figures:
            found = await self._by_figures(account, found, page)
        return Listing(found, *counts)

    async def _by_figures(self, account: Account, found: Sequence[Dataset], page: Page) -> list[Dataset]:
        """A page of ``found`` in an order that the catalogs do not know."""
        order, descending = page.orders[0]
        key: Mapping[int, int]
        if order == "size":
            key = await figures.sizes_of(self._database, found)
        else:
            all_figures = await figures.figures_of(self._database, account, found)
            key = {oid: figure.row_count for oid, figure in all_figures.items()}
        ordered = sorted(found, key=lambda dataset: key.get(dataset.table_oid, 0), reverse=descending)
        start = (page.number - 1) * page.per_page
        return ordered[start : start + page.per_page]


async def _select(
    conn: AsyncConnection[Any],
    condition: sql.Composable,
    values: dict[str, Any],
    order: sql.Composable,
    page: Page | None,
) -> list[Dataset]:
    query = sql.SQL("SELECT * FROM ({}) d WHERE {} ORDER BY {}, name, id").format(
        sql.SQL(DATASETS), condition, order
    )
    if page:
        query += sql.SQL(" LIMIT {} OFFSET {}").format(page.per_page, (page.number - 1) * page.per_page)
    async with conn.cursor(row_factory=class_row(Dataset)) as cursor:
        return await (await cursor.execute(query, values)).fetchall()


def _condition(search: Search, within: list[int] | None) -> tuple[sql.Composable, dict[str, Any]]:
    parts: list[str] = ["NOT %(nothing)s"]
    values: dict[str, Any] = {"nothing": search.nothing}
    if search.text:
        parts.append(
            f"({_DOCUMENT} @@ plainto_tsquery('english', %(text)s)"
            " OR position(lower(%(text)s) IN lower(concat_ws(' ', name, description))) > 0)"
        )
        values["text"] = search.text
    if search.privacy is not None:
        parts.append("privacy = %(privacy)s")
        values["privacy"] = search.privacy
    if search.tags:
        parts.append("tags && %(tags)s")
        values["tags"] = list(search.tags)
    if search.locked is not None:
        parts.append("locked = %(locked)s")
        values["locked"] = search.locked
    if search.with_display_name:
        parts.append("display_name IS NOT NULL")
    if within is not None:
        parts.append("table_oid = ANY (%(within)s)")
        values["within"] = within
    return sql.SQL(" AND ").join(sql.SQL(part) for part in parts), values


def _ranked() -> sql.Composable:
    return sql.SQL(f"ts_rank({_DOCUMENT}, plainto_tsquery('english', %(text)s)) DESC, updated_at DESC")


def _ordered(orders: Sequence[tuple[str, bool]]) -> sql.Composable:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(_BY_SQL[order], sql.SQL("DESC" if descending else "ASC"))
        for order, descending in orders
    )
