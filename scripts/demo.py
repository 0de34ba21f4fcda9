"""Start a platform, run the airports example on it, stop it; see scripts/demo."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 60


@contextmanager
def platform(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run ``carto-like serve`` and give what it says of itself when it is ready; stopped at the end.

    It runs in a process group of its own: an interrupt at the terminal reaches us first, and we stop it.
    """
    command = [sys.executable, "-m", "carto_like.cli", "serve", "--json", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            sys.exit("The platform did not start; what it says about it stands above.")
        yield server, json.loads(line)
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            sys.exit(f"The platform did not stop within {STOP_SECONDS} s and was killed.")


def airports(account: dict[str, Any]) -> int:
    """Run the example on the account, its key in the environment; the exit code."""
    environment = {**os.environ, "CARTO_API_URL": account["base_url"], "CARTO_API_KEY": account["api_key"]}
    command = [sys.executable, str(ROOT / "examples" / "etl_airports.py")]
    return subprocess.run(command, env=environment).returncode


def run_and_clean_up() -> int:
    """Do everything in a folder that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="carto-like-demo-"))
    # Run by root, the database is another user's process, who must be able to enter.
    folder.chmod(0o711)
    try:
        print("Starting a platform of its own ...", flush=True)
        with platform("--port", "0", "--data-dir", str(folder / "data")) as (_, account):
            return airports(account)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_and_serve(options: list[str]) -> int:
    """Do it on a platform that then keeps running until it is interrupted."""
    with platform(*options) as (server, account):
        code = airports(account)
        print(f"\nThe platform is running at {account['base_url']} as user {account['user']}.")
        print(f"Try:  {Path(sys.executable).with_name('carto-like')} sql 'select postgis_version()'")
        print("Press Ctrl-C to stop it.", flush=True)
        server.wait()
        return code


def leave(number: int, frame: object) -> None:
    """Let the ``finally`` clauses run when we are told to end."""
    sys.exit(128 + number)


def main() -> None:
    """Run the demonstration; exit code 0 when all of it worked."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Move airports through a platform.")
    parser.add_argument(
        "--serve",
        action="store_true",
        help="keep the platform running; further options go to carto-like serve",
    )
    arguments, options = parser.parse_known_args()
    if options and not arguments.serve:
        parser.error(f"unknown without --serve: {' '.join(options)}")
    signal.signal(signal.SIGTERM, leave)
    try:
        sys.exit(run_and_serve(options) if arguments.serve else run_and_clean_up())
    except KeyboardInterrupt:
        sys.exit(0 if arguments.serve else 130)


if __name__ == "__main__":
    main()
