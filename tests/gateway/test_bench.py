"""The measurement of the gateway: what it sends, what it makes of answers, a short run.  No time is tested."""

from __future__ import annotations

import argparse
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import zmq

from exchange._native.load import Load
from exchange.bench import gateway
from exchange.bench.gateway import answers, orders, plan
from exchange.bench.gateway.ledger import Trial
from exchange.bench.gateway.processes import Placement
from exchange.bench.gateway.writer import Ledger
from exchange.cli import main
from exchange.protocol import messages, wire
from exchange.protocol.schema import FillRole, Side

RESULT = dict.fromkeys(
    [*answers.MUST_BE_NONE, "bought_lots", "sold_lots", "taken_lots", "made_lots", "rejected"], 0
) | {"control": "", "reasons": {}}


# ------------------------------------------------------------------------------------------- what is sent


def test_every_command_of_a_tape_can_be_read_and_names_the_order_it_cancels() -> None:
    commands = [*orders.quotes(7, 3), *orders.trades([8, 9], 3)]
    data, patches = orders.message(commands)
    sent = bytearray(data)
    for at, add in patches:
        sent[at : at + 4] = struct.pack(">I", orders.FIRST_ID + add)
    records, request_ids = wire.decode_commands(bytes(sent))
    assert request_ids == [orders.FIRST_ID + place for place in range(len(commands))]
    resting: dict[tuple[int, int], bool] = {}
    for each in messages_of(records):
        key = (each.account, each.client_order_id)
        if isinstance(each, messages.PlaceOrder):
            assert key not in resting
            resting[key] = True
        else:
            assert resting.pop(key)
    # Of the trades nothing is cancelled: half of them are pairs that meet.
    assert len(resting) == orders.CYCLE // 2


def messages_of(records: bytes) -> list[messages.Command]:
    from exchange.protocol.records import decode_commands

    return decode_commands(records)


def test_the_mixed_workload_is_sent_as_it_is_written(tmp_path: Path) -> None:
    from exchange.bench import core, workloads

    file = tmp_path / "mixed.bin"
    workloads.write("mixed", 6000, 1, file)
    wanted = list(core.translate(file.read_bytes()))
    sent = b"".join(data for data, _ in orders.tape(orders.mixed_commands(file), 1))
    assert wire.decode_commands(sent, max_commands=10_000)[0] == b"".join(wanted)


# ------------------------------------------------------------------------- what the generator makes of answers

Reply = Callable[[int], bytes]


