from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Iterator

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from carto_like.core.client import Client
from carto_like.core.errors import BadRequestError, TimeoutExpired, TransportError
from tests.support.sockets import Exchange, Handler, raw_server

REFUSAL = b'{"error":["relation \\"t\\" does not exist"]}'
KILOBYTES = b"x" * 64 * 1024


def endless(stop: threading.Event) -> Iterator[bytes]:
    while not stop.is_set():
        yield KILOBYTES


def upload(client: Client, data: object) -> object:
    return client.get_response_data(client.send("copyfrom", "post", data=data))


def silence(until: threading.Event) -> Handler:
    def wait(exchange: Exchange) -> None:
        until.wait(20)
        exchange.hang_up()

    return wait


def test_the_refusal_of_an_upload_is_seen_when_the_server_answers_and_closes() -> None:
    def refuse(exchange: Exchange) -> None:
        exchange.read_chunk()
        exchange.answer("400 Bad Request", REFUSAL, "Connection: close")
        exchange.hang_up()

    refused = pytest.raises(BadRequestError, match="does not exist")
    with raw_server(refuse) as server, Client(server.url) as client, refused:
        upload(client, endless(threading.Event()))


def test_the_refusal_is_seen_when_unread_data_makes_the_server_reset_the_connection() -> None:
    def refuse(exchange: Exchange) -> None:
        exchange.read_chunk()
        exchange.answer("400 Bad Request", REFUSAL)
        exchange.connection.shutdown(socket.SHUT_WR)
        exchange.hang_up()

    refused = pytest.raises(BadRequestError, match="does not exist")
    with raw_server(refuse) as server, Client(server.url) as client, refused:
        upload(client, endless(threading.Event()))


def test_sending_stops_when_the_server_answers_and_goes_on_reading() -> None:
    def refuse_and_read(exchange: Exchange) -> None:
        if exchange.method == "GET":
            exchange.answer("200 OK", b"{}")
            return
        exchange.read_chunk()
        exchange.answer("400 Bad Request", REFUSAL)
        while exchange.read_chunk():
            continue

    with raw_server(refuse_and_read) as server, Client(server.url) as client:
        with pytest.raises(BadRequestError, match="does not exist"):
            upload(client, endless(threading.Event()))
        assert client.get_response_data(client.send("next", "get")) == {}
        upload_exchange, next_exchange = server.exchanges
        # The half-sent body must not be taken for the start of the next request.
        assert next_exchange.connection_number != upload_exchange.connection_number


def test_a_server_that_resets_without_a_word_is_a_lost_connection() -> None:
    def reset(exchange: Exchange) -> None:
        exchange.read_chunk()
        exchange.hang_up(reset=True)

    with raw_server(reset) as server, Client(server.url) as client, pytest.raises(TransportError):
        upload(client, endless(threading.Event()))


def test_an_interim_answer_does_not_end_the_upload() -> None:
    def hurry(exchange: Exchange) -> None:
        exchange.read_chunk()
        exchange.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = exchange.read_body()
        exchange.answer("200 OK", str(len(body)).encode())

    with raw_server(hurry) as server, Client(server.url) as client:
        assert upload(client, iter([KILOBYTES] * 64)) == 64 * len(KILOBYTES)


def test_sending_may_take_as_long_as_reading() -> None:
    def pause(exchange: Exchange) -> None:
        threading.Event().wait(0.6)
        exchange.answer("200 OK", str(len(exchange.read_body())).encode())

    with raw_server(pause) as server, Client(server.url, timeout=(0.2, 20.0)) as client:
        assert upload(client, iter([KILOBYTES] * 512)) == 512 * len(KILOBYTES)


def test_sending_to_a_server_that_reads_no_more_ends_at_the_timeout() -> None:
    done = threading.Event()

    with raw_server(silence(done)) as server:
        with Client(server.url, timeout=0.3) as client, pytest.raises(TimeoutExpired):
            upload(client, endless(done))
        done.set()


