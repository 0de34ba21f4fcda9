"""Instantiate a named map and print the address of its tiles.

python examples/instantiate_named_map.py airports --params '{"color": "#2b8cbe"}' --token secret
"""

from __future__ import annotations

import json

from carto_like.maps import NamedMapManager

import account


def main() -> None:
    """Make an instance, and say where its tiles are."""
    parser = account.parser(__doc__)
    parser.add_argument("name", help="id of the named map")
    parser.add_argument("--params", type=json.loads, default={}, help="values of placeholders, as JSON")
    parser.add_argument("--token", help="one of the map's valid tokens, if it asks for one")
    arguments = parser.parse_args()

    named_map = NamedMapManager(account.connect(arguments)).get(arguments.name)
    named_map.instantiate(arguments.params, arguments.token)
    print(f"Layergroup: {named_map.layergroupid}")
    print(f"Tiles: {named_map.get_tile_url('{x}', '{y}', '{z}')}")


if __name__ == "__main__":
    main()
