"""A node that is about to stop says so, lets orders be cancelled, and keeps all that it acknowledged."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import zmq

from exchange.client import AdminClient, Client
from exchange.client.errors import RequestRefused
from exchange.gateway.connection import TRADERS_DOOR
from exchange.gateway.greeting import Login
from exchange.gateway.reception import sort_frames
from exchange.gateway.server import Frame
from exchange.gateway.sessions import Sessions
from exchange.protocol.messages import AmendOrder, CancelOrder, Deposit, PlaceOrder
from exchange.protocol.wire import encode_command_wire
from exchange.snapshot import snapshot_paths

BTC = "BTC-PERP"


def told_draining(client: Client) -> dict[str, int]:
    """The message that says how long the node still waits, as any client can read it."""
    assert client._link.socket.poll(5000)
    number, request_id, body = msgspec.msgpack.decode(client._link.socket.recv())
    assert (number, request_id) == (0, 0)
    return dict(body)


def settings(tmp_path: Path, seconds: int) -> list[str]:
    """Arguments of a node that waits so long, and logs as JSON."""
    path = tmp_path / "drain.toml"
    path.write_text(
        f'[node]\ndrain_seconds = {seconds}\n[logging]\nformat = "json"\n[endpoints]\n'
        + "".join(f'{name} = "tcp://127.0.0.1:*"\n' for name in ("orders", "admin", "market_data"))
    )
    return ["--config", str(path)]


def test_while_it_drains_orders_are_cancelled_and_none_placed(serve, tmp_path: Path) -> None:
    process = serve(*settings(tmp_path, 60))
    client = Client(process.ready["orders"], 7)
    client.deposit(1000)
    orders = [client.limit(BTC, "buy", "0.001", 50_000 + step) for step in range(3)]
    process.process.send_signal(signal.SIGTERM)
    assert told_draining(client) == {"draining": 60}
    for refused in (
        lambda: client.limit(BTC, "buy", "0.001", 50_000),
        lambda: client.amend(BTC, orders[0].order_id, price=51_000),
        lambda: Client(process.ready["orders"], 8),
    ):
        with pytest.raises(RequestRefused, match="draining") as caught:
            refused()
        assert caught.value.code == "draining"
    client.cancel(orders[0].order_id)
    assert len(client.open_orders()) == 2
    client.close()  # nobody is left to wait for
    code, errors = process.stop(signal.SIGCONT)
    assert code == 0
    log = [json.loads(line) for line in errors.splitlines()]
    names = [line["event"] for line in log]
    assert names == ["node_ready", "drain_began", "snapshot_written", "node_stopped"]
    assert (log[1]["seconds"], log[1]["sessions"]) == (60, 1)
    again = serve()
    with Client(again.ready["orders"], 7) as client:
        assert len(client.open_orders()) == 2


def test_a_second_signal_ends_it_at_once_and_nothing_acknowledged_is_lost(
    serve, tmp_path: Path
) -> None:
    process = serve(*settings(tmp_path, 3600))
    client = Client(process.ready["orders"], 7)
    client.deposit(1000)
    client.limit(BTC, "buy", "0.001", 50_000)
    process.process.send_signal(signal.SIGINT)
    assert told_draining(client) == {"draining": 3600}
    code, errors = process.stop(signal.SIGTERM)
    assert code == 0
    assert json.loads(errors.splitlines()[-1])["snapshot"] is False
    assert snapshot_paths(tmp_path / "data" / "snapshots") == []
    client._close(linger_ms=0)
    with Client(serve().ready["orders"], 7) as client:
        assert len(client.open_orders()) == 1


def test_the_time_is_bounded_where_a_client_stays(serve, tmp_path: Path) -> None:
    process = serve(*settings(tmp_path, 1))
    client = Client(process.ready["orders"], 7)
    begun = time.monotonic()
    assert process.stop(signal.SIGTERM)[0] == 0
    assert time.monotonic() - begun >= 1
    client._close(linger_ms=0)


def test_the_operator_drains_by_a_query(serve, tmp_path: Path) -> None:
    process = serve(*settings(tmp_path, 60))
    trader = Client(process.ready["orders"], 7)
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger, socket.rcvtimeo = 0, 5000
    socket.connect(process.ready["admin"])
    for arguments, answer in (
        ({"seconds": -1}, {"error": "invalid_arguments"}),
        ({"seconds": 30}, {"seconds": 30}),
        ({"seconds": 5}, {"seconds": 30}),  # it goes on as it began
    ):
        socket.send(msgspec.msgpack.encode([0, 1, "drain", arguments]))
        body = msgspec.msgpack.decode(socket.recv())[2]
        assert answer.items() <= body.items()
    socket.close()
    assert told_draining(trader) == {"draining": 30}
    with AdminClient(process.ready["admin"]) as admin:  # the operator may come anew
        assert admin.status()["phase"] == "draining"
        assert (admin.drain(), admin.drain(3)) == (30, 30)
    trader.close()
    assert process.process.wait(10) == 0


WITHOUT_EXTRAS = """
import sys
for name in ("structlog", "prometheus_client", "rich"):
    sys.modules[name] = None
from exchange.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_node_starts_serves_and_ends_without_the_extras(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_EXTRAS, "serve", *settings(tmp_path, 5)]
    process = subprocess.Popen(
        [*command, "--data", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("exchange ready: ")
        orders = re.search(r"orders=(\S+)", ready)
        assert orders is not None
        with Client(orders[1], 7) as client:
            client.deposit(1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    names = [json.loads(line)["event"] for line in errors.splitlines()]
    assert process.returncode == 0
    assert names == ["node_ready", "drain_began", "snapshot_written", "node_stopped"]


def test_a_message_that_places_anything_is_refused_whole() -> None:
    sessions = Sessions(max_sessions=9)
    known = sessions.find(TRADERS_DOOR, b"known")
    assert known is not None
    known.receive(msgspec.msgpack.encode([0, 1, "login", {"account": 7}]))
    sessions.login(known, Login(7))
    sessions.draining = True
    cancel = encode_command_wire(CancelOrder(account=7, order_id=3), 11)
    deposit = encode_command_wire(Deposit(account=7, amount_atoms=3), 12)
    amend = encode_command_wire(AmendOrder(account=7, order_id=3, price_ticks=5), 13)
    order = PlaceOrder(account=7, symbol=1, side=0, price_ticks=1, qty_lots=1)
    place = encode_command_wire(order, 14)

    def sort(peer: bytes, payload: bytes) -> tuple[list[int], list[tuple[list[int], str]]]:
        (taken,) = sort_frames([Frame(TRADERS_DOOR, peer, payload)], sessions)
        refused = [(refusal.request_ids, str(refusal.code)) for _, _, refusal in taken.refusals]
        return taken.origins.request_ids, refused

    assert sort(b"known", cancel + deposit) == ([11, 12], [])
    assert sort(b"known", cancel + amend) == ([], [([11, 13], "draining")])
    assert sort(b"known", place) == ([], [([14], "draining")])
    assert sort(b"new", cancel) == ([], [([], "draining")])
    assert sort(b"known", b"\xc1") == ([], [([], "malformed")])
