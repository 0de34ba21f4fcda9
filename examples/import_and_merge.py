"""Import all CSV files of a folder, and merge them into one dataset.

python examples/import_and_merge.py folder --name all_trees
"""

from __future__ import annotations

import sys
from pathlib import Path

from carto_like.datasets import Dataset, DatasetManager
from carto_like.pure.pgtext import quote_identifier
from carto_like.sql import SQLClient

import account

_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = current_schema() AND table_name = '{}'
  AND column_name NOT IN ('cartodb_id', 'the_geom_webmercator')
"""


def merge(client: SQLClient, target: Dataset, part: Dataset) -> None:
    """Append the rows of one dataset to another that has the same columns."""
    found = client.send(_COLUMNS.format(part.name))["rows"]
    columns = ", ".join(quote_identifier(row["column_name"]) for row in found)
    into, source = (quote_identifier(str(dataset.name)) for dataset in (target, part))
    client.send(f"INSERT INTO {into} ({columns}) SELECT {columns} FROM {source} ORDER BY cartodb_id")


def main() -> None:
    """Import each file, append it to the first, and delete what was appended."""
    parser = account.parser(__doc__)
    parser.add_argument("folder", type=Path, help="where the files are")
    parser.add_argument("--name", help="of the merged dataset; default: that of the first file")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.csv"))
    if not files:
        sys.exit(f"There are no CSV files in {arguments.folder}.")

    auth_client = account.connect(arguments)
    manager, client = DatasetManager(auth_client), SQLClient(auth_client)
    merged = manager.create(files[0])
    print(f"{files[0].name} imported as {merged.name}")
    for file in files[1:]:
        part = manager.create(file)
        merge(client, merged, part)
        manager.get(part.id).delete()
        print(f"{file.name} merged")
    if arguments.name:
        merged.name = arguments.name
        merged.save()
    count = client.send(f"SELECT count(*) AS n FROM {quote_identifier(str(merged.name))}")["rows"][0]["n"]
    print(f"{merged.name} has {count} rows of {len(files)} files")


if __name__ == "__main__":
    main()
