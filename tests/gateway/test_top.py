"""``exchange top``: what it shows of a node, at the size of a terminal, and over a restart."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.cli import main
from exchange.config import Endpoints, SecurityConfig
from exchange.gateway.permission import Role
from exchange.keys import AuthorisedKey, authorise, new_pair, write_server_keys
from exchange.ops.top.frame import frame
from exchange.ops.top.picture import Picture
from exchange.ops.top.watch import Watch

BTC = "BTC-PERP"


@pytest.fixture
def watch_of() -> Iterator[Callable[..., Watch]]:
    made: list[Watch] = []

    def make(node: Any, **options: Any) -> Watch:
        made.append(Watch(node.orders, **options))
        return made[-1]

    yield make
    for watch in made:
        watch.close()


def text_of(watch: Watch, width: int = 80, height: int = 24) -> str:
    lines = frame(watch.picture, width, height)
    assert len(lines) <= height
    assert {line.cell_len for line in lines} == {width}
    return "\n".join(line.plain.rstrip() for line in lines)


def trade(node: Any) -> None:
    maker, taker = node.client(7), node.client(8)
    maker.deposit(100_000)
    taker.deposit(100_000)
    maker.limit(BTC, "buy", "0.250", "59990.5")
    maker.limit(BTC, "sell", "1.500", "60000")
    taker.market(BTC, "buy", "0.125")


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_a_frame_shows_what_there_is(start_node, watch_of, engine: str) -> None:
    node = start_node(engine=engine)
    watch = watch_of(node)
    assert watch.look()
    trade(node)
    assert watch.look()
    text = text_of(watch)
    assert f"{engine} 0.1.0, durability always" in text
    assert re.search(r"round trip \d+\.\d+ ms, worst", text)
    assert re.search(r"commands [1-9][\d,]*/s   trades [1-9][\d,]*/s   sequence 9\b", text)
    assert re.search(r"sessions 4 +journal lag 0 +held 0 B +node serving", text)
    row = next(line for line in text.splitlines() if line.startswith(BTC)).split()
    assert row[:7] == [BTC, "60,000.0", "60,000.0", "by", "hand", "-", "0.125"]
    assert row[7] == "0.125"
    assert "BTC-PERP  spread 9.5" in text
    assert re.search(r"0\.250 59,990\.5 │ 60,000\.0 1\.375", text)
    assert "shared 1,000,000.00" in text
    # Fees: 7,500 at 0.0005 and 0.0002.
    assert "fees 5.25" in text
    assert "none since this was started" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (81, 25), (200, 60), (10, 5)])
def test_a_frame_fits_its_terminal(node, watch_of, width: int, height: int) -> None:
    trade(node)
    watch = watch_of(node)
    watch.look()
    text = text_of(watch, max(width, 80), max(height, 24))
    assert BTC in text
    assert "LIQUIDATIONS" in text
    assert frame(watch.picture, width, height)[0].cell_len == max(width, 80)


def test_several_symbols_stand_beside_each_other(start_node, config, watch_of) -> None:
    (btc,) = config.symbols
    symbols = [
        msgspec.structs.replace(btc, symbol=n, name=f"S{n}-PERP", exposure_limit=10**6)
        for n in range(2, 12)
    ]
    node = start_node(symbols=(btc, *symbols), mark_ticks=dict.fromkeys(range(1, 12), 600_000))
    watch = watch_of(node)
    watch.look()
    text = text_of(watch)
    assert re.search(r"^BTC-PERP .* S2-PERP", text, re.MULTILINE)
    assert "and 7 more: --symbol chooses" in text
    chosen = watch_of(node, only=["S9-PERP"])
    chosen.look()
    assert "S9-PERP" in text_of(chosen)
    assert "S2-PERP" not in text_of(chosen)


def test_liquidations_and_funds_are_shown(node, watch_of) -> None:
    long, short, admin = node.client(7), node.client(8), node.admin_client()
    watch = watch_of(node, admin="")
    watch.look()
    long.deposit(100)
    short.deposit(100_000)
    long.set_margin_mode(BTC, "isolated", leverage=100)
    short.limit(BTC, "buy", "0.1", "59000")
    long.limit(BTC, "sell", "0.001", "61000")
    short.limit(BTC, "sell", "0.1", "60000")
    long.market(BTC, "buy", "0.1")
    for _ in range(100):
        admin.set_mark(BTC, 59_000)
        watch.look()
        if watch.picture.liquidations:
            break
    assert re.search(r"\d\d:\d\d:\d\d BTC-PERP sell 0\.100 to ", text_of(watch))
    assert "sessions" not in text_of(watch)  # the operator's door is not asked


def test_a_node_with_keys_is_looked_at_with_keys(start_node, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "keys"
    server_key = write_server_keys(folder).public_key
    files = []
    for name, role, accounts in (("desk", Role.TRADER, (7,)), ("ops", Role.ADMIN, ())):
        pair = new_pair()
        authorise(folder, AuthorisedKey(name, pair[0], role, accounts))
        files.append(tmp_path / f"{name}.toml")
        fields = ("public_key", "secret_key", "server_public_key")
        lines = (f"{f} = '{value}'\n" for f, value in zip(fields, (*pair, server_key), strict=True))
        files[-1].write_text("".join(lines))
        files[-1].chmod(0o600)
    node = start_node(security=SecurityConfig(keys=folder))
    command = ["top", "--once", "--endpoint", node.orders]
    assert main([*command, "--keys", str(files[0])]) == 0
    assert "sessions" not in capsys.readouterr().out
    assert main([*command, "--keys", str(files[0]), "--admin-keys", str(files[1])]) == 0
    assert "sessions 2" in capsys.readouterr().out
    assert main(command) == 1
    assert f"no answer from {node.orders}" in capsys.readouterr().out


def test_it_says_that_the_node_is_away_and_comes_back(start_node, config, watch_of) -> None:
    first = start_node()
    endpoints = Endpoints(first.orders, first.market_data, first.admin)
    watch = watch_of(first)
    assert watch.look()
    first.stop()
    assert not watch.look()
    text = text_of(watch)
    assert "away for 0m0" in text
    assert f"no answer from {first.orders}" in text
    assert BTC in text  # what was known last
    start_node(endpoints=endpoints)
    assert watch.look() or watch.look()
    assert "away" not in text_of(watch)


def test_before_anything_is_known_it_says_so() -> None:
    picture = Picture("tcp://127.0.0.1:1")
    assert frame(picture, 80, 24)[1].plain.strip() == "connecting"
    picture.miss("no answer from tcp://127.0.0.1:1", 0.0)
    assert "no answer" in frame(picture, 80, 24)[1].plain


def test_once_prints_a_frame_for_pipes(node, capsys: pytest.CaptureFixture[str]) -> None:
    trade(node)
    assert main(["top", "--once", "--endpoint", node.orders]) == 0
    out = capsys.readouterr().out
    assert "exchange top" in out
    assert "60,000.0 1.375" in out
    assert "\x1b" not in out


def test_once_at_nobody_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once", "--endpoint", "tcp://127.0.0.1:1"]) == 1
    assert "no answer from tcp://127.0.0.1:1" in capsys.readouterr().out


def test_without_rich_it_says_what_to_install(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main(["top", "--once"]) == 2
    assert "pip install 'perpetual-exchange[ops]'" in capsys.readouterr().err


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_a_key_ends_it_and_leaves_the_terminal_as_it_was(node, key: bytes) -> None:
    def own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background

    terminal, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(inside)
    command = [sys.executable, "-m", "exchange", "top", "--endpoint", node.orders]
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        command,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, "PYTHONPATH": root, "TERM": "xterm"},
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    try:
        shown = b""
        while b"LIQUIDATIONS" not in shown:
            assert select.select([terminal], [], [], 20)[0], shown
            shown += os.read(terminal, 65536)
        os.write(terminal, key)
        ends_by = time.monotonic() + 30
        while process.poll() is None:
            assert time.monotonic() < ends_by, shown
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536)
        assert process.returncode == 0
        assert termios.tcgetattr(inside) == before
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
        os.close(inside)
