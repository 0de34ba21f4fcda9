"""Download one dataset into a file.

python examples/export_dataset.py airports --format geojson --location /tmp
"""

from __future__ import annotations

from pathlib import Path

from carto_like.pure.pgtext import quote_identifier
from carto_like.sql import SQLClient

import account

FORMATS = ("csv", "geojson")


def main() -> None:
    """Write the dataset in the wanted format and print where it is."""
    parser = account.parser(__doc__)
    parser.add_argument("dataset", help="name of the dataset")
    parser.add_argument("--format", default="csv", choices=FORMATS)
    parser.add_argument("--location", type=Path, default=Path(), help="folder for the file")
    arguments = parser.parse_args()

    client = SQLClient(account.connect(arguments))
    query = f"SELECT * FROM {quote_identifier(arguments.dataset)}"
    # The bytes go to the file as the platform sent them: nothing is gained by parsing GeoJSON on the way.
    content = client.send(query, parse_json=False, format=arguments.format)
    target = arguments.location / f"{arguments.dataset}.{arguments.format}"
    target.write_bytes(content)
    print(f"{target}: {len(content)} bytes")


if __name__ == "__main__":
    main()
