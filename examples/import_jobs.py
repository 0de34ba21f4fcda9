"""Import several addresses at once, and list the imports that are under way.

python examples/import_jobs.py https://example.com/trees.csv https://example.com/roads.geojson
"""

from __future__ import annotations

from carto_like.file_import import FileImportJobManager, ImportFailed

import account


def main() -> None:
    """Start all imports, list them, and wait for each."""
    parser = account.parser(__doc__)
    parser.add_argument("urls", nargs="+", help="http or https addresses")
    arguments = parser.parse_args()

    manager = FileImportJobManager(account.connect(arguments))
    jobs = [manager.create(url) for url in arguments.urls]
    for job in jobs:
        job.run()
    running = {job.get_id() for job in manager.all()}
    print(f"{len(jobs)} imports started, {len(running)} under way")
    for url, job in zip(arguments.urls, jobs, strict=True):
        try:
            print(f"{url}: {job.wait(timeout=600).name}")
        except ImportFailed as failed:
            print(f"{url}: {failed}")


if __name__ == "__main__":
    main()
