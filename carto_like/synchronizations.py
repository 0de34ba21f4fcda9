"""How a dataset follows a source on the web."""

from __future__ import annotations

from carto_like.core.fields import BooleanField, CharField, DateTimeField, IntegerField
from carto_like.resources import Resource

__all__ = ["Synchronization"]


class Synchronization(Resource):
    """The schedule and the last outcome of a dataset's synchronization, as the dataset tells it."""

    id = CharField()
    checksum = CharField()
    content_guessing = BooleanField()
    created_at = DateTimeField()
    error_code = CharField()
    error_message = CharField()
    etag = CharField()
    from_external_source = BooleanField()
    interval = IntegerField()
    log_id = CharField()
    modified_at = DateTimeField()
    name = CharField()
    quoted_fields_guessing = BooleanField()
    ran_at = DateTimeField()
    retried_times = IntegerField()
    run_at = DateTimeField()
    service_item_id = CharField()
    service_name = CharField()
    state = CharField()
    type_guessing = BooleanField()
    updated_at = DateTimeField()
    url = CharField()
    user_id = CharField()
    visualization_id = CharField()
