"""How the examples find the account they work on.

The address and the key come from ``CARTO_API_URL`` and ``CARTO_API_KEY``, or from ``--base_url`` and
``--api_key``. Everybody on the machine can see a key on the command line: use that for throwaway keys only.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings

from carto_like.auth import APIKeyAuthClient
from carto_like.resources import NonPublicApiWarning


def parser(description: str | None) -> argparse.ArgumentParser:
    """Give a parser of the command line that already knows where the account is."""
    found = argparse.ArgumentParser(description=(description or "").strip().splitlines()[0])
    found.add_argument("--organization", default=os.environ.get("CARTO_ORG"), help="accepted, rarely needed")
    found.add_argument("--base_url", default=os.environ.get("CARTO_API_URL"), help="default: CARTO_API_URL")
    found.add_argument("--api_key", default=os.environ.get("CARTO_API_KEY"), help="default: CARTO_API_KEY")
    return found


def connect(arguments: argparse.Namespace) -> APIKeyAuthClient:
    """Log in to the account that the command line or the environment names."""
    if not arguments.base_url or not arguments.api_key:
        sys.exit("Set CARTO_API_URL and CARTO_API_KEY, or give --base_url and --api_key.")
    # The SDK warns that datasets and users belong to an API that CARTO does not publish; once read is enough.
    warnings.simplefilter("ignore", NonPublicApiWarning)
    return APIKeyAuthClient(arguments.base_url, arguments.api_key, arguments.organization)
