"""What a caller has changed on a resource since the server last spoke."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carto_like.core.fields import Field

__all__ = ["Changes"]


class Changes:
    """Names of fields that were assigned, and copies of loaded lists and dicts, which change without it."""

    __slots__ = ("_assigned", "_known", "_loading")

    def __init__(self) -> None:
        self._assigned: set[str] = set()
        self._known: dict[str, Any] = {}
        self._loading = False

    @property
    def loading(self) -> bool:
        """Whether values being set now come from the server."""
        return self._loading

    @contextmanager
    def from_server(self) -> Iterator[None]:
        """Take everything set inside as said by the server; when it fails, nothing was noted."""
        before = self._assigned.copy(), self._known.copy(), self._loading
        self._loading = True
        try:
            yield
        except BaseException:
            self._assigned, self._known, _ = before
            raise
        finally:
            self._loading = before[2]

    def note(self, field: Field[Any], value: Any) -> None:
        """A field got this value, from the caller or from the server."""
        name = field.name or ""
        if self._loading:
            self._settle(field, value)
        else:
            self._assigned.add(name)

    def settle(self, fields: Iterable[tuple[Field[Any], Any]]) -> None:
        """The server has taken these values over: they are no changes any more."""
        for field, value in fields:
            self._settle(field, value)

    def differs(self, field: Field[Any], value: Any) -> bool:
        """Whether the caller assigned the field, or altered the list or dict in it."""
        name = field.name or ""
        return name in self._assigned or (name in self._known and self._known[name] != value)

    def assigned(self, name: str) -> bool:
        """Whether the caller assigned the field since the server last spoke."""
        return name in self._assigned

    def _settle(self, field: Field[Any], value: Any) -> None:
        name = field.name or ""
        self._assigned.discard(name)
        self._known.pop(name, None)
        if isinstance(value, (list, dict)):
            copy = field.remember(value)
            if copy is not None:
                self._known[name] = copy
