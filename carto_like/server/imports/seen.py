"""By what the data at an address is known again, so that it need not be loaded twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime

_LONGEST_TAG = 1000


@dataclass(frozen=True)
class Seen:
    """What tells one state of a source's data from another.

    Attributes:
        etag: the server's name for it, without quotes.
        modified_at: when it was made, as the server says.
        digest: SHA-256 of the data itself.
    """

    etag: str | None = None
    modified_at: datetime | None = None
    digest: str | None = None

    def differs(self, now: Seen) -> bool | None:
        """Whether the data is other data now; None when only the data itself can tell."""
        if self.etag and now.etag:
            return self.etag != now.etag
        if self.modified_at and now.modified_at:
            return now.modified_at > self.modified_at
        return None

    def as_json(self) -> dict[str, str | None]:
        """The same in JSON; see :meth:`from_json`."""
        moment = self.modified_at.isoformat() if self.modified_at else None
        return {"etag": self.etag, "modified_at": moment, "digest": self.digest}

    @classmethod
    def from_json(cls, told: Mapping[str, str | None]) -> Seen:
        """What :meth:`as_json` has told."""
        moment = told.get("modified_at")
        modified_at = datetime.fromisoformat(moment) if moment else None
        return cls(told.get("etag"), modified_at, told.get("digest"))

    def as_conditions(self) -> dict[str, str]:
        """Headers that ask for the data only if it is other data now."""
        conditions = {}
        if self.etag:
            weak, tag = ("W/", self.etag[2:]) if self.etag.startswith("W/") else ("", self.etag)
            conditions["If-None-Match"] = f'{weak}"{tag}"'
        if self.modified_at:
            utc = self.modified_at.astimezone(timezone.utc)
            conditions["If-Modified-Since"] = format_datetime(utc, usegmt=True)
        return conditions


@dataclass(frozen=True)
class Fetched:
    """What came of a download.

    Attributes:
        name: of the file, as the server or the address gives it.
        seen: of the data.
        is_changed: whether it is other data than was known.
    """

    name: str
    seen: Seen
    is_changed: bool = True


def seen_in(headers: Message) -> Seen:
    """What an answer says of its data."""
    etag = (headers.get("ETag") or "").replace('"', "").strip()[:_LONGEST_TAG]
    return Seen(
        etag if etag and etag.isascii() and etag.isprintable() else None,
        _moment(headers.get("Last-Modified")),
    )


def _moment(text: str | None) -> datetime | None:
    """The moment that a header names; None for what is none."""
    try:
        moment = parsedate_to_datetime(text or "")
        return (
            moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
        )
    except (TypeError, ValueError, OverflowError):
        return None
