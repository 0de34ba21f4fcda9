"""Imports as a kind of work for the queue."""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from carto_like.server.jobs.task import StalledJob, Task
from carto_like.server.services.importlost import end_lost_runs
from carto_like.server.services.importrun import run_import
from carto_like.server.services.imports import Imports
from carto_like.server.services.syncqueue import begin_due

if TYPE_CHECKING:
    from carto_like.server.platform import Platform

ABANDONED_SECONDS = 86_400.0
"""How old an upload must be to be taken for left behind."""


async def _run(platform: Platform, *, account_id: UUID, import_id: str) -> None:
    await run_import(platform, UUID(import_id))


async def _recover(platform: Platform, job: StalledJob) -> bool:
    """Begin it again: the import itself knows how often it was tried, and whether there is anything left."""
    found = await Imports(platform.database).get(UUID(str(job.arguments["import_id"])))
    return found is not None and not found.is_final


async def _tidy(platform: Platform) -> None:
    await end_lost_runs(platform.database)
    await begin_due(platform)
    await _remove_abandoned(platform)


async def _remove_abandoned(platform: Platform) -> None:
    """Remove uploads that a server left behind when it died between a file and its import."""
    imports = Imports(platform.database)
    for folder in await asyncio.to_thread(_old_folders, platform.uploads_dir):
        with suppress(ValueError):
            found = await imports.get(UUID(folder.name))
            if found is None or found.is_final:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _old_folders(uploads: Path) -> list[Path]:
    oldest = time.time() - ABANDONED_SECONDS
    try:
        return [folder for folder in uploads.iterdir() if folder.stat().st_mtime < oldest]
    except OSError:
        # It is not there yet, or what was in it has gone meanwhile.
        return []


IMPORT = Task("import", "import", _run, _recover, _tidy)
