from __future__ import annotations

import email
import email.policy
import io
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import responses
from responses import matchers

from carto_like.core import multipart
from carto_like.core.client import Client
from tests.support.clock import FakeClock
from tests.support.sockets import Exchange, raw_server

BIG = bytes(range(256)) * 8192


def parse(content_type: str, body: bytes) -> list[tuple[str, str | None, bytes]]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    parts = []
    for part in message.iter_parts():
        assert isinstance(part, EmailMessage)
        name = part.get_param("name", header="content-disposition")
        parts.append((str(name), part.get_filename(), part.get_payload(decode=True)))
    return parts  # type: ignore[return-value]


@responses.activate
def test_a_small_form_is_sent_whole_each_time() -> None:
    url = "https://api.example.org/imports"
    wanted = matchers.multipart_matcher({"file": ("a.csv", b"a,b\n")}, {"privacy": "link"})
    responses.post(url, status=429, headers={"Retry-After": "1"}, match=[wanted])
    responses.post(url, json={}, match=[wanted])
    client = Client("https://api.example.org/")
    client.clock = FakeClock()
    files = {"file": ("a.csv", io.BytesIO(b"a,b\n"))}
    response = client.send("imports", "post", data={"privacy": "link"}, files=files)
    assert response.status_code == 200
    assert responses.calls[0].request.body == responses.calls[1].request.body


def test_a_big_file_is_streamed_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / "süd.bin"
    path.write_bytes(BIG)
    received: list[Exchange] = []

    def take(exchange: Exchange) -> None:
        exchange.chunks.append(exchange.read_body())
        received.append(exchange)
        exchange.answer("200 OK", b"{}")

    with raw_server(take) as server, Client(server.url) as client, path.open("rb") as file:
        data = {"privacy": "link", "tags": ["a", "b"], "left out": None}
        files = {"file": file, "note": ("n.txt", "größer", "text/plain")}
        client.get_response_data(client.send("imports", "post", data=data, files=files))
    (exchange,) = received
    assert "content-length" in exchange.headers
    parts = parse(exchange.headers["content-type"], exchange.chunks[0])
    assert [part[0] for part in parts] == ["privacy", "tags", "tags", "file", "note"]
    assert parts[3][1] == "süd.bin"
    assert parts[3][2] == BIG
    assert parts[4][1:] == ("n.txt", "größer".encode())


class Pipe(io.RawIOBase):
    def __init__(self) -> None:
        self._inner = io.BytesIO(BIG)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._inner.readinto(buffer)


@pytest.mark.parametrize(
    ("file", "size_known", "replayable"),
    [(io.BytesIO(BIG), True, True), (Pipe(), False, False), (io.StringIO("ä" * 600_000), False, True)],
)
def test_what_is_known_beforehand(file: Any, size_known: bool, replayable: bool) -> None:
    parts = multipart.encode(None, [("file", ("name", file))])
    body = b"".join(parts.blocks())
    assert parts.size == (len(body) if size_known else None)
    assert parts.replayable is replayable
    if replayable:
        assert b"".join(parts.blocks()) == body
