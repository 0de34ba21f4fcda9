"""What an address says about where it leads."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit, urlunsplit

from carto_like.core.log import redact

__all__ = ["host_of", "is_ip_address", "is_loopback", "normalised"]


def host_of(url: str) -> str:
    """The host of an address in lower case; empty when there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_ip_address(host: str) -> bool:
    """Whether a host is a bare IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(url: str) -> bool:
    """Whether an address leads to this very machine."""
    host = host_of(url)
    if is_ip_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def normalised(base_url: str) -> str:
    """A base URL as requests are built on it: a final slash, no user info, no query.

    Raises:
        TypeError: it is not text.
        ValueError: it has no scheme or no host.
    """
    if not isinstance(base_url, str):
        raise TypeError(f"the base URL is text, not {type(base_url).__name__}")
    try:
        parts = urlsplit(base_url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not parts.scheme:
        raise ValueError(f"not a base URL: {redact(base_url)!r}")
    netloc = f"[{host}]" if ":" in host else host
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return urlunsplit((parts.scheme, netloc if port is None else f"{netloc}:{port}", path, "", ""))
