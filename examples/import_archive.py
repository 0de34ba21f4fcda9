"""Import a file that becomes several datasets, such as a GeoPackage with layers or a zip of shapefiles.

python examples/import_archive.py parcels.gpkg
python examples/import_archive.py statistics.zip
"""

from __future__ import annotations

import sys

from carto_like.datasets import DatasetManager
from carto_like.file_import import FileImportJob, ImportFailed

import account


def main() -> None:
    """Import, and print which datasets there are since."""
    parser = account.parser(__doc__)
    parser.add_argument("archive", help="path of a file")
    arguments = parser.parse_args()
    auth_client = account.connect(arguments)
    datasets = DatasetManager(auth_client)
    before = {dataset.name for dataset in datasets.iterate()}

    job = FileImportJob(arguments.archive, auth_client)
    job.run()
    try:
        job.wait(timeout=600)
    except ImportFailed as failed:
        sys.exit(str(failed))
    print(f"Tables made: {job.tables_created_count}")
    for dataset in datasets.iterate():
        if dataset.name not in before:
            print(f"{dataset.name}: {dataset.url}")


if __name__ == "__main__":
    main()
