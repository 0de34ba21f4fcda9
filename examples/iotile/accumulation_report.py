"""Add up what the streams of projects, devices or streams recorded in a period.

``IOTILE_DOMAIN``, ``IOTILE_EMAIL`` and ``IOTILE_PASSWORD`` name the server and the account; the arguments are
slugs, which may overlap: every stream counts once.
"""

from __future__ import annotations

import argparse
import os
from datetime import datetime, timezone

from carto_like.iotile.api.connection import Api
from carto_like.iotile.stream.report import AccumulationReportGenerator


def main() -> None:
    """Print the sums of January 2017."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sources", nargs="+", help="slugs: p--..., d--..., b--... or s--...")
    sources = parser.parse_args().sources
    api = Api(os.environ["IOTILE_DOMAIN"])
    if not api.login(email=os.environ["IOTILE_EMAIL"], password=os.environ["IOTILE_PASSWORD"]):
        raise SystemExit("The login failed.")
    report = AccumulationReportGenerator(api).compute_sum(
        sources=sources,
        start=datetime(2017, 1, 1, tzinfo=timezone.utc),
        end=datetime(2017, 2, 1, tzinfo=timezone.utc),
    )
    for slug, found in report["streams"].items():
        print(f"{slug}: {found['sum']:.4f} {found['units']}")
    print(f"Total: {report['total']:.4f}")
    api.logout()


if __name__ == "__main__":
    main()
