"""``/sql/copyfrom`` and ``/sql/copyto``: COPY as a stream of bytes."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from urllib.parse import quote

import orjson
import psycopg
from starlette.requests import Request
from starlette.routing import Route

from carto_like.pure.pgcopy import Copy, parse_copy
from carto_like.server.accounts import Account, Principal
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.services.bulkload import plan
from carto_like.server.services.copy import NOT_FROM_CLIENT, NOT_TO_CLIENT, copy_in, copy_out, set_timeout
from carto_like.server.services.profiles import used_bytes
from carto_like.server.sqlapi.family import JSON, Endpoint, Exchange, as_problem
from carto_like.server.sqlapi.guard import Guard, Stopped
from carto_like.server.sqlapi.gunzip import packer
from carto_like.server.sqlapi.parameters import query_parameters, read_parameters
from carto_like.server.sqlapi.problems import body_of
from carto_like.server.sqlapi.scanning import scan
from carto_like.server.sqlapi.upload import ClientLeft, Upload

_DEFAULT_NAME = "carto-sql-copyto.dmp"
# What a refused client may still send before the connection is given up.
_DISCARD_SECONDS = 30.0


class CopyRoutes:
    """The handlers of both directions."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._limits = platform.settings.limits

    async def copy_from(self, exchange: Exchange) -> None:
        """Load the request's body into a table."""
        try:
            principal = await exchange.admit(self._platform, "copy_from")
            upload = await self._upload(exchange, principal.account)
        except Problem as problem:
            await self._refuse(exchange, problem, self._unlimited_upload(exchange))
            return
        try:
            sql = _checked(query_parameters(exchange.request).get("q"))
            parsed = await scan(parse_copy, sql)
            if parsed is not None:
                _check_import(parsed)
            await self._load(exchange, principal, sql, upload)
        except ClientLeft:
            return
        except (Problem, psycopg.Error, Stopped) as error:
            told = as_problem(error)
            if told is not None:
                await self._refuse(exchange, told, upload)

    async def _upload(self, exchange: Exchange, account: Account) -> Upload:
        return Upload(
            exchange.receive,
            gzip=exchange.request.headers.get("content-encoding") == "gzip",
            max_bytes=self._limits.copy_max_bytes,
            max_unpacked=await self._room(account),
            min_bytes=self._limits.copy_min_bytes,
            window=self._limits.copy_window,
        )

    async def _room(self, account: Account) -> int | None:
        """Bytes the account may still store, None for any number."""
        if not account.quota_bytes:
            return None
        async with self._platform.database.metadata() as conn:
            return max(0, account.quota_bytes - await used_bytes(conn, account))

    async def _load(self, exchange: Exchange, principal: Principal, sql: str, upload: Upload) -> None:
        database = self._platform.database
        async with (
            database.login(principal.role, principal.account.schema) as conn,
            Guard(
                conn,
                database,
                upload.gone,
                seconds=self._limits.copy_timeout,
                grace=self._limits.cancel_grace,
                feeding=True,
            ),
        ):
            await set_timeout(conn, self._limits.copy_timeout)
            begun = time.monotonic()
            async with plan(conn, sql) as chosen, aclosing(upload.chunks()) as chunks:
                rows = await copy_in(conn, chosen.copy_sql, chunks)
                rows = await chosen.finish(rows)
            seconds = round(time.monotonic() - begun, 3)
        exchange.note(rows=rows, received=upload.received, unpacked=upload.unpacked)
        if not rows:
            raise Problem(400, "No rows copied")
        body = orjson.dumps({"time": seconds, "total_rows": rows})
        await exchange.answer(200, {"Content-Type": JSON}, body)

    def _unlimited_upload(self, exchange: Exchange) -> Upload:
        return Upload(
            exchange.receive, gzip=False, max_bytes=0, max_unpacked=None, min_bytes=0, window=_DISCARD_SECONDS
        )

    async def _refuse(self, exchange: Exchange, problem: Problem, upload: Upload) -> None:
        """Answer before the body is complete, in such a way that the client gets to see it."""
        exchange.note(error=problem.message)
        await exchange.refuse(problem, last=upload.is_complete)
        if not upload.is_complete:
            await upload.discard(_DISCARD_SECONDS)
            await exchange.block(b"", last=True)

    async def copy_to(self, exchange: Exchange) -> None:
        """Answer with the data of a COPY."""
        parameters = await read_parameters(exchange.request)
        principal = await exchange.admit(self._platform, "copy_to", parameters.body_keys)
        sql = _checked(parameters.get("q"))
        parsed = await scan(parse_copy, sql)
        if parsed is not None:
            _check_export(parsed)
        name = quote(parameters.last_text("filename") or _DEFAULT_NAME, safe="!'()*-._~")
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename={name}",
        }
        out = _Download(exchange, headers, pack=_wants_gzip(exchange.request))
        await self._send_out(exchange, principal, sql, out)

    async def _send_out(self, exchange: Exchange, principal: Principal, sql: str, out: _Download) -> None:
        database = self._platform.database
        async with (
            database.login(principal.role, principal.account.schema) as conn,
            Guard(
                conn,
                database,
                exchange.gone,
                seconds=self._limits.copy_timeout,
                grace=self._limits.cancel_grace,
            ) as guard,
        ):
            await set_timeout(conn, self._limits.copy_timeout)
            try:
                async with aclosing(copy_out(conn, sql)) as blocks:
                    async for block in blocks:
                        await out.write(block)
                await out.close()
            except psycopg.Error as error:
                if not exchange.started:
                    raise
                problem = guard.explain(error)
                exchange.note(error=problem.message)
                # The status is out already: all that is left is to end the data with the error.
                await out.write(orjson.dumps(body_of(problem)))
                await out.close()


