"""Let a dataset follow an address, and force a look at it.

python examples/import_sync_table.py https://example.com/trees.csv --interval 3600
"""

from __future__ import annotations

import sys

from carto_like.file_import import ImportFailed
from carto_like.sync_tables import SyncTableJobManager

import account


def main() -> None:
    """Start a synchronization, wait for its first run, and ask for another."""
    parser = account.parser(__doc__)
    parser.add_argument("url", help="an http or https address")
    parser.add_argument("--interval", type=int, default=3600, help="seconds between two looks, 900 or more")
    arguments = parser.parse_args()

    job = SyncTableJobManager(account.connect(arguments)).create(arguments.url, arguments.interval)
    print(f"Synchronization: {job.id}")
    try:
        dataset = job.wait(timeout=600, progress=lambda job: print(f"State: {job.state}"))
    except ImportFailed as failed:
        sys.exit(f"The first run failed: {failed}")
    print(f"Name of table: {dataset.name}")
    print(f"Next run: {job.run_at}")
    job.force_sync()
    print("Forced." if job.enqueued else "Not forced: the last run was a short time ago.")


if __name__ == "__main__":
    main()
