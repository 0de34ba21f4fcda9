"""``/sql/job`` and ``/jobs-wip``: SQL that runs in its own time."""

from __future__ import annotations

import json
from typing import Any

import orjson
from psycopg.conninfo import conninfo_to_dict
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from carto_like.server.accounts import Principal
from carto_like.server.authentication import account_of, authenticate
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.ratelimit import limit
from carto_like.server.services import batch
from carto_like.server.sqlapi.family import JSON, Endpoint, Exchange
from carto_like.server.sqlapi.parameters import Parameters, read_parameters


class JobRoutes:
    """The handlers of the batch API."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        host = str(conninfo_to_dict(platform.settings.dsn).get("host") or "/")
        # A folder is where the socket of a private database lies: nothing for clients to know.
        self._host = "localhost" if host.startswith(("/", "@")) else host

    async def collection(self, exchange: Exchange) -> None:
        """Create a job; or list the account's jobs, which CARTO's own API cannot do."""
        if exchange.request.method == "POST":
            await self._create(exchange)
            return
        principal = await self._admit(exchange, "job_get")
        jobs = await batch.list_jobs(self._platform, principal.account)
        await _answer(exchange, 200, {"jobs": jobs})

    async def _create(self, exchange: Exchange) -> None:
        parameters = await read_parameters(exchange.request)
        self._check_size(parameters)
        principal = await self._admit(exchange, "job_create", parameters)
        job = await batch.create(self._platform, principal, parameters.get("query"))
        exchange.note(job=job["job_id"])
        await _answer(exchange, 201, job)

    async def one(self, exchange: Exchange) -> None:
        """Read a job, or cancel it."""
        job_id = exchange.request.path_params["job_id"]
        deleting = exchange.request.method == "DELETE"
        # The key of a cancellation may be in its body, as clients send it.
        parameters = await read_parameters(exchange.request) if deleting else None
        principal = await self._admit(exchange, "job_delete" if deleting else "job_get", parameters)
        act = batch.cancel if deleting else batch.read
        await _answer(exchange, 200, await act(self._platform, principal.account, job_id))

    async def _admit(self, exchange: Exchange, group: str, parameters: Parameters | None = None) -> Principal:
        account = account_of(exchange.request)
        exchange.headers.update(await limit(self._platform, account, group))
        principal = await authenticate(
            self._platform,
            exchange.request,
            account=account,
            body=parameters.body_keys if parameters else None,
        )
        if not principal.is_master:
            raise Problem(403, "permission denied")
        exchange.headers |= {"Vary": "Authorization", "X-Served-By-DB-Host": self._host}
        return principal

    def _check_size(self, parameters: Parameters) -> None:
        most = self._platform.settings.limits.batch_payload
        text = json.dumps(parameters.body, ensure_ascii=False, separators=(",", ":"))
        # Characters as the original counts them, which are UTF-16's.
        size = len(text.encode("utf-16-le", "surrogatepass")) // 2
        if most and size > most:
            raise Problem(
                400,
                f"Your payload is too large: {size} bytes. Max size allowed is {most} bytes "
                f"({round(most / 1024)}kb). Are you trying to import data?. Please, check out import api "
                "http://docs.cartodb.com/cartodb-platform/import-api/",
            )


async def _answer(exchange: Exchange, status: int, value: Any) -> None:
    await exchange.answer(status, {"Content-Type": JSON}, orjson.dumps(value))


def open_routes(platform: Platform) -> list[Route]:
    """The route that belongs to no account: which jobs run now."""

    async def at_work(_: Request) -> JSONResponse:
        return JSONResponse(await batch.at_work(platform))

    return [Route("/jobs-wip", at_work), Route("/api/{version}/jobs-wip", at_work)]


def routes(platform: Platform) -> list[Route]:
    """The routes of ``/sql/job``, relative to a user's root."""
    handlers = JobRoutes(platform)
    return [
        Route(
            "/api/{version}/sql/job",
            Endpoint(handlers.collection),
            methods=["GET", "POST", "OPTIONS"],
        ),
        Route(
            "/api/{version}/sql/job/{job_id}",
            Endpoint(handlers.one),
            methods=["GET", "DELETE", "OPTIONS"],
        ),
    ]
