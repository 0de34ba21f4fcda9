"""Imports as a kind of work for the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from carto_like.server.jobs.task import StalledJob, Task
from carto_like.server.services.importrun import run_import
from carto_like.server.services.imports import Imports

if TYPE_CHECKING:
    from carto_like.server.platform import Platform


async def _run(platform: Platform, *, account_id: UUID, import_id: str) -> None:
    await run_import(platform, UUID(import_id))


async def _recover(platform: Platform, job: StalledJob) -> bool:
    """Begin it again: the import itself knows how often it was tried, and whether there is anything left."""
    found = await Imports(platform.database).get(UUID(str(job.arguments["import_id"])))
    return found is not None and not found.is_final


IMPORT = Task("import", "import", _run, _recover)
