"""Import a file or an address as a dataset.

python examples/import_standard_table.py trees.csv --privacy link
python examples/import_standard_table.py https://example.com/trees.geojson
"""

from __future__ import annotations

import sys

from carto_like.datasets import DatasetManager
from carto_like.file_import import FileImportJob, ImportFailed

import account


def main() -> None:
    """Import, and print what the dataset is called and where it is."""
    parser = account.parser(__doc__)
    parser.add_argument("archive", help="path of a file, or an http or https address")
    parser.add_argument("--privacy", choices=("public", "link", "private"))
    parser.add_argument("--collision_strategy", choices=("skip", "overwrite"), help="default: another name")
    arguments = parser.parse_args()

    def show(job: FileImportJob) -> None:
        print(f"State: {job.state}")

    try:
        dataset = DatasetManager(account.connect(arguments)).create(
            arguments.archive,
            progress=show,
            privacy=arguments.privacy,
            collision_strategy=arguments.collision_strategy,
        )
    except ImportFailed as failed:
        sys.exit(str(failed))
    rows = dataset.table.row_count if dataset.table else 0
    print(f"Name of table: {dataset.name}")
    print(f"URL of dataset: {dataset.url}")
    print(f"Rows: {rows}")


if __name__ == "__main__":
    main()
