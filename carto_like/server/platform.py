"""What a running server consists of: the parts that requests share."""

from __future__ import annotations

from dataclasses import dataclass

from .db import Database
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

    @classmethod
    def create(cls, settings: Settings) -> Platform:
        """A platform that is not open yet: it has connected to nothing."""
        secrets = Secrets(settings.secret)
        database = Database(settings, secrets)
        metrics = Metrics(lambda: database.open_logins)
        users = Users(database, secrets, default_quota=settings.limits.quota_bytes)
        return cls(settings, database, secrets, users, metrics)

    async def open(self) -> None:
        """Connect to the database."""
        await self.database.open()

    async def close(self) -> None:
        """Give everything back."""
        await self.database.close()
