"""The libraries that read files other than text, which take longer to load than a small file to read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from types import ModuleType

# What pyogrio and pyarrow load where it is installed, for things that are done with none of it here.
_UNUSED = frozenset({"geopandas", "pandas", "pyproj", "shapely"})


class _NotInstalled(MetaPathFinder):
    """Lets it seem that some modules are not there."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in _UNUSED:
            raise ModuleNotFoundError(f"{name} is not used here", name=name)


def leave_out_unused() -> None:
    """Keep libraries from loading others that nobody here uses; to be called before they are loaded."""
    sys.meta_path.insert(0, _NotInstalled())


def load() -> None:
    """Load everything now, so that nobody has to wait for it later."""
    # What the memory allowed is too little for is missed when a file needs it, and told then.
    with suppress(ImportError, MemoryError, OSError):
        import pyarrow.parquet  # noqa: F401
        import pyogrio.raw  # noqa: F401

        from carto_like.server.imports import arrowcells, geometries  # noqa: F401
