"""``streamer/report/``: what devices send, all of it or nothing recorded."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from anyio.to_thread import run_sync
from starlette.responses import Response
from starlette.routing import Route

from carto_like.server.iotile.call import Call, Site, answer, route
from carto_like.server.iotile.lists import SMALL, Listing
from carto_like.server.iotile.parameters import can_be_kept, moment, stamp, text_of, uuid_of
from carto_like.server.iotile.problems import Refusal, not_found
from carto_like.server.iotile.reportfile import Report, ReportEvent, ReportReading, bad_report, read_report
from carto_like.server.iotile.uploads import upload_of
from carto_like.server.services.iotile.chunks import content_of
from carto_like.server.services.iotile.recording import NewReading
from carto_like.server.services.iotile.reports import Delivery, NewEvent, Sender, deliver, sender_of
from carto_like.server.services.iotile.slugs import (
    StreamKey,
    device_slug,
    make_variable_key,
    project_slug,
    streamer_key,
    streamer_slug,
)

# In the part after the date; the plus sign of an offset is a blank in a query that was not quoted.
_OFFSET = re.compile(r"[+-]|\s\d")
_DATE = len("2024-05-01T")
_SOURCE = (
    "FROM carto_like.iotile_streamer_report r JOIN carto_like.iotile_streamer s ON s.id = r.streamer"
    " JOIN carto_like.iotile_org_member m ON m.org = r.org AND m.account = %(account)s AND m.is_active"
    " LEFT JOIN carto_like.iotile_account a ON a.id = r.created_by"
    " LEFT JOIN carto_like.users u ON u.id = a.user_id WHERE true"
)
_COLUMNS = (
    "r.id, s.device, s.index, u.name, r.original_first_id, r.original_last_id, r.actual_first_id,"
    " r.actual_last_id, r.sent_timestamp, r.device_sent_timestamp, r.incremental_id, r.time_epsilon,"
    " r.created_on"
)
_NAMES = (
    *("original_first_id", "original_last_id", "actual_first_id", "actual_last_id", "sent_timestamp"),
    *("device_sent_timestamp", "incremental_id", "time_epsilon", "created_on"),
)


async def upload(call: Call) -> Response:
    """Record a report's readings; those that were recorded before are counted, and not recorded again."""
    sent = _sent(call)
    given = await upload_of(call.request, bad_report("A report comes as a file in the field 'file'"))
    # A body full of readings takes seconds, which nobody else shall wait for.
    report = await run_sync(read_report, given.name, given.content)
    account = call.person.id
    async with call.platform.database.metadata() as connection:
        sender = await sender_of(connection, account, report.device)
        if sender is None:
            raise bad_report(f"There is no device {device_slug(report.device)} that you may record for")
        if sender.project is None:
            raise bad_report(f"{device_slug(report.device)} is in no project; claim it first")
        extension = PurePosixPath(given.name).suffix.lower()
        delivery = await run_sync(_delivery, report, sender, sent, given.content, extension)
        await deliver(connection, delivery, account)
    return answer({"count": len(report.readings) + len(report.events)}, 201)


def _sent(call: Call) -> datetime:
    """When the report arrived, as the query has it: UTC, with or without ``Z``."""
    text = text_of(call.request.query_params, "timestamp")
    if text is None:
        raise bad_report("Give the moment of the report in UTC as 'timestamp' of the query")
    if _OFFSET.search(text.strip(), _DATE):
        raise bad_report("'timestamp' must be UTC, such as 2024-05-01T10:00:00Z, without an offset")
    try:
        return moment(text, "timestamp")
    except Refusal as refusal:
        raise bad_report(f"'timestamp': {refusal.body['timestamp'][0]}") from None


