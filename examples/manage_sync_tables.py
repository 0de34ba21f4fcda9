"""List the synchronizations of the account, force one, or end one.

python examples/manage_sync_tables.py list
python examples/manage_sync_tables.py force trees
python examples/manage_sync_tables.py delete trees
"""

from __future__ import annotations

import sys

from carto_like.sync_tables import SyncTableJobManager

import account


def main() -> None:
    """Do to the synchronizations what the command line says."""
    parser = account.parser(__doc__)
    parser.add_argument("action", choices=("list", "force", "delete"))
    parser.add_argument("name", nargs="?", help="name of the dataset, or id of the synchronization")
    arguments = parser.parse_args()

    jobs = SyncTableJobManager(account.connect(arguments)).all()
    if arguments.action == "list":
        for job in jobs:
            reason = f" ({job.error_message})" if job.error_message else ""
            print(f"{job.name or job.id} {job.state}{reason}, every {job.interval} s, next: {job.run_at}")
        print(f"{len(jobs)} synchronizations")
        return
    wanted = [job for job in jobs if arguments.name in (job.name, job.id)]
    if not wanted:
        sys.exit(f"There is no synchronization {arguments.name}.")
    job = wanted[0]
    if arguments.action == "force":
        job.force_sync()
        print("Forced." if job.enqueued else "Not forced: it runs, or the last run was a short time ago.")
    else:
        job.delete()
        print(f"{job.name} stays as it is from now on.")


if __name__ == "__main__":
    main()
