"""Which extra brings which library, so that a missing one can be named."""

from __future__ import annotations

__all__ = ["missing_extra"]

EXTRA_OF = {
    "click": "cli",
    "platformdirs": "cli",
    "rich": "cli",
    "cryptography": "server",
    "jinja2": "server",
    "jwt": "server",
    "multipart": "server",
    "orjson": "server",
    "prometheus_client": "server",
    "psycopg": "server",
    "psycopg_pool": "server",
    "python_multipart": "server",
    "starlette": "server",
    "uvicorn": "server",
}


def missing_extra(error: ImportError) -> str | None:
    """What to install when an import failed for want of an extra; None when it failed for another reason."""
    library = (error.name or "").split(".")[0]
    extra = EXTRA_OF.get(library)
    if extra is None:
        return None
    return f'{library} is not installed. Get what this command needs with: pip install "carto-like[{extra}]"'
