"""Downloads for imports: bounded in size and time, and to public addresses only unless told otherwise.

The standard library's client, because it lets us connect to the very address that was checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from carto_like.server.imports import codes
from carto_like.server.imports.addresses import Reach, Refused, UnknownHost, addresses_of
from carto_like.server.imports.codes import ImportFailure
from carto_like.server.imports.filenames import coding_of, is_known_coding, name_of_download
from carto_like.server.imports.seen import Fetched, Seen, seen_in

_REDIRECTS = 5
# RFC 3986, and the percent of what is quoted already.
_KEPT_IN_PATHS = "%/?:@!$&'()*+,;=~[]"
_REDIRECTING = (301, 302, 303, 307, 308)
_BLOCK_BYTES = 256 * 1024
_SILENCE_SECONDS = 30.0
_LAST_WORD_SECONDS = 0.5
_PORTS = {"http": 80, "https": 443}
_HEADERS = {"User-Agent": "carto-like", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
_CODES = {404: codes.NOT_FOUND, 401: codes.NOT_ALLOWED}


@dataclass(frozen=True)
class Rules:
    """What a download may cost, and whom it may ask.

    Attributes:
        max_bytes: 0 for any size.
        seconds: that it may take.
        reach: see :data:`.addresses.Reach`.
    """

    max_bytes: int
    seconds: float
    reach: Reach


def check_url(url: str) -> SplitResult:
    """The parts of an address that can be downloaded from.

    Raises:
        ValueError: it cannot; the text says why.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"'url' cannot be read: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise ValueError("'url' must be an http or https address")
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise ValueError("'url' must not contain blanks or control characters: quote them")
    return parts


async def fetch(url: str, target: Path, rules: Rules, known: Seen | None = None) -> Fetched:
    """Download to a file.

    Args:
        url: an address that :func:`check_url` has nothing against.
        target: the file.
        rules: see :class:`Rules`.
        known: of data that need not be downloaded again.

    Raises:
        ImportFailure: with the code for what went wrong.
    """
    stop = threading.Event()
    download = _Download(target, rules, stop.is_set, known or Seen())
    try:
        return await asyncio.to_thread(download.run, url)
    finally:
        # The thread cannot be cancelled, but looks at this with every block.
        stop.set()


