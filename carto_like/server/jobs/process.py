"""A process that does nothing but run jobs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from carto_like.server.deployment import opened_platform
from carto_like.server.settings import Settings


def work(settings: Settings, announce: Callable[[], None]) -> None:
    """Run jobs until SIGINT or SIGTERM.

    Args:
        settings: of a platform whose database is ready.
        announce: called when jobs are being run.
    """
    asyncio.run(_work(settings, announce))


async def _work(settings: Settings, announce: Callable[[], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with opened_platform(settings) as platform:
        platform.start_worker()
        announce()
        await stop.wait()
