"""What CARTO's resources and their managers have in common."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

from carto_like.core import _pyrestcli
from carto_like.core.manager import Manager as CoreManager
from carto_like.core.resource import Resource as CoreResource
from carto_like.exceptions import CartoException, wrapped
from carto_like.paginators import CartoPaginator

__all__ = [
    "AsyncResource",
    "Manager",
    "NonPublicApiWarning",
    "Resource",
    "WarnAsyncResource",
    "WarnResource",
]

_PACKAGE = __name__.partition(".")[0]


class NonPublicApiWarning(FutureWarning):
    """The resource belongs to a part of CARTO's API that may change without notice."""


class Resource(CoreResource):
    """A resource of CARTO's; an update carries what changed and nothing else."""

    class Meta:
        partial_update = True


class AsyncResource(Resource):
    """A job on the server: started by :meth:`run`, followed by :meth:`refresh`."""

    def run(self, **client_params: Any) -> None:
        """Start the job.

        Args:
            **client_params: arguments of the request: ``params``, ``json``, ``files`` and so on.

        Raises:
            CartoException: the job could not be started; ``args[0]`` tells why.
        """
        with wrapped(self.client):
            self.send(self.get_collection_endpoint(), "post", **client_params)

    def refresh(self) -> None:
        """Read the state of the job.

        Raises:
            CartoException: the job was not started.
        """
        if self.get_id() is None:
            raise CartoException(f"{type(self).__name__} has no id: run it first")
        super().refresh()


class WarnResource(Resource):
    """A resource whose API is not public; the first object of each class says so."""

    def __init__(self, auth_client: Any, **kwargs: Any) -> None:
        _warn_once(type(self))
        super().__init__(auth_client, **kwargs)


class WarnAsyncResource(AsyncResource):
    """A job whose API is not public; the first object of each class says so."""

    def __init__(self, auth_client: Any, **kwargs: Any) -> None:
        _warn_once(type(self))
        super().__init__(auth_client, **kwargs)


R = TypeVar("R", bound=CoreResource)


class Manager(CoreManager[R]):
    """One of CARTO's collections; lists are paged by number."""

    paginator_class: type[_pyrestcli.Paginator] = CartoPaginator

    def new_paginator(self, params: Mapping[str, Any]) -> _pyrestcli.Paginator:
        """The paginator of one run, built as CARTO's paginators are: with the key of the list first."""
        kind: Any = self.paginator_class
        query = {name: _as_parameter(value) for name, value in params.items()}
        paginator: _pyrestcli.Paginator = kind(self.json_collection_attribute, self.client.base_url, query)
        return paginator


def _as_parameter(value: Any) -> Any:
    # CARTO reads the words, and takes Python's True for something else.
    return str(value).lower() if isinstance(value, bool) else value


_told: dict[type, dict[Any, Any]] = {}


def _warn_once(kind: type) -> None:
    """Warn about a class once, and again only after the warning filters have changed.

    The ``warnings`` module empties a registry when it finds that the filters changed since its last use. A
    key put there beforehand therefore silences the call exactly when nothing has changed.
    """
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    text = f"{kind.__name__}: this API of CARTO's is not public and may change; take care in production"
    registry = _told.setdefault(kind, {})
    if "told" in registry:
        registry[text, NonPublicApiWarning, frame.f_lineno] = True
    module = frame.f_globals.get("__name__", "<unknown>")
    warnings.warn_explicit(
        text, NonPublicApiWarning, frame.f_code.co_filename, frame.f_lineno, module, registry
    )
    registry["told"] = True
