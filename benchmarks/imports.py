"""How long an import takes, against hand-written loads that build the same table.

Starts a platform of its own and takes it away again. One table and one line of JSON on stdout, progress on
stderr. With the defaults it takes about half an hour and 3 GB of disk; try ``--megabytes 20 --rows 20000``
first.
Formats other than CSV need ogr2ogr, which is the peer that loads the same files.
"""

import os
import sys


def main() -> None:
    """Run the benchmark."""
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from benchmarks import _imports

    _imports.main(__doc__)


if __name__ == "__main__":
    main()
