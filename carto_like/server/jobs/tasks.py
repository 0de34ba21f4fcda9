"""Every kind of work that workers do."""

from __future__ import annotations

from collections.abc import Mapping

from .task import Task

_ALL: tuple[Task, ...] = ()

TASKS: Mapping[str, Task] = {task.name: task for task in _ALL}
