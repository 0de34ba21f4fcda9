"""``/api/v1/imports``: datasets from files, addresses and queries."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any
from uuid import UUID, uuid4

import orjson
from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.accounts import Account
from carto_like.server.authentication import account_of
from carto_like.server.errors import Problem
from carto_like.server.imports.codes import error_text
from carto_like.server.imports.connector import connector_of
from carto_like.server.imports.fetch import check_url
from carto_like.server.imports.filenames import name_of_url
from carto_like.server.imports.upload import Upload
from carto_like.server.platform import Platform
from carto_like.server.pool import Connection
from carto_like.server.services.importlost import end_lost, end_lost_of
from carto_like.server.services.importrun import folder_of
from carto_like.server.services.imports import COMPLETE, FAILURE, Import, Imports
from carto_like.server.vizapi.access import require_master
from carto_like.server.vizapi.answers import answering, json_answer, typed

_PRIVACIES = ("public", "private", "link")
_STRATEGIES = ("skip", "overwrite")
_LISTEN_SECONDS = 30.0
_ONE_AT_A_TIME = "SELECT FROM carto_like.users WHERE id = %s FOR NO KEY UPDATE"
_LATER = ("service_name", "remote_visualization_id")


def routes(platform: Platform) -> list[Route]:
    """The routes, relative to a user's root."""
    imports = _ImportRoutes(platform)
    path = "/api/v1/imports"
    return [
        Route(path, answering(imports.create, _refused), methods=["POST"]),
        Route(path, answering(imports.list, typed), methods=["GET", "OPTIONS"]),
        Route(path + "/{import_id}", answering(imports.show, typed), methods=["GET", "OPTIONS"]),
    ]


async def check_slots(platform: Platform, account: Account, connection: Connection | None = None) -> None:
    """Let no account have more imports under way than are allowed.

    Args:
        platform: whose limits they are.
        account: who asks for one more.
        connection: the platform's own, in the transaction that adds it: of those who ask at the same time,
            each then waits for the one before. Without, it is a look ahead, before anything is received.

    Raises:
        Problem: 429, all slots are in use.
    """
    slots = platform.settings.limits.imports_at_once
    if not slots:
        return
    if connection is None:
        await end_lost_of(platform.database, account)
    else:
        await connection.execute(_ONE_AT_A_TIME, (account.id,))
    if len(await Imports(platform.database).running(account, connection=connection)) >= slots:
        raise Problem(429, f"All {slots} slots for imports are in use: wait until one of them has ended")


def sealed(platform: Platform, source: dict[str, Any], owner: UUID) -> dict[str, Any]:
    """A source as it waits for a worker: what is secret in it can be read by servers alone.

    Args:
        platform: whose secret it is.
        source: of :func:`import_source`.
        owner: the import, or the synchronization, that it belongs to.
    """
    connector = source.get("connector")
    if connector is None:
        return source
    password = connector.access.password if connector.access is not None else ""
    kept = platform.secrets.encrypt_token(password, owner).hex() if password else ""
    return {"connector": connector.as_json(kept)}


def _refused(problem: Problem) -> Any:
    return {"errors": {"imports": problem.message}}


class _ImportRoutes:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._imports = Imports(platform.database)

    async def create(self, request: Request) -> Response:
        account = account_of(request)
        import_id = uuid4()
        file = folder_of(self._platform, import_id) / "file"
        limits, readers = self._platform.settings.limits, self._platform.readers
        upload = Upload(file, limits.import_max_bytes, readers.expect)
        try:
            await self._receive(request, account, upload)
            asked = {**upload.fields, **request.query_params}
            await self._add(account, import_id, asked, upload)
        except BaseException:
            await self._drop(import_id)
            raise
        return json_answer({"item_queue_id": str(import_id), "success": True})

    async def _receive(self, request: Request, account: Account, upload: Upload) -> None:
        async def authorise(fields: dict[str, Any]) -> None:
            await require_master(self._platform, request, account, fields)
            await check_slots(self._platform, account)

        try:
            await upload.read(request, authorise)
        except Problem:
            # Who is still sending would miss the answer to a connection that breaks.
            await upload.discard(request, _LISTEN_SECONDS)
            raise

    async def _add(self, account: Account, import_id: UUID, asked: dict[str, Any], upload: Upload) -> None:
        options = import_options(asked)
        data_type, source, name, original = import_source(asked, upload.file_name)
        source = sealed(self._platform, source, import_id)
        if upload.file_name is not None and "file" not in source:
            await self._drop(import_id)
        options["file_name"] = name
        failure = upload.failure if "file" in source else None
        # Both or neither: an import that nobody would ever begin could not be told from a slow one.
        async with self._platform.database.metadata() as conn:
            await check_slots(self._platform, account, conn)
            await self._imports.add(
                conn,
                account,
                import_id,
                data_type=data_type,
                source=source,
                options=options,
                display_name=name or str(import_id),
                original_url=original,
            )
            if failure is None:
                await self._platform.jobs.defer(
                    "import", account.id, connection=conn, import_id=str(import_id)
                )
            else:
                told = {"error_code": failure.code, "error_reason": failure.reason}
                await self._imports.update(import_id, connection=conn, state=FAILURE, **told)
        if failure is not None:
            await self._drop(import_id)

    async def _drop(self, import_id: UUID) -> None:
        """Remove the file that came with an import."""
        folder = folder_of(self._platform, import_id)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def list(self, request: Request) -> Response:
        account = account_of(request)
        await require_master(self._platform, request, account)
        await end_lost_of(self._platform.database, account)
        running = await self._imports.running(account)
        return json_answer({"imports": [str(found) for found in running], "success": True})

    async def show(self, request: Request) -> Response:
        account = account_of(request)
        await require_master(self._platform, request, account)
        try:
            import_id = UUID(request.path_params["import_id"])
        except ValueError:
            raise Problem(404) from None
        found = await self._imports.get(import_id)
        if found is None or found.account_id != account.id:
            raise Problem(404)
        if not found.is_final and await end_lost(self._platform.database, import_id):
            found = await self._imports.get(import_id) or found
        return json_answer(_told(found))