class _Download:
    def __init__(self, target: Path, rules: Rules, is_stopped: Callable[[], bool], known: Seen) -> None:
        self._target = target
        self._rules = rules
        self._is_stopped = is_stopped
        self._known = known
        self._deadline = time.monotonic() + rules.seconds

    def run(self, url: str) -> Fetched:
        try:
            return self._follow(url)
        except TimeoutError as error:
            raise ImportFailure(codes.TIMED_OUT) from error
        except UnknownHost as error:
            raise ImportFailure(codes.UNKNOWN_HOST, str(error)) from None
        except Refused as error:
            reason = f"{error} is a private address, which this server does not ask"
            raise ImportFailure(codes.DOWNLOAD_FAILED, reason) from None
        except ImportFailure as failure:
            if failure.code == codes.WRONG_LENGTH and self._is_late():
                raise ImportFailure(codes.TIMED_OUT) from failure
            raise
        except http.client.IncompleteRead as error:
            code = codes.TIMED_OUT if self._is_late() else codes.WRONG_LENGTH
            raise ImportFailure(code) from error
        except (OSError, http.client.HTTPException) as error:
            if self._is_late():
                raise ImportFailure(codes.TIMED_OUT) from error
            # What it says may quote what the address's server sent, so the kind has to do.
            raise ImportFailure(codes.DOWNLOAD_FAILED, type(error).__name__) from error

    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def _follow(self, url: str) -> Fetched:
        for _ in range(_REDIRECTS + 1):
            try:
                parts = check_url(url)
            except ValueError as error:
                raise ImportFailure(codes.DOWNLOAD_FAILED, str(error)) from None
            connection = self._connect(parts)
            # The connection forgets it when the other end is to close it.
            plug: socket.socket = connection.sock
            # Who sends a byte now and then keeps a read from ever timing out.
            watch = threading.Timer(max(0.0, self._deadline - time.monotonic()), _hang_up, [plug])
            watch.daemon = True
            watch.start()
            try:
                response = self._ask(connection, parts)
                location = response.headers.get("Location")
                if response.status in _REDIRECTING and location:
                    url = _joined(url, location)
                    continue
                return self._take(url, plug, response)
            finally:
                watch.cancel()
                connection.close()
        raise ImportFailure(codes.DOWNLOAD_FAILED, f"More than {_REDIRECTS} redirects")

    def _take(self, url: str, plug: socket.socket, response: http.client.HTTPResponse) -> Fetched:
        name = name_of_download(url, _message(response))
        if response.status == http.client.NOT_MODIFIED and self._known.as_conditions():
            return Fetched(name, self._known, is_changed=False)
        self._check_status(response)
        seen = seen_in(_message(response))
        if self._known.differs(seen) is False:
            return Fetched(name, self._known, is_changed=False)
        seen = replace(seen, digest=self._store(plug, response))
        return Fetched(name, seen, is_changed=seen.digest != self._known.digest)

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        port = parts.port or _PORTS[parts.scheme]
        connection = http.client.HTTPConnection(host, port, timeout=_SILENCE_SECONDS)
        connection.sock = self._socket(host, port)
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
        return connection

    def _socket(self, host: str, port: int) -> socket.socket:
        failure: OSError | None = None
        for family, address in addresses_of(host, port, self._rules.reach):
            connected = socket.socket(family, socket.SOCK_STREAM)
            connected.settimeout(self._patience())
            try:
                connected.connect(address)
            except OSError as error:
                connected.close()
                failure = error
            else:
                return connected
        raise failure or OSError("no address")

    def _ask(self, connection: http.client.HTTPConnection, parts: SplitResult) -> http.client.HTTPResponse:
        path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_KEPT_IN_PATHS)
        headers = {**_HEADERS, **self._known.as_conditions(), **_credentials(parts)}
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def _check_status(self, response: http.client.HTTPResponse) -> None:
        if not 200 <= response.status < 300:
            code = _CODES.get(response.status, codes.DOWNLOAD_FAILED)
            raise ImportFailure(
                code, f"The answer was {response.status}", answer=(response.status, response.reason[:200])
            )
        coding = coding_of(_message(response))
        if not is_known_coding(coding):
            raise ImportFailure(
                codes.DOWNLOAD_FAILED, f"The answer came packed as {coding[:40]!r}, not asked for"
            )

    def _store(self, plug: socket.socket, response: http.client.HTTPResponse) -> str:
        """Write the file; answers its digest."""
        limit, announced, received = self._rules.max_bytes, response.length, 0
        digest = hashlib.sha256()
        if limit and (announced or 0) > limit:
            raise ImportFailure(codes.FILE_TOO_LARGE, f"{announced} bytes, {limit} are allowed")
        # Left to itself, it would cut what comes beyond the length that was announced, and say nothing.
        response.length = None
        with self._target.open("wb") as file:
            while announced is None or received < announced:
                block = response.read1(_BLOCK_BYTES)
                if not block:
                    break
                received += len(block)
                if limit and received > limit:
                    raise ImportFailure(codes.FILE_TOO_LARGE, f"{limit} bytes are allowed")
                self._patience()
                digest.update(block)
                file.write(block)
        # An answer that was broken off because its time was up looks like one that has ended.
        self._patience()
        if announced is not None and received != announced:
            raise ImportFailure(codes.WRONG_LENGTH, f"{received} bytes came, {announced} were announced")
        if announced is not None and _has_more(plug, response):
            raise ImportFailure(codes.WRONG_LENGTH, f"More than the announced {announced} bytes came")
        return digest.hexdigest()

    def _patience(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0 or self._is_stopped():
            raise TimeoutError
        return min(_SILENCE_SECONDS, left)


def _credentials(parts: SplitResult) -> dict[str, str]:
    """What an address itself says of who asks; where it redirects to does not hear of it."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _has_more(plug: socket.socket, response: http.client.HTTPResponse) -> bool:
    """Whether something comes where the end was announced."""
    # We asked for the connection to be closed, so that others wait for nothing here.
    plug.settimeout(_LAST_WORD_SECONDS)
    try:
        return bool(response.read1(1))
    except (OSError, http.client.HTTPException):
        return False


def _message(response: http.client.HTTPResponse) -> Message:
    return response.headers


def _joined(url: str, location: str) -> str:
    """Where a redirect leads; what is not ASCII in it is UTF-8 as a rule."""
    try:
        return urljoin(url, location.encode("latin-1").decode("utf-8", "replace"))
    except ValueError as error:
        raise ImportFailure(codes.DOWNLOAD_FAILED, f"It redirects to what is no address: {error}") from None


def _hang_up(plug: socket.socket) -> None:
    with suppress(OSError):
        plug.shutdown(socket.SHUT_RDWR)
