"""Every kind of work that workers do."""

from __future__ import annotations

from collections.abc import Mapping

from carto_like.server.services.batchrun import BATCH
from carto_like.server.services.importjobs import IMPORT

from .task import Task

_ALL: tuple[Task, ...] = (BATCH, IMPORT)

TASKS: Mapping[str, Task] = {task.name: task for task in _ALL}
