"""Types of what pyrestcli gives us, true for 0.6.11 and 0.6.12."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

import requests

__all__ = [
    "APIConnected",
    "BadRequestException",
    "BaseAuthClient",
    "BasicAuthClient",
    "BooleanField",
    "CharField",
    "DateTimeField",
    "DictField",
    "DummyPaginator",
    "Field",
    "FloatField",
    "ForbiddenErrorException",
    "IntegerField",
    "Manager",
    "NextWithUrlPaginator",
    "NoAuthClient",
    "NotFoundException",
    "Paginator",
    "RateLimitException",
    "Resource",
    "ResourceField",
    "ResourceMetaclass",
    "RestException",
    "ServerErrorException",
    "UnauthorizedErrorException",
    "UnprocessableEntityError",
]

class RestException(Exception):
    status_code: int | None
    headers: Mapping[str, str] | None
    reason: str | None
    url: str | None
    def __init__(
        self,
        message: Any,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
        url: str | None = None,
    ) -> None: ...
    @staticmethod
    def create(response: requests.Response) -> RestException: ...

class BadRequestException(RestException): ...

class UnauthorizedErrorException(RestException):
    def __init__(
        self,
        message: Any,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
        url: str | None = None,
    ) -> None: ...

class ForbiddenErrorException(RestException):
    def __init__(
        self,
        message: Any,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str | None = None,
        url: str | None = None,
    ) -> None: ...

class NotFoundException(RestException): ...
class UnprocessableEntityError(RestException): ...
class RateLimitException(RestException): ...
class ServerErrorException(RestException): ...

class BaseAuthClient:
    base_url: str
    session: requests.Session
    def __init__(self, base_url: str, session: requests.Session | None = None) -> None: ...
    def send(self, relative_path: str, http_method: str, **requests_args: Any) -> requests.Response: ...
    def get_response_data(self, response: requests.Response, parse_json: bool = True) -> Any: ...

class NoAuthClient(BaseAuthClient):
    def send(self, relative_path: str, http_method: str, **requests_args: Any) -> requests.Response: ...

class BasicAuthClient(BaseAuthClient):
    def __init__(self, user_name: str, password: str, *args: Any, **kwargs: Any) -> None: ...

_V = TypeVar("_V")
_S = TypeVar("_S", bound=Field[Any])

class Field(Generic[_V]):
    many: bool
    name: str | None
    def __init__(self, many: bool = False) -> None: ...
    @overload
    def __get__(self: _S, instance: None, owner: type[Any]) -> _S: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> _V: ...
    def __set__(self, instance: object, value: Any) -> None: ...

class BooleanField(Field[_V]):
    @overload
    def __init__(self: BooleanField[bool | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: BooleanField[list[bool] | None], many: Literal[True]) -> None: ...

class IntegerField(Field[_V]):
    @overload
    def __init__(self: IntegerField[int | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: IntegerField[list[int] | None], many: Literal[True]) -> None: ...

class FloatField(Field[_V]):
    @overload
    def __init__(self: FloatField[float | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: FloatField[list[float] | None], many: Literal[True]) -> None: ...

class CharField(Field[_V]):
    @overload
    def __init__(self: CharField[str | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: CharField[list[str] | None], many: Literal[True]) -> None: ...

class DateTimeField(Field[_V]):
    @overload
    def __init__(self: DateTimeField[datetime | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: DateTimeField[list[datetime] | None], many: Literal[True]) -> None: ...
    def __set__(self, instance: object, value: Any) -> None: ...

class DictField(Field[_V]):
    @overload
    def __init__(self: DictField[dict[str, Any] | None], many: Literal[False] = False) -> None: ...
    @overload
    def __init__(self: DictField[list[dict[str, Any]] | None], many: Literal[True]) -> None: ...

class ResourceField(Field[_V]):
    value_class: Any
    # 0.6.12 adds a second argument, `expand`; what is here works with both.
    def __init__(self, many: bool = False) -> None: ...
    def set_real_value_class(self) -> None: ...
    def __set__(self, instance: Any, value: Any) -> None: ...

class Paginator:
    base_url: str
    params: dict[str, Any]
    def __init__(self, base_url: str, params: dict[str, Any] | None = None) -> None: ...
    def get_urls(self, initial_url: str) -> Iterator[tuple[str, dict[str, Any]]]: ...
    # Declared without arguments by pyrestcli's own base class, with one by everything derived from it.
    def process_response(self, response: requests.Response) -> requests.Response: ...

class DummyPaginator(Paginator): ...

class NextWithUrlPaginator(Paginator):
    url: str | None

class APIConnected:
    class Meta:
        collection_endpoint: ClassVar[str | None]
        parse_json: ClassVar[bool]

    client: BaseAuthClient
    def __init__(self, auth_client: BaseAuthClient) -> None: ...
    @classmethod
    def get_resource_endpoint(cls, resource_id: Any) -> str | None: ...
    @classmethod
    def get_collection_endpoint(cls) -> str: ...
    def send(self, url: str, http_method: str, **client_args: Any) -> requests.Response: ...

class ResourceMetaclass(type):
    def __init__(cls, name: str, bases: tuple[type, ...], nmspc: dict[str, Any]) -> None: ...

class Resource(APIConnected, metaclass=ResourceMetaclass):
    class Meta:
        collection_endpoint: ClassVar[str | None]
        parse_json: ClassVar[bool]
        id_field: ClassVar[str]
        name_field: ClassVar[str]
        json_data: ClassVar[bool]

    fields: ClassVar[list[str]]
    def __init__(self, auth_client: Any, **kwargs: Any) -> None: ...
    def get_id(self) -> Any: ...
    # An instance asks without an id, where the class wants one.
    def get_resource_endpoint(self) -> str | None: ...  # type: ignore[override]
    def update_from_dict(self, attribute_dict: Mapping[str, Any]) -> None: ...
    def save(self, force_create: bool = False, fields: Iterable[str] | None = None) -> requests.Response: ...
    def refresh(self) -> requests.Response | None: ...
    def delete(self) -> requests.Response | None: ...

class Manager(APIConnected):
    resource_class: Any
    json_collection_attribute: ClassVar[str | None]
    paginator_class: Any
    paginator: Any
    def __init__(self, auth_client: Any) -> None: ...
    def get(self, resource_id: Any) -> Any: ...
    def filter(self, **search_args: Any) -> list[Any]: ...
    def all(self) -> list[Any]: ...
    # A method that takes **kwargs, declared so that managers may narrow what theirs takes.
    create: Any
