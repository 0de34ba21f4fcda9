"""Which addresses the server may be sent to: not to those that only it can reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Reach = Literal["public", "loopback", "any"]
"""Public addresses only; those and the machine itself; all."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """The host has no address that may be asked."""


class UnknownHost(Exception):
    """The host has no address."""


def may_ask(text: str, reach: Reach) -> bool:
    """Whether a request may go to this address."""
    address = _meant(ipaddress.ip_address(text.partition("%")[0]))
    if reach == "any":
        return True
    if address.is_loopback:
        return reach == "loopback"
    if getattr(address, "is_site_local", False):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def addresses_of(host: str, port: int, reach: Reach) -> list[tuple[int, tuple[object, ...]]]:
    """``(family, socket address)`` of the host, to connect to without asking for its name again.

    Raises:
        UnknownHost: it has none.
        Refused: it has one that may not be asked.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHost(host) from error
    # One that is refused spoils them all: who controls the name may try us with a mixture.
    for *_, address in found:
        if not may_ask(str(address[0]), reach):
            raise Refused(host)
    return [(family, address) for family, _, _, _, address in found]


def _meant(address: Address) -> Address:
    """The IPv4 address within an IPv6 one that stands for it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