@contextmanager
def answering(reply: Callable[[list[int]], list[bytes]]) -> Iterator[zmq.Socket[bytes]]:
    """A DEALER whose messages are answered by ``reply``, given the request ids."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port = router.bind_to_random_port("tcp://127.0.0.1")

    def run() -> None:
        while True:
            try:
                peer, payload = router.recv_multipart()
            except zmq.ContextTerminated:
                router.close(linger=0)
                return
            for answer in reply(wire.decode_commands(payload)[1]):
                router.send_multipart((peer, answer))

    thread = threading.Thread(target=run)
    thread.start()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(f"tcp://127.0.0.1:{port}")
    yield dealer
    dealer.close(linger=0)
    context.term()
    thread.join(5)


def accepted(request_id: int, sequence: int, account: int = 1) -> bytes:
    event = (128, request_id, account, sequence, 1, 7, 1, 1)
    return msgspec.msgpack.encode(event)


def play(
    reply: Callable[[list[int]], list[bytes]], batch: int = 1, count: int = 6, **arguments: object
) -> dict[str, object]:
    with answering(reply) as dealer:
        tape = orders.tape(orders.quotes(1, 0), batch)
        load = Load([dealer], [tape], orders.FIRST_ID, batch)
        arguments = {"in_flight": batch, "messages": count, "patience_ms": 20_000, **arguments}
        return load.run(**arguments)


class Answering:
    """Answers every request with the next place in a journal."""

    def __init__(self) -> None:
        self.sequence = 0

    def __call__(self, request_ids: list[int]) -> list[bytes]:
        parts = []
        for request_id in request_ids:
            self.sequence += 1
            parts.append(accepted(request_id, self.sequence))
        return [b"".join(parts)]


@pytest.mark.parametrize("arguments", [{}, {"in_flight": 64}, {"per_second": 1000}])
@pytest.mark.parametrize("batch", [1, 16])
def test_every_request_is_answered_once(batch: int, arguments: dict[str, object]) -> None:
    result = play(Answering(), batch=batch, **arguments)
    answers.check_run("here", result, of_exchange=True)
    assert result["sent"] == result["answered"] == result["accepted"] == 6 * batch
    assert sum(count for _, count in result["latencies_ns"]) == 6 * batch


def test_a_request_without_an_answer_is_lost() -> None:
    answering_all = Answering()

    def never_the_third(request_ids: list[int]) -> list[bytes]:
        replies = answering_all(request_ids)
        return [] if request_ids == [orders.FIRST_ID + 2] else replies

    result = play(never_the_third, in_flight=6, patience_ms=2000)
    assert (result["lost"], result["passed_over"]) == (1, 1)
    with pytest.raises(answers.WrongAnswer, match="1 requests without an answer"):
        answers.check_run("here", result, of_exchange=True)


def test_a_result_that_comes_twice_is_counted() -> None:
    answering_all = Answering()
    result = play(lambda ids: answering_all(ids) * 2)
    assert result["doubled"] >= 5
    assert result["disordered"] == result["passed_over"] == 0


def test_places_in_the_journal_must_rise() -> None:
    result = play(lambda ids: [accepted(ids[0], 5)])
    assert result["disordered"] == 5


def test_what_is_no_whole_message_is_unreadable_and_a_refusal_is_told() -> None:
    answering_all = Answering()
    refusal = msgspec.msgpack.encode((0, 0, {"error": "malformed", "message": "no"}))
    heartbeat = msgspec.msgpack.encode((0, 0, {"heartbeat": 3}))

    def reply(ids: list[int]) -> list[bytes]:
        (good,) = answering_all(ids)
        return [b"\x98\xcc", b"junk", good + b"\xc1", heartbeat, refusal]

    result = play(reply)
    assert (result["accepted"], result["refused"]) == (6, 6)
    assert result["unreadable"] >= 15
    assert b"malformed" in result["control"]


def test_fills_are_added_up_by_side_and_role_and_rejections_by_reason() -> None:
    answering_all = Answering()

    def fill(role: FillRole, side: Side, lots: int) -> bytes:
        body = (134, 0, 1, 1, 1, side, role, 0, 0, 1, 1, 1, 100, lots, *([0] * 8))
        return msgspec.msgpack.encode(body)

    def reply(ids: list[int]) -> list[bytes]:
        (good,) = answering_all(ids)
        if ids[0] == orders.FIRST_ID:
            return [msgspec.msgpack.encode((129, ids[0], 1, answering_all.sequence, 1, 7, 11, 0))]
        made, taken = fill(FillRole.MAKER, Side.BUY, 300), fill(FillRole.TAKER, Side.SELL, 299)
        return [good + made + taken]

    result = play(reply)
    assert (result["rejected"], result["reasons"]) == (1, {11: 1})
    lots = [result[name] for name in ("made_lots", "bought_lots", "taken_lots", "sold_lots")]
    assert (result["fills"], lots) == (10, [1500, 1500, 1495, 1495])
    with pytest.raises(answers.WrongAnswer, match="bought_lots 1500, sold_lots 1495"):
        answers.check_run("here", result, of_exchange=True)


def test_private_positions_are_followed() -> None:
    answering_all = Answering()
    numbers = iter([10, 11, 12, 14, 15, 16])  # one event in each message, and one is missing

    def reply(ids: list[int]) -> list[bytes]:
        return [msgspec.msgpack.encode((127, 1, next(numbers))) + answering_all(ids)[0]]

    result = play(reply)
    assert (result["positions"], result["position_gaps"], result["unreadable"]) == (6, 1, 0)


def test_latency_counts_from_the_intended_time() -> None:
    """A server that sleeps once is charged with all that was to be sent meanwhile."""
    answering_all = Answering()
    slept = threading.Event()

    def reply(ids: list[int]) -> list[bytes]:
        if not slept.is_set():
            slept.wait(0.2)
            slept.set()
        return answering_all(ids)

    result = play(reply, count=100, per_second=1000)
    late = sum(count for ns, count in result["latencies_ns"] if ns > 50_000_000)
    assert late >= 100  # all 100 were due within half of the sleep


def test_a_tape_that_cannot_be_patched_is_an_error() -> None:
    with answering(Answering()) as dealer:
        with pytest.raises(ValueError, match="no 4 bytes at 2"):
            Load([dealer], [[(b"abcde", [(2, 0)])]], 1, 1)
        with pytest.raises(ValueError, match="a tape for each"):
            Load([dealer], [], 1, 1)
        with pytest.raises(ValueError, match="at least one message"):
            Load([dealer], [[]], 1, 1)


# -------------------------------------------------------------------------------------------------- a run


def test_wrong_answers_are_named() -> None:
    answers.check_run("here", RESULT, of_exchange=True)
    for name in answers.MUST_BE_NONE:
        with pytest.raises(answers.WrongAnswer, match=answers.MUST_BE_NONE[name]):
            answers.check_run("here", {**RESULT, name: 2}, of_exchange=True)
    answers.check_run("here", {**RESULT, "disordered": 2}, of_exchange=False)
    with pytest.raises(answers.WrongAnswer, match="4 rejected"):
        answers.check_accepted("here", {**RESULT, "rejected": 4})


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    gateway.add_arguments(parser)
    return parser.parse_args(arguments)


def test_a_short_measurement_checks_its_answers(capsys, tmp_path: Path, monkeypatch) -> None:
    short = msgspec.structs.replace(
        plan.QUICK,
        seconds=0.05,
        mixed_orders=6000,
        warmup_orders=640,
        settings=[
            plan.Setting(plan.BASE, [plan.PING_PONG, plan.at(2_000), plan.SATURATED]),
            plan.Setting(
                "batches to subscribers",
                [plan.at(20_000)],
                stream="trades",
                clients=2,
                batch=64,
                durability="always",
                subscribers=2,
                stalled=1,
            ),
            plan.Setting("mixed", [plan.SATURATED_BATCHES], stream="mixed", batch=64),
        ],
    )
    monkeypatch.setattr(plan, "QUICK", short)
    assert main(["bench", "gateway", "--quick", "--json", "--out", str(tmp_path / "out")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"rtt_p50_ratio", "rtt_p99_ratio", "throughput_ratio", "orders_per_s"} <= set(told)
    base, batches, mixed = told["settings"]
    assert base["checked"]["acknowledged"] > 640
    assert batches["checked"]["fills"] > 0
    assert len(batches["heard"]) == 2
    assert batches["heard"][0] == batches["heard"][1]
    assert mixed["checked"]["fills"] > 0
    drawn = {path.name for path in (tmp_path / "out").iterdir()}
    assert drawn == {"gateway-percentiles.png", "gateway-rates.png"}


def test_an_unknown_setting_is_one_clear_line(capsys) -> None:
    assert main(["bench", "gateway", "--only", "nonsense"]) == 2
    assert "no such setting; there are: one client" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------ soak and kills


def test_a_short_soak_loses_and_doubles_nothing(capsys, tmp_path: Path) -> None:
    arguments = ["bench", "gateway", "--soak", "2", "--rate", "2000", "--json"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checked"]["acknowledged"] >= 2000
    assert told["checked"]["fills"] > 0
    assert told["heard"] > 0
    assert all(sample["resident_bytes"] > 1 << 20 for sample in told["samples"])
    assert (tmp_path / "gateway-soak.png").exists()


@pytest.mark.parametrize("durability", ["always", "interval"])
def test_nothing_acknowledged_is_lost_or_done_twice_when_all_are_killed(
    tmp_path: Path, durability: str
) -> None:
    trial = Trial(tmp_path, 3, durability, Placement(), seed=1)
    kills = trial.run(2, 0.4, lambda text: None)
    assert (kills.nodes_killed, kills.lost, kills.doubled) == (2, 0, 0)
    assert kills.writers_killed >= 2
    assert kills.acknowledged > 100


def test_a_ledger_finds_what_is_lost_doubled_and_invented(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("S 1\nA 1 70\nS 2\nA 2 71\nS 3\nA 3")  # the last line was cut off
    ledger = Ledger(path)
    ledger.close()
    assert ledger.open_numbers() == [3]

    def compared(*found: tuple[int, int]) -> tuple[int, int, int]:
        trial = Trial(tmp_path, 1, "always", Placement(), seed=1)
        trial.compare_one(1, ledger, list(found))
        return trial.kills.lost, trial.kills.doubled, trial.kills.unanswered_done

    assert compared((1, 70), (2, 71)) == (0, 0, 0)
    assert compared((1, 70), (2, 71), (3, 72)) == (0, 0, 1)
    assert compared((1, 70)) == (1, 0, 0)
    assert compared((1, 70), (2, 99)) == (1, 0, 0)
    assert compared((1, 70), (1, 73), (2, 71)) == (1, 1, 0)
    with pytest.raises(answers.WrongAnswer, match="nobody sent"):
        compared((1, 70), (2, 71), (4, 80))
