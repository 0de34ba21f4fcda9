"""The one place that imports pyrestcli; everything else imports these names.

The types live in the stub beside this module, because pyrestcli ships none.
"""

from pyrestcli.auth import BaseAuthClient, BasicAuthClient, NoAuthClient
from pyrestcli.exceptions import (
    BadRequestException,
    ForbiddenErrorException,
    NotFoundException,
    RateLimitException,
    ServerErrorException,
    UnauthorizedErrorException,
    UnprocessableEntityError,
)
from pyrestcli.exceptions import BaseException as RestException
from pyrestcli.fields import (
    BooleanField,
    CharField,
    DateTimeField,
    DictField,
    Field,
    FloatField,
    IntegerField,
    ResourceField,
)
from pyrestcli.paginators import DummyPaginator, NextWithUrlPaginator, Paginator
from pyrestcli.resources import APIConnected, Manager, Resource, ResourceMetaclass

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
