"""Download one dataset into a file.

python examples/export_dataset.py airports --format geojson --location /tmp
"""

from __future__ import annotations

from pathlib import Path

from carto_like.export import EXTENSIONS, Exporter

import account


def main() -> None:
    """Write the dataset in the wanted format and print where it is."""
    parser = account.parser(__doc__)
    parser.add_argument("dataset", help="name of the dataset")
    parser.add_argument("--format", default="csv", choices=sorted(EXTENSIONS))
    parser.add_argument("--location", type=Path, default=Path(), help="folder for the file")
    arguments = parser.parse_args()

    target = arguments.location / f"{arguments.dataset}.{EXTENSIONS[arguments.format]}"
    Exporter(account.connect(arguments)).to_path(arguments.dataset, target, arguments.format)
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
