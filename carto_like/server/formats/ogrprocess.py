"""What the server starts to have a file written by GDAL, without what its binding loads besides."""

from __future__ import annotations

import sys

from carto_like.server.imports.libraries import leave_out_unused


def main() -> int:
    """See :func:`carto_like.server.formats.ogrwriter.main`."""
    leave_out_unused()
    from carto_like.server.formats import ogrwriter

    return ogrwriter.main()


if __name__ == "__main__":
    sys.exit(main())
