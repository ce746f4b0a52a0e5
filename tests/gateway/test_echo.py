"""The bare server that the gateway is measured beside answers every command once, with its id and the wanted size."""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Iterator

import pytest
import zmq

from exchange._native import echo

REPLY = bytes(range(100))
PLACE, CANCEL = 7, 8
SHAPES = [(PLACE, 20, REPLY, 10), (CANCEL, 12, REPLY[:30], 26)]


def command(number: int, size: int, request_id: int) -> bytes:
    return (bytes([0x99, number, 0xCE]) + struct.pack(">I", request_id)).ljust(size, b"\1")


@pytest.fixture
def client() -> Iterator[zmq.Socket[bytes]]:
    """A DEALER of a running echo, which ends with its context."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    ended: list[OSError] = []

    def run() -> None:
        try:
            echo.serve(router, SHAPES)
        except OSError as error:
            ended.append(error)
        router.close(linger=0)

    thread = threading.Thread(target=run)
    thread.start()
    dealer = context.socket(zmq.DEALER)
    dealer.rcvtimeo = 5000
    dealer.connect(f"tcp://127.0.0.1:{port}")
    yield dealer
    dealer.close(linger=0)
    context.term()
    thread.join(5)
    assert not thread.is_alive()
    assert [error.errno for error in ended] == [zmq.ETERM]


def test_a_command_is_answered_with_its_id(client) -> None:
    client.send(command(PLACE, 20, 0x01020304))
    assert client.recv() == REPLY[:10] + bytes([1, 2, 3, 4]) + REPLY[14:]


def test_commands_of_one_message_are_answered_in_one_message_in_their_order(client) -> None:
    client.send(command(CANCEL, 12, 9) + command(PLACE, 20, 10))
    wanted = REPLY[:26] + struct.pack(">I", 9) + REPLY[:10] + struct.pack(">I", 10) + REPLY[14:]
    assert client.recv() == wanted


def test_what_is_no_command_gets_no_answer(client) -> None:
    for junk in (
        b"",
        b"junk",
        command(3, 20, 1),
        command(PLACE, 19, 1),
        command(PLACE, 20, 1) + b"\0",
    ):
        client.send(junk)
    client.send(command(PLACE, 20, 77))
    assert client.recv()[10:14] == struct.pack(">I", 77)


def test_a_closed_socket_and_a_reply_without_room_for_the_id_are_errors(client) -> None:
    closed = zmq.Context.instance().socket(zmq.ROUTER)
    closed.close()
    with pytest.raises((ValueError, zmq.ZMQError)):
        echo.serve(closed, SHAPES)
    with pytest.raises(ValueError, match="cannot be answered"):
        echo.serve(client, [(PLACE, 20, b"short", 3)])


def test_a_socket_that_has_no_peers_is_an_error_of_libzmq() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        with pytest.raises(OSError) as refused:
            echo.serve(publisher, SHAPES)
        assert refused.value.errno == errno.ENOTSUP
