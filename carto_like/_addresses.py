"""What CARTO's addresses say: whose account it is, and where a key is looked for."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from carto_like.core.urls import is_ip_address
from carto_like.exceptions import CartoConfigurationException

__all__ = ["reads", "takes_basic", "user_name"]

_USER_PATH = re.compile(r"/(?:user|u)/([^/]+)")
_HOSTED = re.compile(r"(?:^|\.)(?:carto|cartodb)\.com$")
# The platform's own front pages, which are nobody's account.
_NOBODY = frozenset({"carto.com", "cartodb.com"})
# Where an Authorization header counts; the other families look at the parameter.
_BASIC_FAMILIES = re.compile(r"api/(?:[^/]+/(?:sql|map)(?:/|$)|v3/api_keys(?:/|$)|v1/page_links$)")
# Asking a question by POST is how these two are used, but for uploads and jobs.
_READ_BY_POST = re.compile(r"/api/[^/]+/(?:sql(?!/copyfrom|/job)|map)(?:/|$)")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def user_name(base_url: str) -> str | None:
    """The account that a base URL speaks of; None when the host is a bare IP address.

    Raises:
        CartoConfigurationException: the address names no account.
    """
    try:
        parts = urlsplit(base_url if isinstance(base_url, str) else "")
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if host and (match := _USER_PATH.match(parts.path)):
        return unquote(match.group(1))
    if is_ip_address(host):
        return None
    host = host.removeprefix("www.")
    if "." not in host or host in _NOBODY:
        raise CartoConfigurationException(
            "cannot tell the user name from the base URL; use https://<user>.carto.com/ "
            "or https://<host>/user/<user>/"
        )
    return host.split(".", 1)[0]


def takes_basic(url: str, base_url: str, username: str | None) -> bool:
    """Whether HTTP Basic counts at an address, and the name to give there is certain."""
    base, path = urlsplit(base_url), urlsplit(url).path
    if _USER_PATH.match(base.path):
        return path.startswith(base.path) and _BASIC_FAMILIES.match(path[len(base.path) :]) is not None
    certain = username is not None and _HOSTED.search(base.hostname or "") is not None
    return certain and _BASIC_FAMILIES.match(path.lstrip("/")) is not None


def reads(method: str, url: str) -> bool:
    """Whether a request only asks."""
    return method in _READING or _READ_BY_POST.search(urlsplit(url).path) is not None
