"""What is made for whom: subscriptions over real sockets, and peers that lie about them."""

from __future__ import annotations

import socket
import struct
import time

import msgspec
from market_desk import BTC

from exchange.config import SecurityConfig

MARK = b"mark.BTC-PERP"


class RawPeer:
    """A peer that speaks ZMTP 3.0 by itself, and so says what no library would."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("tcp://").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=5)
        self._socket.sendall(b"\xff" + bytes(7) + b"\x01\x7f\x03\x00NULL" + bytes(48))
        self._take(64)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 3) + b"SUB"
        self._socket.sendall(bytes((4, len(ready))) + ready)
        _, size = self._take(2)
        self._take(size)  # only who is told "ready" may send

    def _take(self, size: int) -> bytes:
        taken = b""
        while len(taken) < size:
            more = self._socket.recv(size - len(taken))
            assert more, "the node hung up"
            taken += more
        return taken

    def send(self, message: bytes) -> None:
        self._socket.sendall(bytes((0, len(message))) + message)

    def close(self) -> None:
        self._socket.close()


def wanted(node, topic: bytes) -> bool:
    return node.node.interest.wants(topic)


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_sequences_count_on_while_nobody_listens(node) -> None:
    admin, client = node.admin_client(), node.client(7)
    for price in (60_001, 60_002, 60_003):
        admin.set_mark(BTC, price)
    assert not wanted(node, MARK)
    with client.subscribe(mark=BTC, book=BTC) as feed:
        assert feed.poll(5), "the marker of the book: the subscription is at work"
        admin.set_mark(BTC, 60_004)
        topic, payload = feed._socket.recv_multipart()
        while topic != MARK:
            topic, payload = feed._socket.recv_multipart()
        assert msgspec.msgpack.decode(payload)["sequence"] == 4


def test_a_peer_that_ends_a_subscription_it_never_had_silences_nobody(node) -> None:
    admin, client = node.admin_client(), node.client(7)
    with client.subscribe(mark=BTC, book=BTC) as feed:
        assert feed.poll(5)
        liar = RawPeer(node.market_data)
        liar.send(b"\x01top.BTC-PERP")
        wait_until(lambda: wanted(node, b"top.BTC-PERP"))
        for _ in range(300):
            liar.send(b"\x00" + MARK)
            liar.send(b"\x00book.BTC-PERP")
            liar.send(b"\x01trades.BTC-PERP")
        wait_until(lambda: wanted(node, b"trades.BTC-PERP"))
        for price in (60_001, 60_002):
            admin.set_mark(BTC, price)
            assert feed.poll(5)
        assert feed.lost == 0
        liar.close()


def test_a_storm_of_subscriptions_holds_nobody_up(start_node) -> None:
    """Ten thousand prefixes of one peer, all but one of no topic, where a node lets it."""
    node = start_node(security=SecurityConfig(max_subscriptions=0))
    admin, client = node.admin_client(), node.client(7)
    peer = RawPeer(node.market_data)
    for number in range(10_000):
        peer.send(b"\x01book.X%d" % number)
    peer.send(b"\x01" + MARK)
    wait_until(lambda: wanted(node, MARK))
    admin.set_mark(BTC, 60_001)
    assert client.statistics(BTC).mark_ticks == 600_010
    peer.close()
