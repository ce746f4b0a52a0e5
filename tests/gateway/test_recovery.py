"""A node that dies, in whatever way, comes back with everything that it ever acknowledged."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.cli import main
from exchange.client import AdminClient, Client, RequestRefused
from exchange.client.requests import Ask, Call
from exchange.engine import create_engine
from exchange.journal import Durability, Journal
from exchange.node import Node
from exchange.protocol.messages import Deposit
from exchange.protocol.records import encode_commands
from exchange.recovery import replay, restore_newest, skip_commands
from exchange.segments import JournalDamaged, JournalError, scan, segment_paths
from exchange.sequencer import Sequencer
from exchange.snapshot import snapshot_paths

BTC = "BTC-PERP"


def trade(endpoint: str, account: int, count: int, price: int = 50_000) -> set[int]:
    """Rests orders, each acknowledged, and returns their ids."""
    with Client(endpoint, account) as client:
        client.deposit(1000)
        return {client.limit(BTC, "buy", "0.001", price + step).order_id for step in range(count)}


def send_only(client: Client, ask: Ask[Any]) -> Call[Any]:
    """Sends, and waits for nothing."""
    call = client._core.submit(ask, time.monotonic_ns(), deadline_ns=1 << 62)
    assert client._look_after(time.monotonic_ns())
    return call


def test_kill_9_loses_nothing_that_was_acknowledged(serve) -> None:
    first = serve("--durability", "always")
    client = Client(first.ready["orders"], 7)
    client.deposit(100_000)
    acknowledged = set()
    for step in range(100):
        acknowledged.add(client.limit(BTC, "buy", "0.001", 50_000 + step).order_id)
    with AdminClient(first.ready["admin"]) as admin:
        digest = admin.status()["digest"]
    # A batch is under way when the node dies: it may be there afterwards or not, but never in part.
    send_only(
        client, client._ask.place_many([client.limit_order(BTC, "buy", "0.001", "49000")] * 50)
    )
    first.stop(signal.SIGKILL)
    client._close(linger_ms=0)
    second = serve()
    with Client(second.ready["orders"], 7) as again:
        alive = {order.order_id for order in again.open_orders()}
        assert acknowledged <= alive
        assert len(alive) in (100, 150)
        if len(alive) == 100:
            assert second.ready["digest"] == digest
        assert again.limit(BTC, "buy", "0.001", "48000").order_id not in alive


def test_kill_9_of_an_idle_node_gives_the_same_digest(serve) -> None:
    first = serve()
    trade(first.ready["orders"], 7, 20)
    with AdminClient(first.ready["admin"]) as admin:
        status = admin.status()
    first.stop(signal.SIGKILL)
    second = serve()
    assert second.ready["digest"] == status["digest"]
    assert int(second.ready["sequence"]) == status["sequence"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_was_taken_and_leaves_a_snapshot(
    serve, tmp_path: Path, number: int
) -> None:
    first = serve("--durability", "off")
    orders = trade(first.ready["orders"], 7, 20)
    code, errors = first.stop(number)
    assert code == 0
    assert "snapshot_written" in errors
    assert "warning" not in errors
    (snapshot,) = snapshot_paths(tmp_path / "data" / "snapshots")
    second = serve()
    assert int(second.ready["sequence"]) == int(snapshot.stem) == 4 + 1 + 20
    with Client(second.ready["orders"], 7) as client:
        assert {order.order_id for order in client.open_orders()} == orders


def test_replies_that_were_under_way_at_sigterm_are_told_or_not_carried_out(serve) -> None:
    """Commands sent right before the end: for every one that is in the book afterwards the client got its reply."""
    first = serve("--durability", "always")
    client = Client(first.ready["orders"], 7)
    client.deposit(100_000)
    orders = [client.limit_order(BTC, "buy", "0.001", "50000")] * 200
    call = send_only(client, client._ask.place_many(orders))
    assert first.stop(signal.SIGTERM)[0] == 0
    while client._link.socket.poll(300):
        client._drain()
    replies = [request.reply for request in call.requests if request.reply is not None]
    replied = sum(not isinstance(reply, RequestRefused) for reply in replies)  # refused: it drains
    client._close(linger_ms=0)
    second = serve()
    with Client(second.ready["orders"], 7) as again:
        assert len(again.open_orders()) == replied
    assert replied in (0, 200)


def test_a_second_node_on_the_same_folder_is_one_clear_line(serve, capsys, tmp_path: Path) -> None:
    serve()
    config = tmp_path / "data.toml"
    assert main(["serve", "--data", str(tmp_path / "data"), "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is in use by process" in error


def test_an_endpoint_that_is_taken_is_one_clear_line(node, capsys, tmp_path: Path) -> None:
    config = tmp_path / "taken.toml"
    config.write_text(
        f'[endpoints]\norders = "{node.orders}"\nadmin = "tcp://127.0.0.1:*"\nmarket_data = "tcp://127.0.0.1:*"\n'
    )
    assert main(["serve", "--data", str(tmp_path / "other"), "--config", str(config)]) == 2
    assert "endpoint orders: cannot listen on" in capsys.readouterr().err


# ----------------------------------------------------------------------------------- snapshots and journals


def run_and_stop(start_node: Callable[..., object], stories: int, **changes: object) -> Path:
    """Runs a node a few times over the same folder, a few orders each time."""
    for _ in range(stories):
        running = start_node(**changes)
        trade(running.orders, 7, 5)
        running.stop()
    return running.node.config.data


def test_a_damaged_snapshot_is_passed_over_with_a_warning(start_node) -> None:
    data = run_and_stop(start_node, 2)
    newest = snapshot_paths(data / "snapshots")[0]
    digest = digest_of_replay(data)
    newest.write_bytes(newest.read_bytes()[:-1])
    running = start_node()
    assert any("passed over" in line and newest.name in line for line in running.said)
    assert running.node.engine.digest() == digest


def test_without_any_good_snapshot_the_whole_journal_is_replayed(start_node) -> None:
    data = run_and_stop(start_node, 2)
    digest = digest_of_replay(data)
    for path in snapshot_paths(data / "snapshots"):
        path.write_bytes(b"nonsense")
    running = start_node()
    assert len(running.said) == 2
    assert running.node.engine.digest() == digest


def digest_of_replay(data: Path) -> str:
    engine = create_engine()
    replay(engine, scan(data / "journal"))
    return engine.digest()


def test_fills_of_the_journals_tail_are_remembered(start_node) -> None:
    running = start_node()
    running.node.take_snapshot = lambda: ""
    seller, buyer = running.client(8), running.client(9)
    for client in (seller, buyer):
        client.deposit(1000)
    seller.limit(BTC, "sell", "0.001", "60000")
    buyer.market(BTC, "buy", "0.001")
    fills = buyer.fills()
    running.stop()
    assert start_node().client(9).fills() == fills


def test_a_torn_tail_is_cut_with_a_warning_and_the_rest_is_there(start_node, config) -> None:
    running = start_node()
    running.node.take_snapshot = lambda: ""
    trade(running.orders, 7, 5)
    running.stop()
    path = segment_paths(config.data / "journal")[-1]
    *_, last = scan(config.data / "journal")
    data = bytearray(path.read_bytes())
    data[last.offset + 20 :] = bytes(len(data) - last.offset - 20)
    path.write_bytes(data)
    again = start_node()
    assert any(
        "bytes of a write that was under way; they are cut off" in line for line in again.said
    )
    assert again.node.engine.sequence == last.first_sequence - 1


def test_damage_in_the_journal_stops_the_start(start_node, config) -> None:
    data = run_and_stop(start_node, 1)
    path = segment_paths(data / "journal")[0]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    for snapshot in snapshot_paths(data / "snapshots"):
        snapshot.unlink()
    with pytest.raises(JournalDamaged, match="where command 1 should be"):
        Node(config)
    # Nobody holds the folder now.
    Journal(config.data / "elsewhere").close()


def test_a_snapshot_ahead_of_the_journal_stops_the_start(start_node, config) -> None:
    data = run_and_stop(start_node, 1)
    path = segment_paths(data / "journal")[0]
    *_, last = scan(data / "journal")
    path.write_bytes(path.read_bytes()[: last.offset])
    with pytest.raises(JournalDamaged, match="a snapshot says that"):
        Node(config)


def test_a_snapshot_inside_a_frame_replays_only_the_rest_of_it(tmp_path: Path) -> None:
    """Group commit makes frames of several batches; a snapshot may stand between two of them."""
    deposits = [Deposit(account=7, amount_atoms=amount) for amount in range(1, 6)]
    batch = Sequencer(clock=lambda: 1).stamp(encode_commands(deposits), 5)
    journal = Journal(tmp_path)
    journal.append(batch.commands, 1, 5)
    journal.close()
    (frame,) = scan(tmp_path)
    whole, from_snapshot = create_engine(), create_engine()
    assert replay(whole, [frame]) == 5
    head = batch.commands[: -len(skip_commands(batch.commands, 2))]
    from_snapshot.apply(head)
    assert from_snapshot.sequence == 2
    assert replay(from_snapshot, scan(tmp_path, 3)) == 3
    assert from_snapshot.digest() == whole.digest()


def test_a_failing_disk_stops_the_node_and_acknowledges_nothing(start_node, monkeypatch) -> None:
    running = start_node()
    client = running.client(7, timeout_s=0.3)

    def broken(file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("exchange.disk.sync_data", broken)
    with pytest.raises(Exception, match="no answer from"):
        client.deposit(1000)
    with pytest.raises(JournalError, match=r"syncing the journal .* failed"):
        running.stop()


@pytest.mark.parametrize("durability", list(Durability))
def test_every_durability_comes_back_after_a_clean_stop(
    start_node, config, durability: Durability
) -> None:
    journal = msgspec.structs.replace(config.journal, durability=durability)
    data = run_and_stop(start_node, 2, journal=journal)
    running = start_node(journal=journal)
    assert running.node.engine.sequence == 4 + 2 * 6
    assert running.node.engine.digest() == digest_of_replay(data)


def test_the_snapshot_alone_gives_the_engine_back(start_node) -> None:
    data = run_and_stop(start_node, 1)
    restored = restore_newest(data / "snapshots", create_engine)
    assert (restored.sequence, restored.warnings) == (10, [])
    assert restored.engine.digest() == digest_of_replay(data)


def test_a_changed_policy_is_told_and_not_applied_and_a_new_symbol_is_listed(
    start_node, config
) -> None:
    run_and_stop(start_node, 1)
    (btc,) = config.symbols
    changed = msgspec.structs.replace(btc, leverage=btc.leverage / 2, exposure_limit=None)
    eth = msgspec.structs.replace(btc, symbol=2, name="ETH-PERP", exposure_limit=None)
    running = start_node(symbols=(changed, eth), mark_ticks={2: 30_000})
    assert [line for line in running.said if "not applied" in line and "BTC-PERP" in line]
    client = running.client(7)
    views = {name: listed.view for name, listed in client.symbols().items()}
    assert (views["ETH-PERP"].mark_ticks, views[BTC].mark_ticks) == (30_000, 600_000)
    running.stop()
    assert [line for line in start_node(symbols=config.symbols).said if "not applied" in line] == []


def test_a_client_of_before_the_restart_logs_in_again_by_itself(serve, tmp_path: Path) -> None:
    first = serve()
    client = Client(first.ready["orders"], 7)
    client.deposit(1000)
    first.stop(signal.SIGTERM)
    config = tmp_path / "same-ports.toml"
    config.write_text(
        "[endpoints]\n"
        + "".join(
            f'{name} = "{first.ready[name]}"\n' for name in ("orders", "admin", "market_data")
        )
    )
    arguments = ["--config", str(config)]
    second = serve(*arguments)
    assert second.ready["orders"] == first.ready["orders"]
    client.deposit(1)
    assert client.account().wallet_atoms == 1001 * 10**8
    client.close()