class _Download:
    """A body that is sent as it comes, its head with its first block."""

    def __init__(self, exchange: Exchange, headers: dict[str, str], *, pack: bool) -> None:
        self._exchange = exchange
        self._headers = headers | ({"Content-Encoding": "gzip"} if pack else {})
        self._packer = packer() if pack else None

    async def write(self, block: bytes | bytearray) -> None:
        if not self._exchange.started:
            await self._exchange.start(200, self._headers)
        if self._packer is not None:
            block = await asyncio.to_thread(self._packer.compress, block)
        if block:
            await self._exchange.block(block, last=False)

    async def close(self) -> None:
        await self.write(b"")
        await self._exchange.block(self._packer.flush() if self._packer is not None else b"", last=True)


def _wants_gzip(request: Request) -> bool:
    """Whether the client takes gzip and nothing else.

    Most libraries offer gzip whenever they are not told otherwise, and packing costs more than all the rest
    of a COPY; so only a client that names nothing but gzip gets it.
    """
    offered = {name.strip().lower() for name in request.headers.get("accept-encoding", "").split(",")}
    return offered == {"gzip"}


def _checked(sql: object) -> str:
    if not isinstance(sql, str):
        raise Problem(400, "SQL is missing")
    if not sql[:5].upper() == "COPY ":
        raise Problem(400, "SQL must start with COPY")
    return sql


def _check_export(parsed: Copy) -> None:
    if parsed.direction != "to":
        raise Problem(400, NOT_TO_CLIENT)
    if parsed.following:
        raise Problem(400, "A COPY ... TO STDOUT must be the only statement")


def _check_import(parsed: Copy) -> None:
    if parsed.direction != "from":
        raise Problem(400, NOT_FROM_CLIENT)


def routes(platform: Platform) -> list[Route]:
    """The routes of COPY, relative to a user's root."""
    handlers = CopyRoutes(platform)
    return [
        Route("/api/{version}/sql/copyfrom", Endpoint(handlers.copy_from), methods=["POST"]),
        Route("/api/{version}/sql/copyto", Endpoint(handlers.copy_to), methods=["GET", "POST"]),
    ]
