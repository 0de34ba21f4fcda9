"""``python -m carto_like.cli`` is ``carto-like``."""

from carto_like.cli.main import main

main()
