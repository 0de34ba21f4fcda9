"""Print the address of a map as a .carto file; needs a platform that has maps.

python examples/export_map.py 99bb2c9e-8f3e-4d43-9d2a-6f0f1f6f2a11
"""

from __future__ import annotations

import sys

from carto_like.exceptions import CartoException
from carto_like.visualizations import Visualization

import account


def main() -> None:
    """Let the platform make the file, wait for it, and print where it is."""
    parser = account.parser(__doc__)
    parser.add_argument("map", help="id of the map")
    parser.add_argument("--timeout", type=float, default=150, help="seconds to wait")
    arguments = parser.parse_args()

    visualization = Visualization(account.connect(arguments), id=arguments.map)
    try:
        print(visualization.export(timeout=arguments.timeout))
    except CartoException as error:
        sys.exit(f"The map cannot be exported: {error}")


if __name__ == "__main__":
    main()
