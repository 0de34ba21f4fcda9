"""Lists: pages by number, as old clients ask for them, and by a cursor that knows where the last one ended.

A page by number is counted from the list's beginning, so it takes the longer the deeper it is. The ``next``
of an answer carries a cursor besides, by which the database goes right to where the page begins; it carries
the count, too, which is then not taken again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.lowlevel
import orjson
from starlette.requests import Request

from carto_like.server.pool import Connection

from .problems import invalid_page

CHUNK = 250
"""Items that are worked on before others have their turn."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SIGNATURE = 16
_PLACE = ("page", "cursor")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Sizes:
    """How many items a page has without being asked, and at most."""

    usual: int
    most: int


SMALL = Sizes(100, 1000)
"""Most lists."""
MIDDLE = Sizes(1000, 10_000)
"""Devices, variables, data and events."""
LARGE = Sizes(5000, 20_000)
"""Streams, and the data of one."""


@dataclass(frozen=True)
class Position:
    """Where a page begins: after an item, of which the values that order the list are known.

    Attributes:
        count: how many items the list had when its first page was read.
        after: numbers, texts and moments, in the order of the list's keys.
    """

    count: int
    after: tuple[Any, ...]


@dataclass(frozen=True)
class Paging:
    """The page that is asked for.

    Attributes:
        number: of the page, from 1; None for the last one.
        position: where it begins, when a cursor says so.
    """

    number: int | None
    size: int
    position: Position | None = None

    @property
    def offset(self) -> int:
        """Items before the page; nothing to go by when there is a position."""
        return 0 if self.position is not None or self.number is None else (self.number - 1) * self.size


@dataclass(frozen=True)
class Listing:
    """A list in the database.

    Attributes:
        columns: what is read of each item, as SQL.
        source: the tables, with their joins and the condition that every item meets, as SQL from ``FROM`` on.
        values: for the placeholders in it.
        keys: expressions that order the list and tell every item from the others.
    """

    columns: str
    source: str
    values: Mapping[str, Any]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """A part of a list.

    Attributes:
        rows: as they were read, without the keys.
        count: items in the whole list.
        number: of the page.
        end: the keys of the last item when more follow, else None.
    """

    rows: list[tuple[Any, ...]]
    count: int
    number: int
    end: tuple[Any, ...] | None


class Cursors:
    """Positions as text that clients can keep but neither read nor make.

    Args:
        key: signs them.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def text(self, position: Position, name: str) -> str:
        """The text of a position in the list of a name."""
        content = orjson.dumps([position.count, *map(_plain, position.after)])
        return base64.urlsafe_b64encode(self._sign(content, name) + content).decode().rstrip("=")

    def position(self, text: str, name: str) -> Position:
        """The position that a text stands for.

        Raises:
            Refusal: 404 for a text that is not of this list.
        """
        try:
            raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise invalid_page() from None
        signature, content = raw[:_SIGNATURE], raw[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(content, name)):
            raise invalid_page()
        count, *after = orjson.loads(content)
        return Position(count, tuple(map(_rich, after)))

    def _sign(self, content: bytes, name: str) -> bytes:
        return hmac.new(self._key, name.encode() + b"\0" + content, hashlib.sha256).digest()[:_SIGNATURE]


def read_paging(request: Request, cursors: Cursors, sizes: Sizes) -> Paging:
    """The page that a request asks for; a size that makes no sense is the usual one.

    Raises:
        Refusal: 404 for a page that cannot be.
    """
    given = request.query_params
    size = _whole(given.get("page_size")) or sizes.usual
    size = min(size, sizes.most)
    text = given.get("page") or "1"
    number = None if text == "last" else _whole(text)
    if number == 0 or (number is None and text != "last") or (number or 0) * size > 2**62:
        raise invalid_page()
    cursor = given.get("cursor")
    position = cursors.position(cursor, _name(request)) if cursor else None
    return Paging(number, size, position)


async def read_page(connection: Connection, listing: Listing, paging: Paging) -> Page:
    """Read one page of a list.

    Raises:
        Refusal: 404 for a page by number that is past the end.
    """
    count = paging.position.count if paging.position else await _count(connection, listing)
    if paging.number is None:
        paging = Paging(max(1, -(-count // paging.size)), paging.size, paging.position)
    number = paging.number or 1
    keys = ", ".join(listing.keys)
    values = {**listing.values, "list_size": paging.size + 1, "list_offset": paging.offset}
    begin = ""
    if paging.position is not None:
        places = {f"list_after_{place}": value for place, value in enumerate(paging.position.after)}
        begin = f" AND ({keys}) > ({', '.join(f'%({name})s' for name in places)})"
        values |= places
    cursor = await connection.execute(
        f"SELECT {listing.columns}, {keys} {listing.source}{begin}"
        f" ORDER BY {keys} LIMIT %(list_size)s OFFSET %(list_offset)s",
        values,
    )
    rows: list[tuple[Any, ...]] = []
    while chunk := await cursor.fetchmany(CHUNK):
        rows += chunk
        await anyio.lowlevel.checkpoint()
    # A cursor's page was there when its address was made: what was in it has been deleted since.
    if not rows and number > 1 and paging.position is None:
        raise invalid_page()
    width = len(listing.keys)
    more = len(rows) > paging.size
    rows = rows[: paging.size]
    return Page([row[:-width] for row in rows], count, number, rows[-1][-width:] if more else None)


def answer_of(
    request: Request, cursors: Cursors, page: Page, items: Sequence[Any], *, public_url: str | None = None
) -> dict[str, Any]:
    """The body that tells of a page.

    Args:
        request: that asked for it.
        cursors: make its ``next``.
        page: where it is in the list.
        items: what its rows have become.
        public_url: scheme and host that clients use, when it is not the request's own.
    """
    path = _path(request)
    root = (public_url or f"{request.url.scheme}://{request.url.netloc}").rstrip("/") + path
    following = previous = None
    if page.end is not None:
        cursor = cursors.text(Position(page.count, page.end), _name(request))
        following = _address(request, root, page.number + 1, cursor)
    if page.number > 1:
        previous = _address(request, root, page.number - 1, None)
    return {"count": page.count, "next": following, "previous": previous, "results": list(items)}


def _address(request: Request, root: str, number: int, cursor: str | None) -> str:
    pairs = [pair for pair in _query(request) if pair[0] not in _PLACE]
    pairs.append(("page", str(number)))
    if cursor is not None:
        pairs.append(("cursor", cursor))
    return f"{root}?{urlencode(pairs)}"


def _name(request: Request) -> str:
    """What tells a list from others: its path, and which of its items are asked for."""
    filters = sorted(pair for pair in _query(request) if pair[0] not in (*_PLACE, "page_size"))
    return f"{_path(request)}?{urlencode(filters)}"


def _query(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(request.url.query, keep_blank_values=True)


def _path(request: Request) -> str:
    path: str = request.scope["state"]["full_path"]
    return path if path.endswith("/") else path + "/"


async def _count(connection: Connection, listing: Listing) -> int:
    row = await (await connection.execute(f"SELECT count(*) {listing.source}", listing.values)).fetchone()
    return int(row[0]) if row else 0


def _whole(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    return int(text)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": (value - _EPOCH) // _MICROSECOND}
    return value if isinstance(value, (int, str)) else str(value)


def _rich(value: Any) -> Any:
    return _EPOCH + value["t"] * _MICROSECOND if isinstance(value, dict) else value
