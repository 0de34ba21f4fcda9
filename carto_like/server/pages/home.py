"""What an account has, as its home page lists it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from carto_like.server.accounts import Account
from carto_like.server.platform import Platform
from carto_like.server.services import batch
from carto_like.server.services.datasets import Datasets, Page, Search
from carto_like.server.services.figures import figures_of
from carto_like.server.services.imports import Imports

LISTED = 200
_UNDER_WAY = ("pending", "running")
_LONGEST_QUERY = 120


@dataclass(frozen=True)
class ListedDataset:
    """A dataset in the list; ``rows`` and ``size`` are for people to read."""

    name: str
    url: str
    privacy: str
    rows: str
    size: str
    changed: datetime


@dataclass(frozen=True)
class RunningJob:
    """Something that goes on, or waits to."""

    id: str
    what: str
    state: str
    since: str


async def datasets_of(platform: Platform, account: Account, root: str) -> tuple[list[ListedDataset], int]:
    """The datasets that changed last, at most :data:`LISTED`, and how many there are."""
    listing = await Datasets(platform.database).search(account, Search(), Page(per_page=LISTED))
    figures = await figures_of(platform.database, account, listing.datasets)
    shown = [
        ListedDataset(
            name=dataset.name,
            url=f"{root}/dataset/{quote(dataset.name, safe='')}",
            privacy=dataset.privacy,
            rows=f"{figure.row_count:,}",
            size=readable_size(figure.size),
            changed=dataset.updated_at,
        )
        for dataset in listing.datasets
        if (figure := figures.get(dataset.table_oid))
    ]
    return shown, listing.total


async def jobs_of(platform: Platform, account: Account) -> list[RunningJob]:
    """Batch jobs and imports that are not over."""
    jobs = [*_batch_jobs(await batch.list_jobs(platform, account))]
    imports = Imports(platform.database)
    for import_id in await imports.running(account):
        found = await imports.get(import_id)
        if found is not None and not found.is_final:
            what = f"import of {found.display_name or found.data_type}"
            since = found.created_at.strftime("%Y-%m-%d %H:%M")
            jobs.append(RunningJob(str(found.id), what, found.state, since))
    return jobs


def _batch_jobs(jobs: list[dict[str, Any]]) -> Iterator[RunningJob]:
    for job in jobs:
        states = (job["status"], job.get("fallback_status"))
        state = next((state for state in states if state in _UNDER_WAY), None)
        if state is not None:
            since = job["created_at"].replace("T", " ")[:16]
            yield RunningJob(job["job_id"], _query_text(job["query"]), state, since)


def _query_text(query: Any) -> str:
    """A batch job's query, or the first of several, in one line."""
    if isinstance(query, Mapping):
        query = query.get("query")
    if isinstance(query, list):
        first = query[0].get("query") if query and isinstance(query[0], Mapping) else ""
        more = f" (and {len(query) - 1} more)" if len(query) > 1 else ""
        return _query_text(first) + more
    text = " ".join(str(query).split())
    return text if len(text) <= _LONGEST_QUERY else text[:_LONGEST_QUERY] + "…"


def readable_size(size: int) -> str:
    """Bytes, as people say them."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"
