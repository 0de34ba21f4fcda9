"""Run a query as a batch job, and wait until it is done.

python examples/sql_batch_api_wait_for_completion.py "CREATE TABLE busy AS SELECT * FROM stops WHERE n > 9"
"""

from __future__ import annotations

import sys

from carto_like.exceptions import CartoJobFailed, CartoJobTimeout
from carto_like.sql import BatchSQLClient

import account


def main() -> None:
    """Create the job, wait, and print how it ended."""
    parser = account.parser(__doc__)
    parser.add_argument("query", help="what to run; results are not kept, so make a table of them")
    parser.add_argument("--timeout", type=float, help="seconds to wait; default: as long as it takes")
    arguments = parser.parse_args()

    client = BatchSQLClient(account.connect(arguments))
    try:
        job = client.create_and_wait_for_completion(arguments.query, timeout=arguments.timeout, progress=True)
    except CartoJobFailed as error:
        sys.exit(f"The job is {error.job['status']}: {error.job.get('failed_reason', 'nobody said why')}")
    except CartoJobTimeout as error:
        client.cancel(error.job["job_id"])
        sys.exit("That took too long; the job is cancelled.")
    print(f"Job {job['job_id']} is {job['status']}.")


if __name__ == "__main__":
    main()
