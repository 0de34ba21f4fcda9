"""Save a table, or the result of a query, as GeoParquet, and look into the file.

python examples/export_parquet.py "SELECT name, the_geom FROM airports" airports.parquet
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet

from carto_like.export import Exporter

import account


def main() -> None:
    """Write the file, and print how many rows and which geometries it has."""
    parser = account.parser(__doc__)
    parser.add_argument("source", help="name of a table, or a SELECT")
    parser.add_argument("file", type=Path, help="where to write")
    arguments = parser.parse_args()

    target = Exporter(account.connect(arguments)).to_path(arguments.source, arguments.file, "parquet")
    # The description is at the file's end, so this reads no rows.
    about = pyarrow.parquet.read_metadata(target)
    print(f"{target}: {about.num_rows} rows, {target.stat().st_size} bytes")
    geo = json.loads((about.metadata or {}).get(b"geo", b'{"columns": {}}'))
    for name, column in geo["columns"].items():
        print(f"{name}: {', '.join(column['geometry_types'])} within {column.get('bbox')}")


if __name__ == "__main__":
    main()
