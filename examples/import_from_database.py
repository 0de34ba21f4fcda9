"""Make a dataset of a table, or of a query, of a PostgreSQL database that the platform can reach.

connector.json holds what is asked for; the password comes from the environment:

{"provider": "postgres",
 "connection": {"server": "db.example.org", "port": 5432, "database": "parcels", "username": "reader"},
 "schema": "public", "table": "buildings"}

DATABASE_PASSWORD=... python examples/import_from_database.py connector.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from carto_like.datasets import DatasetManager
from carto_like.file_import import ImportFailed

import account


def main() -> None:
    """Import what the file describes."""
    parser = account.parser(__doc__)
    parser.add_argument("connector", type=Path, help="file with the connector's JSON")
    arguments = parser.parse_args()
    connector = json.loads(arguments.connector.read_text("utf-8"))
    password = os.environ.get("DATABASE_PASSWORD")
    if password:
        connector["connection"]["password"] = password

    manager = DatasetManager(account.connect(arguments))
    try:
        dataset = manager.create(None, connection={"connector": connector})
    except ImportFailed as failed:
        sys.exit(f"{failed.title}: {failed.what_about}")
    if dataset.table is not None:
        print(f"{dataset.name} has {dataset.table.row_count} rows")


if __name__ == "__main__":
    main()
