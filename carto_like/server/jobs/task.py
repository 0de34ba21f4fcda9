"""What a kind of work is to the queue: its name, what runs it, what becomes of it when its worker dies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

if TYPE_CHECKING:
    from carto_like.server.platform import Platform


@dataclass(frozen=True)
class StalledJob:
    """A job whose worker died, or lost the database for too long, before it was finished.

    Attributes:
        account_id: whose work it is.
        arguments: what it was deferred with.
        attempts: how often it was begun before this time.
    """

    account_id: UUID
    arguments: Mapping[str, Any]
    attempts: int


@dataclass(frozen=True)
class Task:
    """A kind of work. Jobs of one queue and one account run one after the other, first come first served.

    Attributes:
        name: what jobs of this kind are deferred as.
        queue: the queue they wait in.
        run: does the work; called as ``run(platform, account_id=..., **arguments)``. When the worker stops
            it is cancelled, and begun anew by the next one.
        recover: told of a job that stalled; answers whether it shall be begun once more.
        tidy: called every now and then by each worker, to begin what is due and remove what is past its time.
        once: whether at most one job of an account waits at a time, more being the same as one.
    """

    name: str
    queue: Literal["batch", "import"]
    run: Callable[..., Awaitable[None]]
    recover: Callable[[Platform, StalledJob], Awaitable[bool]]
    tidy: Callable[[Platform], Awaitable[None]] | None = None
    once: bool = False