def test_small_pieces_travel_in_large_chunks() -> None:
    def count(exchange: Exchange) -> None:
        exchange.answer("200 OK", str(len(exchange.read_body())).encode())

    with raw_server(count) as server, Client(server.url) as client:
        assert upload(client, (b"a row\n" for _ in range(200_000))) == 1_200_000
        assert len(server.exchanges[0].chunks) <= 5


@pytest.mark.parametrize("error", [BrokenPipeError("mine"), OSError("mine"), KeyError("mine")])
def test_an_error_of_the_source_is_raised_as_it_is_and_ends_the_upload(error: Exception) -> None:
    complete: queue.Queue[bool] = queue.Queue()

    def read(exchange: Exchange) -> None:
        while chunk := exchange.read_chunk():
            continue
        complete.put(chunk is not None)

    def source() -> Iterator[bytes]:
        yield KILOBYTES * 8
        raise error

    with raw_server(read) as server, Client(server.url) as client:
        with pytest.raises(type(error), match="mine") as caught:
            upload(client, source())
        assert caught.value is error
        assert complete.get(timeout=20) is False


def test_connections_are_used_again() -> None:
    with raw_server(lambda e: e.answer("200 OK", b"{}")) as server, Client(server.url) as client:
        for _ in range(3):
            client.get_response_data(client.send("x", "get"))
        assert {exchange.connection_number for exchange in server.exchanges} == {1}


def test_a_server_that_restarted_between_two_requests_is_asked_again() -> None:
    def once(exchange: Exchange) -> None:
        exchange.answer("200 OK", b"{}")
        exchange.hang_up()

    with raw_server(once) as server, Client(server.url) as client:
        for _ in range(3):
            assert client.get_response_data(client.send("x", "get")) == {}


def test_no_server_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}/", retry=False) as client, pytest.raises(TransportError) as caught:
        client.send("x", "get")
    assert not isinstance(caught.value, TimeoutExpired)


def test_silence_ends_at_the_timeout() -> None:
    done = threading.Event()
    with raw_server(silence(done)) as server:
        with Client(server.url) as client, pytest.raises(TimeoutExpired):
            client.send("x", "get", timeout=(5, 0.1))
        done.set()


def test_debug_lines_of_urllib3_do_not_show_the_key(caplog: pytest.LogCaptureFixture) -> None:
    with raw_server(lambda e: e.answer("200 OK", b"{}")) as server, Client(server.url) as client:
        with caplog.at_level(logging.DEBUG):
            client.send("x", "get", params={"api_key": "s3cr3t", "q": "1"})
        assert "s3cr3t" in server.exchanges[0].target
    assert "urllib3.connectionpool" in {record.name for record in caplog.records}
    assert "/x?api_key=***&q=1" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_repetitions_and_redirects_of_urllib3_do_not_show_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """Those of a session that the caller brought; ours leaves both to the client."""

    def fail_once(exchange: Exchange) -> None:
        first = len(server.exchanges) == 1
        exchange.answer("503 Service Unavailable" if first else "200 OK", b"{}")

    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=urllib3.Retry(1, status_forcelist=[503])))
    with session, raw_server(fail_once) as server, caplog.at_level(logging.DEBUG):
        assert Client(server.url, session).send("x", "get", params={"api_key": "s3cr3t"}).ok
    assert "urllib3.util.retry" in {record.name for record in caplog.records}
    assert "s3cr3t" not in caplog.text


def test_requests_go_through_a_proxy() -> None:
    with raw_server(lambda e: e.answer("200 OK", str(len(e.read_body())).encode())) as proxy:
        with Client("http://api.example.org/", proxies={"http": proxy.url}) as client:
            assert upload(client, iter([KILOBYTES] * 20)) == 20 * len(KILOBYTES)
        assert proxy.exchanges[0].target == "http://api.example.org/copyfrom"


def test_an_answer_that_breaks_off_while_its_error_is_read() -> None:
    def stop_short(exchange: Exchange) -> None:
        exchange.connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{")
        exchange.hang_up()

    lost = pytest.raises(TransportError)
    with raw_server(stop_short) as server, Client(server.url, retry=False) as client, lost:
        client.send("x", "get")
