"""Instantiate an anonymous map from a JSON file and print its layergroup id.

python examples/create_anonymous_map.py configuration.json
"""

from __future__ import annotations

import json
from pathlib import Path

from carto_like.maps import AnonymousMap

import account


def main() -> None:
    """Make the map, and say where its tiles are."""
    parser = account.parser(__doc__)
    parser.add_argument("configuration", type=Path, help="JSON file with version and layers")
    arguments = parser.parse_args()

    anonymous_map = AnonymousMap(account.connect(arguments))
    anonymous_map.instantiate(json.loads(arguments.configuration.read_text("utf-8")))
    print(f"Layergroup: {anonymous_map.layergroupid}")
    print(f"Tiles: {anonymous_map.get_tile_url('{x}', '{y}', '{z}')}")


if __name__ == "__main__":
    main()
