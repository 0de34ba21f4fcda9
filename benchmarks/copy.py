"""How fast rows go up and down, and what that costs, against libpq, hand-written loads and carto 1.11.3.

Starts a platform of its own and takes it away again. One table and one line of JSON on stdout, progress on
stderr. With the defaults it takes about a quarter of an hour and 2 GB of disk; try ``--rows 200000`` first.
"""

import os
import sys


def main() -> None:
    """Run the benchmark."""
    # A script's own folder comes first, and there this very file hides the standard library's `copy`.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from benchmarks import _copy

    _copy.main(__doc__)


if __name__ == "__main__":
    main()
