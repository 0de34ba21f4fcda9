"""How fast PNG tiles are drawn from rows, against Mapnik with its PostGIS plugin on the same tables.

Starts a private database and takes it away again. One table and one line of JSON on stdout, progress on
stderr.
"""

import os
import sys


def main() -> None:
    """Run the benchmark."""
    # Imports are resolved from the root of the repository, wherever the script is called from.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from benchmarks import _raster

    _raster.main(__doc__)


if __name__ == "__main__":
    main()
