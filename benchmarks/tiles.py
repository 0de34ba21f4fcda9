"""How fast vector tiles come, cold ones against the same SQL by psycopg and warm ones against ``/health``.

Starts a platform of its own and takes it away again. One table and one line of JSON on stdout, progress on
stderr. With the defaults it takes about three minutes.
"""

import os
import sys


def main() -> None:
    """Run the benchmark."""
    # Imports are resolved from the root of the repository, wherever the script is called from.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from benchmarks import _tiles

    _tiles.main(__doc__)


if __name__ == "__main__":
    main()
