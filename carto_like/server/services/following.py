"""What a run of a synchronization takes the place of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from carto_like.server.accounts import Account
from carto_like.server.imports import codes
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.seen import Seen
from carto_like.server.services.datasets import Datasets
from carto_like.server.services.imports import Import
from carto_like.server.services.replacing import Target
from carto_like.server.services.syncs import SYNCING, Syncs

if TYPE_CHECKING:
    from carto_like.server.platform import Platform


@dataclass(frozen=True)
class Following:
    """A dataset that follows a source.

    Attributes:
        table_id: of the dataset, as an import names it.
        target: the dataset's table.
        seen: of the data that is in it.
    """

    table_id: UUID
    target: Target
    seen: Seen


async def follow(platform: Platform, account: Account, found: Import) -> Following:
    """What an import is to replace, whose synchronization is noted as running.

    Raises:
        ImportFailure: the dataset is gone, and the synchronization with it.
    """
    database = platform.database
    sync = await Syncs(database).get(found.synchronization_id) if found.synchronization_id else None
    dataset = sync and await Datasets(database).find(account, str(sync.dataset_id))
    if not sync or not dataset or dataset.id != sync.dataset_id:
        raise ImportFailure(codes.NOT_A_DATASET, "The dataset that followed the source is gone")
    async with database.metadata() as connection:
        await connection.execute(
            "UPDATE carto_like.synchronizations SET state = %s, updated_at = now() "
            "WHERE id = %s AND import_id = %s",
            (SYNCING, sync.id, found.id),
        )
    return Following(dataset.table_id, Target(dataset.table_oid, dataset.name), sync.seen)
