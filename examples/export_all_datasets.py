"""Download every dataset of the account, one file each, by streaming: size does not matter.

python examples/export_all_datasets.py /tmp/backup
"""

from __future__ import annotations

from pathlib import Path

from carto_like.datasets import DatasetManager
from carto_like.pure.pgtext import quote_identifier
from carto_like.sql import CopySQLClient

import account


def main() -> None:
    """Write each dataset as CSV into a folder, and print a line for each."""
    parser = account.parser(__doc__)
    parser.add_argument("folder", type=Path, help="made when it is not there")
    arguments = parser.parse_args()

    auth_client = account.connect(arguments)
    copy = CopySQLClient(auth_client)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for dataset in DatasetManager(auth_client).all():
        name = dataset.name or ""
        target = arguments.folder / f"{name}.csv"
        statement = f"COPY {quote_identifier(name)} TO STDOUT WITH (FORMAT csv, HEADER true)"
        copy.copyto_file_path(statement, str(target))
        print(f"{target}: {target.stat().st_size} bytes")
        count += 1
    print(f"{count} datasets exported")


if __name__ == "__main__":
    main()
