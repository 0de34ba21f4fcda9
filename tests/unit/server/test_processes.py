"""Processes are started from several event loops at once, as tests with two servers have them."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import uvloop

from carto_like.server import processes

_LOOPS = 4


def test_event_loops_start_processes_side_by_side() -> None:
    together = Barrier(_LOOPS)

    async def start_some() -> list[int]:
        together.wait(30)
        started = [await processes.start("true") for _ in range(25)]
        return [await process.wait() for process in started]

    def run() -> list[int]:
        loop = uvloop.new_event_loop()
        try:
            return loop.run_until_complete(start_some())
        finally:
            loop.close()

    with ThreadPoolExecutor(_LOOPS) as threads:
        ends = [done.result(60) for done in [threads.submit(run) for _ in range(_LOOPS)]]
    gc.collect()
    assert ends == [[0] * 25] * _LOOPS
