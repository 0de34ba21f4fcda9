"""Lists of readings: which of them are asked for, and the answer with a part of them."""

from __future__ import annotations

import orjson
from starlette.datastructures import QueryParams
from starlette.responses import Response

from carto_like.server.pool import Connection
from carto_like.server.services.iotile.readings import Period, Place, Slice
from carto_like.server.services.iotile.scopes import NOTHING, Scope, scope_of

from .call import Call
from .lists import Page, Paging, Sizes, answer_of
from .parameters import moment_of, number_of, text_of
from .problems import invalid_page, wrong

_MOST_LAST = 100_000


def period_of(params: QueryParams) -> Period:
    """Which readings the query asks for.

    Raises:
        Refusal: 400, a parameter has a value that cannot be.
    """
    return Period(
        start=moment_of(params, "start"),
        end=moment_of(params, "end"),
        lastn=number_of(params, "lastn", least=1, most=_MOST_LAST),
        ids=(number_of(params, "id_0"), number_of(params, "id_1")),
        local_ids=(number_of(params, "streamer_id_0"), number_of(params, "streamer_id_1")),
    )


async def filtered(call: Call, connection: Connection) -> Scope:
    """What ``filter`` means; nothing without one.

    Raises:
        Refusal: 400, it is no slug of a stream, device, block or variable.
    """
    text = text_of(call.request.query_params, "filter")
    if text is None:
        return NOTHING
    scope = await scope_of(connection, call.person.id, text)
    if scope is None:
        raise wrong("filter", "Enter the slug of a stream, device, data block or variable.")
    return scope


class SliceAnswer:
    """The part of a list that a request asks for.

    Args:
        call: the request.
        sizes: of parts.
    """

    def __init__(self, call: Call, sizes: Sizes) -> None:
        self._call = call
        self._paging: Paging = call.paging(sizes)

    @property
    def size(self) -> int:
        """How many at most."""
        return self._paging.size

    @property
    def place(self) -> Place:
        """Where it begins."""
        position = self._paging.position
        if position is None:
            return Place(None if self._paging.number is None else self._paging.offset)
        moment, number, left = position.after
        return Place(after=(moment, number, left), count=position.count)

    def respond(self, part: Slice) -> Response:
        """The answer; raises 404 for a page past the end.

        A cursor's page that has become empty is none: it was there when its address was made.
        """
        number = self._paging.number or max(1, -(-part.count // self.size))
        if not part.size and number > 1 and self._paging.position is None:
            raise invalid_page()
        page = Page([], part.count, number, part.end)
        public_url = self._call.platform.settings.public_url
        around = answer_of(self._call.request, self._call.site.cursors, page, [], public_url=public_url)
        # The items are JSON already, so they are put where the empty list is.
        head = orjson.dumps(around).removesuffix(b"]}")
        return Response(head + part.text.encode() + b"]}", media_type="application/json")
