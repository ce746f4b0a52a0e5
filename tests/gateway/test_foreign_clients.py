"""The clients in Node.js and C, written from the protocol's page, see what the Python client sees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from exchange.client import Bookmark, Client
from exchange.protocol.messages import Event
from exchange.protocol.records import encode_events
from exchange.protocol.wire import encode_events as encode_events_wire

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "examples" / "clients"
#: Where `make clients-test` puts what npm installs.
MODULES = ROOT / "build" / "clients" / "node_modules"
ACCOUNT, KEY = 7, 99


def node_js(folder: Path) -> list[str]:
    node = shutil.which("node")
    places = [place for place in (MODULES, CLIENTS / "node" / "node_modules") if place.is_dir()]
    if node is None or not places:
        pytest.skip("needs node, and its modules: make clients-test installs them")
    os.environ["NODE_PATH"] = str(places[0])
    return [node, str(CLIENTS / "node" / "client.js")]


def c(folder: Path) -> list[str]:
    compiler = shutil.which("cc")
    includes = "#include <zmq.h>\n#include <msgpack.h>\n"
    if compiler is None or shutil.which("make") is None:
        pytest.skip("needs a C compiler and make")
    looked = subprocess.run([compiler, "-E", "-"], input=includes, text=True, capture_output=True)
    if looked.returncode:
        pytest.skip("needs the headers of libzmq and msgpack-c")
    for name in ("client.c", "Makefile"):
        shutil.copy(CLIENTS / "c" / name, folder)
    subprocess.run(["make", "-C", str(folder), "client"], check=True, capture_output=True)
    return [str(folder / "client")]


def line_of(number: int, event: Event) -> str:
    """An event as the foreign clients print it: its array without the request id."""
    kind, _, *rest = msgspec.msgpack.decode(encode_events_wire(encode_events([event]), 0, []))
    return f"event {number} [{','.join(map(str, (kind, *rest)))}]"


@pytest.mark.parametrize("build", [node_js, c])
def test_a_client_in_another_language_sees_what_ours_sees(node, tmp_path: Path, build) -> None:
    command = build(tmp_path)
    arguments = [node.orders, node.market_data, str(ACCOUNT), str(KEY)]
    ran = subprocess.run([*command, *arguments], text=True, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    ours = node.client(ACCOUNT)
    ((epoch, number),) = ours.bookmark().places.values()
    with Client(node.orders, ACCOUNT, resume=Bookmark(KEY, {ACCOUNT: (epoch, 0)})) as again:
        events = again.poll(5)
        while len(events) < number:
            events += again.poll(5)
    told = [line_of(at, event) for at, event in enumerate(events, start=1)]
    assert [line for line in lines if line.startswith("event")] == told
    assert len(told) == 10
    book = ours.book("BTC-PERP")
    levels = [f"{level.price_ticks}:{level.qty_lots}:{level.order_count}" for level in book.bids]
    assert [line.rstrip() for line in lines if not line.startswith("event")] == [
        "hello version 1",
        "login number 0",
        "joined bids  asks",
        "hello version 1",
        "login number 10",
        "the cancel was done",
        f"book bids {' '.join(levels)} asks",
        "goodbye",
    ]
