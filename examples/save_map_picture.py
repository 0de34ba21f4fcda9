"""Write a picture of a named map to a file.

python examples/save_map_picture.py airports airports.png --bbox -10 35 30 60
"""

from __future__ import annotations

from carto_like.maps import NamedMapManager

import account


def main() -> None:
    """Draw the map, and say how large the file is."""
    parser = account.parser(__doc__)
    parser.add_argument("name", help="id of the named map")
    parser.add_argument("file", help="a .png or .jpg file")
    parser.add_argument("--width", type=int, default=800, help="pixels")
    parser.add_argument("--height", type=int, default=400, help="pixels")
    parser.add_argument("--bbox", type=float, nargs=4, metavar=("WEST", "SOUTH", "EAST", "NORTH"))
    arguments = parser.parse_args()

    named_map = NamedMapManager(account.connect(arguments)).get(arguments.name)
    path = named_map.save_image(arguments.file, arguments.width, arguments.height, bbox=arguments.bbox)
    print(f"Wrote {path} ({path.stat().st_size} bytes)")


if __name__ == "__main__":
    main()
