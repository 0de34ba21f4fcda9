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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 60


class Signals:
    """Leaves the program in order when it is told to end, but never while a process is being started.

    A process that was started and is not known yet could not be stopped. A second signal changes nothing:
    what the first one began is the quickest way out that leaves nothing behind.

    Attributes:
        exit_code: what to end with once a signal is the normal end; None while it is not.
    """

    def __init__(self) -> None:
        self._holding = False
        self._received: int | None = None
        self.exit_code: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: object) -> None:
        first = self._received is None
        self._received = number
        if first and not self._holding:
            self._leave(number)

    def _leave(self, number: int) -> None:
        sys.exit(128 + number if self.exit_code is None else self.exit_code)

    def hold(self) -> None:
        """From here on, only remember that a signal came."""
        self._holding = True

    def release(self) -> None:
        """Act on signals again, first on one that came in the meantime."""
        self._holding = False
        if self._received is not None:
            self._leave(self._received)


@contextmanager
def platform(
    signals: Signals, *options: str, log: Path | None = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run ``carto-like serve`` and give what it says of itself when it is ready; stopped at the end.

    It runs in a process group of its own: an interrupt at the terminal reaches us first, and we stop it.
    What it logs goes to a file, or where our own messages go.
    """
    command = [sys.executable, "-m", "carto_like.cli", "serve", "--json", *options]
    with log.open("w") if log else nullcontext() as stderr:
        signals.hold()
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )
    try:
        signals.release()
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            sys.exit(f"The platform did not start. {log.read_text() if log else ''}")
        yield server, json.loads(line)
    finally:
        stop(server)


def stop(server: subprocess.Popen[str]) -> None:
    """Tell a process to end, and see that it does."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        sys.exit(f"The platform did not stop within {STOP_SECONDS} s and was killed.")


def airports(account: dict[str, Any], *map_options: str) -> int:
    """Run the examples on the account, its key in the environment; the exit code of the first that fails."""
    environment = {**os.environ, "CARTO_API_URL": account["base_url"], "CARTO_API_KEY": account["api_key"]}
    for example, *options in (("etl_airports.py",), ("map_airports.py", *map_options)):
        command = [sys.executable, str(ROOT / "examples" / example), *options]
        code = subprocess.run(command, env=environment).returncode
        if code:
            return code
    return 0


def run_and_clean_up(signals: Signals) -> int:
    """Do everything in a folder that is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="carto-like-demo-"))
    # Run by root, the database is another user's process, who must be able to enter.
    folder.chmod(0o711)
    try:
        print("Starting a platform of its own ...", flush=True)
        log = folder / "server.log"
        with platform(signals, "--port", "0", "--data-dir", str(folder / "data"), log=log) as (_, account):
            code = airports(account, "--no-address")
        if code:
            print(f"What the platform logged:\n{log.read_text()}", file=sys.stderr)
        return code
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_and_serve(signals: Signals, options: list[str]) -> int:
    """Do it on a platform that then keeps running until it is interrupted."""
    with platform(signals, *options) as (server, account):
        code = airports(account)
        print(f"\nThe platform is running at {account['base_url']} as user {account['user']}.")
        print(f"Try:  {Path(sys.executable).with_name('carto-like')} sql 'select postgis_version()'")
        signals.exit_code = code
        print("Press Ctrl-C to stop it.", flush=True)
        server.wait()
        return code


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
    signals = Signals()
    sys.exit(run_and_serve(signals, options) if arguments.serve else run_and_clean_up(signals))


if __name__ == "__main__":
    main()
