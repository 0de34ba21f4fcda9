"""Synchronizations as the API tells them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from carto_like.server.services.syncs import Sync
from carto_like.server.vizapi.shapes import timestamp

_FLAGS = ("type_guessing", "quoted_fields_guessing", "content_guessing")


def sync_json(sync: Sync, shown: Callable[[datetime], str] = timestamp) -> dict[str, Any]:
    """A synchronization, its times written by a function."""

    def time(moment: datetime | None) -> str | None:
        return shown(moment) if moment else None

    return {
        "id": str(sync.id),
        "user_id": str(sync.account_id),
        "log_id": sync.import_id and str(sync.import_id),
        "visualization_id": sync.dataset_id and str(sync.dataset_id),
        "name": sync.name,
        "interval": sync.seconds,
        "url": sync.source.get("url"),
        "state": sync.state,
        "created_at": time(sync.created_at),
        "updated_at": time(sync.updated_at),
        "run_at": time(sync.run_at),
        "ran_at": time(sync.ran_at),
        "modified_at": time(sync.modified_at),
        "etag": sync.etag,
        # A source that names no version of its data is known by the data.
        "checksum": sync.etag or sync.digest,
        "retried_times": sync.retried_times,
        "error_code": sync.error_code,
        "error_message": sync.error_message,
        "service_name": "connector" if "connector" in sync.source else None,
        "service_item_id": None,
        "from_external_source": False,
        **{name: sync.options.get(name, name != "content_guessing") for name in _FLAGS},
    }


def with_offset(moment: datetime) -> str:
    """ISO 8601 in UTC with whole seconds: ``2024-05-01T10:00:00+00:00``."""
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds")
