"""Make a dataset of an address, and let it follow what is there.

python examples/import_sync_table_as_dataset.py https://example.com/trees.csv --interval 3600
"""

from __future__ import annotations

import sys

from carto_like.datasets import DatasetManager
from carto_like.file_import import ImportFailed

import account


def main() -> None:
    """Import with an interval, and print what the dataset is called and when it is looked after again."""
    parser = account.parser(__doc__)
    parser.add_argument("url", help="an http or https address")
    parser.add_argument("--interval", type=int, default=3600, help="seconds between two looks, 900 or more")
    arguments = parser.parse_args()

    try:
        dataset = DatasetManager(account.connect(arguments)).create(arguments.url, arguments.interval)
    except ImportFailed as failed:
        sys.exit(str(failed))
    print(f"Name of table: {dataset.name}")
    print(f"URL of dataset: {dataset.url}")
    if dataset.synchronization:
        print(f"Synchronization: {dataset.synchronization.id}, next run: {dataset.synchronization.run_at}")


if __name__ == "__main__":
    main()
