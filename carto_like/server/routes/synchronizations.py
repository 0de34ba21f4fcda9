"""``/api/v1/synchronizations``: datasets that follow a source."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.accounts import Account
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.platform import Platform
from carto_like.server.routes.imports import check_slots, import_options, import_source, sealed
from carto_like.server.services.syncqueue import begin, force
from carto_like.server.services.syncs import Sync, Syncs
from carto_like.server.vizapi.access import require_master
from carto_like.server.vizapi.answers import answering, json_answer
from carto_like.server.vizapi.bodies import read_body
from carto_like.server.vizapi.syncjson import sync_json, with_offset

_PATH = "/api/v1/synchronizations"
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_DEFAULT_SECONDS = 3600
_MOST_SECONDS = 2**31 - 1
_CHANGEABLE = ("type_guessing", "quoted_fields_guessing", "content_guessing")


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    syncs = _Synchronizations(platform)
    one = _PATH + "/{sync_id}"
    found = (
        (_PATH, syncs.create, "POST"),
        (_PATH, syncs.index, "GET"),
        (one, syncs.show, "GET"),
        (one, syncs.update, "PUT"),
        (one, syncs.delete, "DELETE"),
        (one + "/sync_now", syncs.state, "GET"),
        (one + "/sync_now", syncs.force, "PUT"),
    )
    return [Route(path, answering(handler, _said), methods=[method]) for path, handler, method in found]


def _said(problem: Problem) -> Any:
    return {"errors": problem.message}


class _Synchronizations:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._syncs = Syncs(platform.database)

    async def create(self, request: Request) -> Response:
        account = account_of(request)
        body = await _json_body(request)
        await require_master(self._platform, request, account, body)
        options, (data_type, source) = _options(body), _source(body)
        seconds = self._seconds(body.get("interval"))
        await check_slots(self._platform, account)
        sync_id = uuid4()
        # All or nothing: one that has no first run would wait for it for ever.
        async with self._platform.database.metadata() as connection:
            await check_slots(self._platform, account, connection)
            await self._syncs.add(
                connection,
                account,
                sync_id,
                data_type=data_type,
                source=sealed(self._platform, source, sync_id),
                options=options,
                seconds=seconds,
            )
            made = await self._syncs.get(sync_id, connection=connection)
            assert made is not None, "it was added in this transaction"
            import_id = await begin(self._platform, connection, account, made)
        told = sync_json(await self._found(account, sync_id), with_offset)
        started = {"endpoint": "/api/v1/imports", "item_queue_id": str(import_id)}
        return json_answer({**told, "state": "queued", "data_import": started})

    async def index(self, request: Request) -> Response:
        account = account_of(request)
        await require_master(self._platform, request, account)
        found = await self._syncs.all(account)
        told = [sync_json(sync) for sync in found]
        return json_answer({"synchronizations": told, "total_entries": len(found)})

    async def show(self, request: Request) -> Response:
        _, sync = await self._asked_for(request)
        return json_answer(sync_json(sync))

    async def update(self, request: Request) -> Response:
        body = await _json_body(request, may_be_empty=True)
        account, sync = await self._asked_for(request, body)
        asked = {name: value for name, value in body.items() if name not in ("api_key", "client")}
        if not asked:
            # What scripts send that mean "now".
            await force(self._platform, account, sync.id)
        else:
            await self._change(sync, asked)
        return json_answer(sync_json(await self._found(account, sync.id), with_offset))

    async def _change(self, sync: Sync, asked: dict[str, Any]) -> None:
        options = {name: value for name, value in import_options(asked).items() if name in _CHANGEABLE}
        wanted = {name: value for name, value in options.items() if name in asked}
        source = None
        if asked.get("url"):
            _, source = _source({"url": asked["url"]})
        await self._syncs.change(
            sync.id,
            seconds=None if asked.get("interval") in (None, "") else self._seconds(asked["interval"]),
            source=source if source != sync.source else None,
            options={name: value for name, value in wanted.items() if value != sync.options.get(name)},
        )

    async def delete(self, request: Request) -> Response:
        _, sync = await self._asked_for(request)
        await self._syncs.delete(sync.id)
        return Response(status_code=204)

    async def state(self, request: Request) -> Response:
        _, sync = await self._asked_for(request)
        return json_answer({"state": sync.state})

    async def force(self, request: Request) -> Response:
        account, sync = await self._asked_for(request, await _json_body(request, may_be_empty=True))
        enqueued = await force(self._platform, account, sync.id)
        return json_answer({"enqueued": enqueued, "synchronization_id": str(sync.id)})

    async def _asked_for(self, request: Request, body: dict[str, Any] | None = None) -> tuple[Account, Sync]:
        account = account_of(request)
        await require_master(self._platform, request, account, body)
        try:
            sync_id = UUID(request.path_params["sync_id"])
        except ValueError:
            raise Problem(404) from None
        return account, await self._found(account, sync_id)

    async def _found(self, account: Account, sync_id: UUID) -> Sync:
        sync = await self._syncs.get(sync_id)
        if sync is None:
            raise Problem(404)
        if sync.account_id != account.id:
            raise Problem(401)
        return sync

    def _seconds(self, given: Any) -> int:
        least = self._platform.settings.limits.sync_least_interval
        if given is None or given == "":
            return max(_DEFAULT_SECONDS, least)
        text = str(given).strip() if isinstance(given, (int, str)) and not isinstance(given, bool) else ""
        if not (text.isascii() and text.isdigit() and len(text) < 11):
            raise Problem(400, "'interval' must be a whole number of seconds")
        if not max(least, 1) <= int(text) <= _MOST_SECONDS:
            raise Problem(
                400, f"'interval' must be at least {max(least, 1)} seconds, and at most {_MOST_SECONDS}"
            )
        return int(text)


async def _json_body(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORM_TYPES:
        raise Problem(400, "The body must be JSON, not a form")
    body = await read_body(request)
    if not body and not may_be_empty:
        raise Problem(400, "The body must be a JSON object with 'url' and 'interval'")
    return body


def _options(body: dict[str, Any]) -> dict[str, Any]:
    options = import_options(body)
    if options["collision_strategy"] == "skip":
        raise Problem(400, "'collision_strategy' can only be 'overwrite' here")
    return options


def _source(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """``(data_type, source)``, as of an import; a query or a copy is none."""
    asked = {name: value for name, value in body.items() if name not in ("sql", "table_copy")}
    data_type, source, _, _ = import_source(asked)
    if not source:
        raise Problem(400, "'url' is missing: name the http or https address of a file, or a 'connector'")
    return data_type, source
