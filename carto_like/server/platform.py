"""What a running server consists of: the parts that requests share."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .db import Database
from .imports.reader import Readers
from .jobs.jobs import Jobs
from .maps.pictures import Pictures
from .metrics import Metrics
from .secrets import Secrets
from .services.users import Users
from .settings import Settings


@dataclass(frozen=True)
class Platform:
    """The parts of one server, made by the application and given to every family of routes."""

    settings: Settings
    database: Database
    secrets: Secrets
    users: Users
    metrics: Metrics
    jobs: Jobs
    readers: Readers
    pictures: Pictures

    @classmethod
    def create(cls, settings: Settings) -> Platform:
        """A platform that is not open yet: it has connected to nothing."""
        secrets = Secrets(settings.secret)
        database = Database(settings, secrets)
        metrics = Metrics(lambda: database.open_logins)
        users = Users(database, secrets, default_quota=settings.limits.quota_bytes)
        readers, pictures = (
            Readers(settings.limits),
            Pictures(settings.limits.map_threads, settings.limits.map_rows, settings.limits.map_bytes),
        )
        return cls(settings, database, secrets, users, metrics, Jobs(database), readers, pictures)

    @property
    def uploads_dir(self) -> Path:
        """Where files wait for their import."""
        settings = self.settings
        if settings.uploads_dir is not None:
            return settings.uploads_dir
        if settings.data_dir is not None:
            return settings.data_dir / "uploads"
        return Path(tempfile.gettempdir()) / f"carto-like-uploads-{os.getuid()}"

    async def open(self) -> None:
        """Connect to the database."""
        await self.database.open()

    def start_worker(self) -> None:
        """Run jobs in this process, until it is closed."""
        self.jobs.start_worker(self)
        self.readers.children.warm_up()

    async def close(self) -> None:
        """Stop working, and give everything back."""
        await self.jobs.close()
        await self.readers.children.close()
        await self.pictures.close()
        await self.database.close()
