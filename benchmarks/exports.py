"""How long exports of a large table take, against ogr2ogr and geopandas reading the same query.

Starts a platform of its own and takes it away again. One table and one line of JSON on stdout, progress on
stderr. Needs ``ogr2ogr`` (Debian: ``gdal-bin``); geopandas, for parquet and arrow, gets an environment of its
own in the user's cache. With the defaults it takes about ten minutes and 2 GB of disk.
"""

import os
import sys


def main() -> None:
    """Run the benchmark."""
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from benchmarks import _exports

    _exports.main(__doc__)


if __name__ == "__main__":
    main()