def import_options(asked: dict[str, Any]) -> dict[str, Any]:
    """How something is to be imported, by the API's names.

    Raises:
        Problem: 400, one of the parameters is not what it must be.
    """
    privacy = _text(asked, "privacy")
    if privacy and privacy.lower() not in _PRIVACIES:
        raise Problem(400, f"'privacy' must be one of {', '.join(_PRIVACIES)}")
    strategy = _text(asked, "collision_strategy")
    if strategy and strategy not in _STRATEGIES:
        raise Problem(400, f"'collision_strategy' must be one of {', '.join(_STRATEGIES)}")
    for name in _LATER:
        if asked.get(name):
            raise Problem(400, f"'{name}' is not supported: send a file, url, sql, table_copy or connector")
    return {
        "type_guessing": _flag(asked, "type_guessing", True),
        "quoted_fields_guessing": _flag(asked, "quoted_fields_guessing", True),
        "content_guessing": _flag(asked, "content_guessing", False),
        "create_vis": _flag(asked, "create_vis", False),
        "privacy": privacy.lower() or None,
        "collision_strategy": strategy or None,
        "table_name": _text(asked, "table_name"),
        "user_defined_limits": _limits(asked.get("user_defined_limits")),
    }


def import_source(
    asked: dict[str, Any], file_name: str | None = None
) -> tuple[str, dict[str, Any], str, str]:
    """``(data_type, source, display name, original URL)``; an uploaded file counts last.

    Raises:
        Problem: 400, the address or the connector is not what it must be.
    """
    copied, query, url = (_text(asked, name) for name in ("table_copy", "sql", "url"))
    if copied:
        schema, dot, table = copied.rpartition(".")
        relation = sql.Identifier(schema, table) if dot else sql.Identifier(table)
        query = f"SELECT * FROM {relation.as_string()}"
    if query:
        return "query", {"sql": query}, _text(asked, "table_name") or "untitled_table", ""
    if url:
        try:
            check_url(url)
        except ValueError as error:
            raise Problem(400, str(error)) from None
        return "url", {"url": url}, name_of_url(url), url
    if asked.get("connector") not in (None, ""):
        try:
            connector = connector_of(asked["connector"])
        except ValueError as error:
            raise Problem(400, str(error)) from None
        return "datasource", {"connector": connector}, connector.wanted, ""
    if file_name is not None:
        return "file", {"file": file_name}, file_name, f"/uploads/{file_name}"
    return "file", {}, "", ""


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise Problem(400, f"'{name}' must be text")
    return value.strip() if name != "sql" else value


def _flag(asked: dict[str, Any], name: str, default: bool) -> bool:
    """Only true and false count, as such or as words; anything else is as if it were not there."""
    value = asked.get(name)
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else ""
    return {"true": True, "false": False}.get(word, default)


def _limits(given: Any) -> str:
    if isinstance(given, str) and given:
        try:
            given = orjson.loads(given)
        except ValueError:
            raise Problem(400, "'user_defined_limits' must be JSON") from None
    try:
        return orjson.dumps(given if isinstance(given, dict) else {}).decode()
    except orjson.JSONEncodeError:
        raise Problem(400, "'user_defined_limits' is nested too deeply") from None


def _told(found: Import) -> dict[str, Any]:
    """An import as the API tells it."""
    options = found.options
    told: dict[str, Any] = {
        "id": str(found.id),
        "queue_id": str(found.id),
        "item_queue_id": str(found.id),
        "user_id": str(found.account_id),
        "state": found.state,
        "error_code": found.error_code,
        "get_error_text": None
        if found.error_code is None
        else error_text(found.error_code, found.error_reason),
        "table_id": found.table_id and str(found.table_id),
        "table_name": found.table_name,
        "tables_created_count": found.tables_created_count,
        "data_type": found.data_type,
        "type_guessing": options["type_guessing"],
        "quoted_fields_guessing": options["quoted_fields_guessing"],
        "content_guessing": options["content_guessing"],
        "create_visualization": options["create_vis"],
        "visualization_id": None,
        "is_raster": False,
        "synchronization_id": found.synchronization_id and str(found.synchronization_id),
        "display_name": found.display_name,
        "original_url": found.original_url,
        "user_defined_limits": options["user_defined_limits"],
        "warnings": found.warnings,
    }
    if found.is_final:
        told["success"] = found.state == COMPLETE
    if found.state == COMPLETE:
        told |= {"derived_visualization_id": None, "any_table_raster": False}
    if found.answer_status is not None:
        told["http_response_code"] = str(found.answer_status)
        told["http_response_code_message"] = found.answer_reason or ""
    return told
