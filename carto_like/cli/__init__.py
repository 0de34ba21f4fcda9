"""The ``carto-like`` command."""