def _delivery(report: Report, sender: Sender, sent: datetime, content: bytes, extension: str) -> Delivery:
    """The report with moments in UTC: the device's clock is read against the moment at which it sent."""
    assert sender.project is not None, "a report of a device without a project was refused"
    project = sender.project

    def key(item: ReportReading | ReportEvent) -> StreamKey:
        if item.project not in (None, project):
            raise bad_report(
                f"{device_slug(sender.device)} records in {project_slug(project)},"
                f" and 'stream' names {project_slug(item.project)}"
            )
        return StreamKey(sender.device, make_variable_key(project, item.lid))

    def when(taken: int | None, given: datetime | None) -> datetime:
        if given is not None or taken is None:
            return given or sent
        try:
            return sent - timedelta(seconds=report.sent - taken)
        except OverflowError:
            raise bad_report(f"A device timestamp of {taken} seconds is no moment") from None

    readings = [
        NewReading(
            key(item),
            when(item.device_timestamp, item.moment),
            int_value=item.value,
            device_timestamp=item.device_timestamp,
            local_id=item.local_id,
            # The device's clock was set back since: its moment is a guess.
            is_dirty=item.moment is None and (item.device_timestamp or 0) > report.sent,
        )
        for item in report.readings
    ]
    events = [
        NewEvent(
            key(item),
            when(item.device_timestamp, item.moment),
            item.device_timestamp,
            item.local_id,
            dict(item.extra_data),
        )
        for item in report.events
    ]
    if not all(can_be_kept(event.extra_data) for event in events):
        raise bad_report("'extra_data' of an event holds a null character, or what JSON cannot tell")
    return Delivery(
        sender=sender,
        index=report.index,
        selector=report.selector,
        report_id=report.report_id,
        first=report.lowest_id,
        last=report.highest_id,
        sent=sent,
        device_sent=report.sent,
        content=content,
        extension=extension,
        readings=readings,
        events=events,
    )


async def list_reports(call: Call) -> Response:
    """Reports of devices that the account may see; ``streamer=`` narrows them."""
    source, values = _SOURCE, {"account": call.person.id}
    text = text_of(call.request.query_params, "streamer")
    if text is not None:
        device, index = streamer_key(text) or (-1, -1)
        source += " AND s.device = %(device)s AND s.index = %(index)s"
        values |= {"device": device, "index": index}
    return await call.list(Listing(_COLUMNS, source, values, ("r.created_on", "r.id")), SMALL, shape)


async def show(call: Call) -> Response:
    """One report."""
    return answer(shape(await _report(call)))


async def file(call: Call) -> Response:
    """The file of a report, as it came."""
    number = (await _report(call))[0]
    async with call.platform.database.metadata() as connection:
        content = await content_of(connection, "report", number)
    return Response(content, media_type="application/octet-stream")


async def _report(call: Call) -> tuple[Any, ...]:
    number = uuid_of(call.path["id"])
    if number is None:
        raise not_found()
    values = {"account": call.person.id, "number": number}
    async with call.platform.database.metadata() as connection:
        cursor = await connection.execute(
            f"SELECT {_COLUMNS} {_SOURCE} AND r.id = %(number)s".encode(), values
        )
        row = await cursor.fetchone()
    if row is None:
        raise not_found()
    return tuple(row)


def shape(row: tuple[Any, ...]) -> dict[str, Any]:
    """A report as it is told."""
    number, device, index, creator, *rest = row
    told = dict(zip(_NAMES, rest, strict=True))
    return {
        "id": str(number),
        **told,
        "streamer": streamer_slug(device, index),
        "sent_timestamp": stamp(told["sent_timestamp"]),
        "created_on": stamp(told["created_on"]),
        "created_by": creator,
    }


async def reports_or_new(call: Call) -> Response:
    """The two things that a collection of reports does."""
    return await (upload(call) if call.method == "POST" else list_reports(call))


def routes(site: Site) -> list[Route]:
    """The routes, relative to the root of the API; to be found before those of streamers by slug."""
    return [
        route(site, "/streamer/report", reports_or_new, methods=("GET", "POST")),
        route(site, "/streamer/report/{id}", show),
        route(site, "/streamer/report/{id}/file", file),
    ]
