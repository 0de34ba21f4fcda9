"""Create, read, list or cancel a batch job: SQL that runs on the server for as long as it takes.

python examples/sql_batch_api_jobs.py create --query "CREATE TABLE busy AS SELECT * FROM stops WHERE n > 9"
python examples/sql_batch_api_jobs.py read --job_id 6ce8547b-1499-4859-b8dd-ae4752d79100
"""

from __future__ import annotations

import sys

from carto_like.exceptions import CartoException
from carto_like.sql import BatchSQLClient

import account

OPERATIONS = ("create", "read", "update", "cancel", "list")


def main() -> None:
    """Do what was asked for, and print the job."""
    parser = account.parser(__doc__)
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("--query", help="for create and update")
    parser.add_argument("--job_id", help="for read, update and cancel")
    arguments = parser.parse_args()

    client = BatchSQLClient(account.connect(arguments))
    if arguments.operation in ("create", "update") and not arguments.query:
        sys.exit("Give the query: --query")
    if arguments.operation in ("read", "update", "cancel") and not arguments.job_id:
        sys.exit("Give the job's id: --job_id")

    if arguments.operation == "create":
        show(client.create(arguments.query))
    elif arguments.operation == "read":
        show(client.read(arguments.job_id))
    elif arguments.operation == "cancel":
        print(f"The job is {client.cancel(arguments.job_id)}.")
    elif arguments.operation == "list":
        for job in client.list_jobs():
            show(job)
    else:
        # Servers stopped to change jobs long ago; the error says what to do instead.
        try:
            show(client.update(arguments.job_id, arguments.query))
        except CartoException as error:
            sys.exit(str(error))


def show(job: dict[str, object]) -> None:
    """Print what a job is about."""
    for name in ("job_id", "status", "query", "failed_reason", "created_at", "updated_at"):
        if name in job:
            print(f"{name}: {job[name]}")


if __name__ == "__main__":
    main()
