"""Jobs of the server that end with a dataset: what imports and synchronizations have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from carto_like.core.client import Client
from carto_like.core.clock import SYSTEM_CLOCK, Clock
from carto_like.core.jobs import wait
from carto_like.core.retry import Retry
from carto_like.exceptions import (
    CartoConfigurationException,
    CartoException,
    CartoJobFailed,
    CartoJobTimeout,
)
from carto_like.resources import AsyncResource

if TYPE_CHECKING:
    from carto_like.datasets import Dataset

WAITING_STATES = frozenset(
    {"enqueued", "queued", "pending", "uploading", "unpacking", "importing", "guessing", "geocoding"}
    | {"created", "syncing"}
)
DONE_STATES = frozenset({"complete", "success"})

# Small files take less than a tenth of a second.
_FIRST_INTERVAL, _LONGEST_INTERVAL = 0.05, 10.0
# Waiting goes on through outages and limits of the rate that would end a single request.
_PATIENT = Retry(attempts=8, backoff=1.0)


class DatasetJob(AsyncResource):
    """A job that starts by itself, once, when something of it is asked for."""

    state: Any
    _failed_class: type[CartoJobFailed] = CartoJobFailed

    def __repr__(self) -> str:
        meta: Any = self.Meta
        return f"<{type(self).__name__} {meta.id_field}={self._known_id!r}>"

    # Comparing jobs must not start them.
    def __eq__(self, other: object) -> bool:
        return self is other or (self._is_started and super().__eq__(other))

    def __hash__(self) -> int:
        return super().__hash__() if self._is_started else object.__hash__(self)

    def __str__(self) -> str:
        return self._known_id or repr(self)

    def refresh(self) -> None:
        """Read the state of the job, which starts it when that has not been done.

        Raises:
            CartoException: it cannot be read.
        """
        self._read({})

    def wait(
        self: _Job,
        timeout: float | None = None,
        progress: Callable[[_Job], object] | None = None,
        *,
        interval: float = _FIRST_INTERVAL,
        longest: float = _LONGEST_INTERVAL,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Dataset:
        """The dataset, when the run that waits or is under way has ended.

        Args:
            timeout: seconds to wait; None for as long as it takes.
            progress: called with the job whenever its ``state`` is another one.
            interval: seconds before the second look; the time between looks grows.
            longest: seconds that it grows to.
            clock: where time comes from.

        Raises:
            ImportFailed: no dataset was made; ``code``, ``title`` and ``what_about`` tell why. A
                synchronization tries again by itself.
            CartoJobTimeout: it has not ended in time; it goes on, and can be waited for again.
        """
        shown: list[str | None] = []

        def read() -> _Job:
            self._read({"retry": _PATIENT} if isinstance(self.client, Client) else {})
            if progress is not None and shown[-1:] != [self.state]:
                shown.append(self.state)
                progress(self)
            return self

        wait(
            read,
            is_done=lambda job: job.state in DONE_STATES,
            failure=lambda job: job._failure(),
            interval=interval,
            longest=longest,
            timeout=timeout,
            clock=clock,
            failed=self._failed_class,
            timed_out=CartoJobTimeout,
        )
        return self.get_dataset()

    def get_dataset(self) -> Dataset:
        """The dataset that was made."""
        raise NotImplementedError

    @property
    def _is_started(self) -> bool:
        return self._known_id is not None

    @property
    def _known_id(self) -> str | None:
        # Asking by get_id() would start the job.
        identity: str | None = super().get_id()
        return identity

    def _is_to_start(self, import_params: dict[str, Any]) -> bool:
        """Whether to start now; parameters that come too late are an error."""
        if self._is_started and import_params:
            text = f"{self!r} has been started: give {', '.join(sorted(import_params))} before"
            raise CartoConfigurationException(text)
        return not self._is_started

    def _read(self, options: dict[str, Any]) -> None:
        if self.get_id() is None:
            raise CartoException(f"{type(self).__name__} has no id: run it first")
        endpoint = self.get_resource_endpoint()
        assert endpoint is not None
        self.send(endpoint, "get", **options)

    def _failure(self) -> str | None:
        """What its state says of a bad end."""
        raise NotImplementedError


_Job = TypeVar("_Job", bound=DatasetJob)
