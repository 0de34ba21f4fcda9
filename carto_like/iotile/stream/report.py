"""Sums over streams, devices, blocks and projects."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

from carto_like.iotile._times import moment
from carto_like.iotile.api.connection import Api
from carto_like.iotile.api.exceptions import HttpClientError, HttpNotFoundError, HttpServerError
from carto_like.iotile.stream.data import StreamData
from carto_like.iotile.utils.basic import datetime_to_str
from carto_like.iotile.utils.gid import IOTileBlockSlug, IOTileDeviceSlug, IOTileProjectSlug, IOTileStreamSlug

__all__ = ["AccumulationReportGenerator", "BaseReportGenerator"]

_LOG = logging.getLogger(__name__)


class BaseReportGenerator:
    """Finds the streams of some sources; a subclass makes a report of them.

    Args:
        api: a connection that is logged in.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._streams: dict[str, dict[str, Any]] = {}

    def compute_sum(
        self, sources: Iterable[str], start: datetime | str, end: datetime | str | None = None
    ) -> dict[str, Any]:
        """The report on these sources from ``start``, inclusive, to ``end``, exclusive.

        Args:
            sources: slugs of projects (``p--``), devices (``d--``), blocks (``b--``) and streams (``s--``); a
                stream that several of them hold counts once.
            start: datetime, or ISO 8601 text; without a zone it is UTC.
            end: the same; None is now.

        Returns:
            The report, or a dict with the single key ``error`` when there is no stream.

        Raises:
            ValueError: a slug or a moment is malformed.
        """
        since = moment(start, "start")
        until = datetime.now(timezone.utc) if end is None else moment(end, "end")
        self._streams = {}
        for source in sources:
            self._add_source(str(source))
        if not self._streams:
            return {"error": "No streams found for these sources"}
        return self._process_data(start=since, end=until)

    def _process_data(self, start: datetime, end: datetime | None = None) -> dict[str, Any]:
        _LOG.warning("%s makes no report", type(self).__name__)
        return {}

    def _add_source(self, source: str) -> None:
        try:
            for stream in self._streams_of(source):
                self._streams.setdefault(stream["slug"], stream)
        except HttpClientError as error:
            _LOG.error("%s is left out: %s", source, error)

    def _streams_of(self, source: str) -> Iterator[dict[str, Any]]:
        kind = source[:3]
        if kind == "s--":
            yield self._api.path("stream", str(IOTileStreamSlug(source))).get()
        elif kind == "p--":
            yield from self._listed(project=str(IOTileProjectSlug(source)))
        elif kind == "d--":
            yield from self._listed(device=str(IOTileDeviceSlug(source)))
        elif kind == "b--":
            yield from self._listed(block=str(IOTileBlockSlug(source)))
        else:
            _LOG.error("%s is left out: not the slug of a project, device, block or stream", source)

    def _listed(self, **query: str) -> Iterator[dict[str, Any]]:
        place: dict[str, Any] = {}
        asked: list[dict[str, Any]] = []
        while place not in asked:
            asked.append(place)
            body = self._api.path("stream").get(**{**query, **place})
            yield from body.get("results", ())
            if not body.get("next"):
                return
            following = parse_qs(urlsplit(body["next"]).query)
            place = {name: following[name][0] for name in ("cursor", "page") if name in following}


class AccumulationReportGenerator(BaseReportGenerator):
    """Sums what streams recorded.

    The report is ``{"streams": {slug: {"sum": ..., "units": ...}}, "total": ...}``; streams without data are
    left out. Streams that could not be read stand under ``failed``, with the reason, when there are any.
    """

    def _process_data(self, start: datetime, end: datetime | None = None) -> dict[str, Any]:
        period = {"start": datetime_to_str(start)}
        if end is not None:
            period["end"] = datetime_to_str(end)
        sums: dict[str, dict[str, Any]] = {}
        failed: dict[str, str] = {}
        for slug, stream in self._streams.items():
            try:
                found = self._sum(slug, period)
            except (HttpClientError, HttpServerError) as error:
                failed[slug] = str(error)
                continue
            if found is not None:
                sums[slug] = {"sum": found, "units": (stream.get("output_unit") or {}).get("unit_short")}
        report = {"streams": sums, "total": sum(entry["sum"] for entry in sums.values())}
        return {**report, "failed": failed} if failed else report

    def _sum(self, slug: str, period: dict[str, str]) -> float | None:
        """The sum of a stream's values, None when it has none; the memory holds a page of them."""
        total: float | None = None
        try:
            for page in StreamData(slug, self._api).pages_from_server(**period):
                values = [entry["output_value"] for entry in page if entry.get("output_value") is not None]
                if values:
                    total = (total or 0) + sum(values)
        except HttpNotFoundError:
            # Nothing there, or nothing left there: what was read before counts.
            pass
        return total
