"""API keys as JSON."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from carto_like.server.accounts import Account
from carto_like.server.services.keys import DatedKey

_SERVICES = ("geocoding", "routing", "isolines", "observatory")


def key_json(account: Account, dated: DatedKey) -> dict[str, Any]:
    """A key with its token and grants; which role it has is nobody's business."""
    key = dated.key
    grants: list[dict[str, Any]] = [
        {"type": "apis", "apis": sorted(key.apis, reverse=True)},
        {"type": "database", "tables": [], "schemas": [], "table_metadata": []},
    ]
    if key.type == "master":
        grants.append({"type": "dataservices", "services": list(_SERVICES)})
    return {
        "name": key.name,
        "user": {"username": account.name},
        "type": key.type,
        "token": key.token,
        "created_at": _moment(dated.created_at),
        "updated_at": _moment(dated.updated_at),
        "grants": grants,
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
