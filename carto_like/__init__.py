"""A CARTO-compatible SDK and a self-hosted platform to run it against."""

__version__ = "0.1.0.dev0"
