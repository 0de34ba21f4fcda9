"""Datasets as JSON: the visualization, its table, its permission; for owners and for everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from carto_like.server.accounts import Account
from carto_like.server.services.figures import Figures
from carto_like.server.services.registry import Dataset

Json = dict[str, Any]

_COMMON = ("name", "display_name", "attributions", "source", "license", "tags", "description", "title")


@dataclass(frozen=True)
class Parts:
    """Which optional parts of a visualization are wanted."""

    table: bool = True
    size_and_rows: bool = True
    permission: bool = False
    liked: bool = False
    synchronization: bool = True
    uses_builder_features: bool = True
    auth_tokens: bool = True
    user: bool = False
    related_tables: bool = False


@dataclass(frozen=True)
class Teller:
    """Says what datasets of one account look like to one viewer.

    Attributes:
        base_url: the account's root, without a slash at its end.
        owner: the account as a nested user object, as much of it as the viewer may see.
        is_owner: whether the viewer holds the account's master key.
    """

    account: Account
    base_url: str
    owner: Mapping[str, Any]
    is_owner: bool

    def visualization(
        self, dataset: Dataset, figures: Figures | None, parts: Parts, sync: Json | None = None
    ) -> Json:
        """The dataset as a visualization.

        Args:
            dataset: that is told of.
            figures: may be absent when no table is wanted.
            parts: what is wanted.
            sync: how it follows a source, if it does.
        """
        told = self._everybody(dataset)
        if self.is_owner:
            told |= self._owners(dataset)
            if parts.synchronization:
                told["synchronization"] = sync
            if parts.uses_builder_features:
                told["uses_builder_features"] = False
            if parts.auth_tokens:
                told["auth_tokens"] = []
            if parts.related_tables:
                told["related_tables"] = []
        if parts.table and figures is not None:
            told["table"] = self.table(dataset, figures, parts, sync)
        if parts.permission:
            told["permission"] = self.permission(dataset)
        if parts.liked:
            told["liked"] = False
        if parts.user:
            told["user"] = dict(self.owner)
        return told

    def _everybody(self, dataset: Dataset) -> Json:
        return {
            "id": str(dataset.id),
            "type": "table",
            "kind": "geom",
            "privacy": dataset.privacy.upper(),
            "created_at": timestamp(dataset.created_at),
            "updated_at": timestamp(dataset.updated_at),
            **{name: getattr(dataset, name) for name in _COMMON},
        }

    def _owners(self, dataset: Dataset) -> Json:
        return {
            "map_id": None,
            "active_layer_id": None,
            "locked": dataset.locked,
            "version": 2,
            "url": f"{self.base_url}/tables/{quote(dataset.name, safe='')}",
            "external_source": {},
            "prev_id": None,
            "next_id": None,
            "parent_id": None,
            "active_child": None,
            "transition_options": {},
            "children": [],
            "stats": {},
            "dependent_visualizations": [],
            "dependent_visualizations_count": 0,
        }

    def table(self, dataset: Dataset, figures: Figures, parts: Parts, sync: Json | None = None) -> Json:
        """The dataset's table as it is nested in a visualization."""
        qualified = f'"{self.account.schema}".{dataset.name}'
        told: Json = {
            "id": str(dataset.table_id),
            "name": dataset.name if self.is_owner else qualified,
            "privacy": dataset.privacy.upper(),
            "geometry_types": figures.geometry_types,
            "updated_at": timestamp(dataset.updated_at),
        }
        if parts.size_and_rows:
            told |= {"size": figures.size, "row_count": figures.row_count}
        if self.is_owner and parts.synchronization:
            told["synchronization"] = sync
        if parts.permission:
            told["permission"] = self.permission(dataset)
        return told

    def permission(self, dataset: Dataset) -> Json:
        """Who owns the dataset and, for the owner, whom it is shared with."""
        told: Json = {"id": str(dataset.permission_id), "owner": dict(self.owner)}
        if self.is_owner:
            told |= {
                "entity": {"id": str(dataset.id), "type": "vis"},
                "acl": [],
                "created_at": timestamp(dataset.created_at),
                "updated_at": timestamp(dataset.created_at),
            }
        return told


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: ``2024-05-01T10:00:00.000Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
