"""A seeded fuzzer at a real node: valid messages, changed a little, by many sessions; then the books are checked."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from strangers import Dealer, control

from exchange.config import SecurityConfig
from exchange.protocol.messages import (
    AmendOrder,
    CancelAll,
    CancelOrder,
    Command,
    Deposit,
    OrderEntry,
    PlaceOrder,
    PlaceOrders,
    SetCountdown,
    SetMark,
    Withdraw,
)
from exchange.protocol.wire import encode_command_wire
from exchange.replay import replay_journal

ROUNDS = 60
FRAMES_A_ROUND = 50
ACCOUNTS = (5, 6, 7)


def valid_commands(draw: random.Random, account: int) -> list[Command]:
    price_ticks, side = 600_000 + draw.randrange(-40, 40), draw.randrange(2)
    order = {"side": side, "price_ticks": price_ticks, "qty_lots": draw.randrange(1, 50)}
    entry = OrderEntry(symbol=1, **order)
    choices: list[Command] = [
        Deposit(account=account, amount_atoms=draw.randrange(1, 10**13)),
        Withdraw(account=account, amount_atoms=draw.randrange(1, 10**10)),
        PlaceOrder(account=account, symbol=1, **order),
        PlaceOrder(account=account, symbol=1, **order),
        PlaceOrders(account=account, orders=(entry, entry)),
        CancelOrder(account=account, order_id=draw.randrange(1, 100)),
        CancelAll(account=account, symbol=1),
        AmendOrder(account=account, order_id=draw.randrange(1, 100), **_only_price(order)),
        SetCountdown(account=account, timeout_ms=draw.randrange(0, 10_000)),
        SetMark(symbol=1, price_ticks=price_ticks),
    ]
    return draw.choices(choices, k=draw.randrange(1, 4))


def _only_price(order: dict[str, int]) -> dict[str, int]:
    return {"price_ticks": order["price_ticks"], "qty_lots": order["qty_lots"]}


def valid_frame(draw: random.Random, account: int) -> bytes:
    if draw.random() < 0.3:
        name = draw.choice(
            ("ping", "login", "hello", "get_book", "get_account", "get_fills", "preview")
        )
        arguments = {
            "login": {"account": account, "after": draw.randrange(5)},
            "hello": {"versions": [1], "heartbeat_ms": 1000},
            "get_book": {"symbol": 1, "depth": draw.randrange(3)},
            "get_account": {"account": account},
            "get_fills": {"account": account, "limit": draw.randrange(1, 9)},
            "preview": {"account": account, "steps": ""},
        }.get(name, {})
        return control(draw.randrange(1, 1 << 32), name, **arguments)
    return b"".join(
        encode_command_wire(command, draw.randrange(1, 1 << 32))
        for command in valid_commands(draw, account)
    )


def mutated(draw: random.Random, frame: bytes) -> bytes:
    """The frame with bytes changed, taken out, put in, doubled, or cut off; one in four stays as it is."""
    data = bytearray(frame)
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(data) + 1)
        match draw.randrange(5):
            case 0 if at < len(data):
                data[at] = draw.randrange(256)
            case 1 if at < len(data):
                data[at] ^= 1 << draw.randrange(8)
            case 2:
                data[at:at] = draw.randbytes(draw.randrange(1, 5))
            case 3:
                del data[at : at + draw.randrange(1, 5)]
            case _:
                data[at:at] = data[:at]
    return bytes(data[:4000])


@pytest.mark.parametrize("seed", [1, 2])
def test_after_fuzzed_frames_the_node_answers_and_its_journal_gives_its_digest(
    start_node, config, seed: int
) -> None:
    """3,000 frames by sessions that come and go: no answer is missing, and a replay comes to the same state."""
    node = start_node(security=SecurityConfig(), engine="native")
    honest = node.client(9, timeout_s=30)
    honest.deposit(1000)
    operator = node.admin_client()
    draw = random.Random(seed)
    for round_number in range(ROUNDS):
        session = Dealer(draw.choice((node.orders, node.orders, node.admin)))
        account = draw.choice(ACCOUNTS)
        session.socket.send(control(1, "login", account=account))
        for _ in range(FRAMES_A_ROUND):
            session.socket.send(mutated(draw, valid_frame(draw, account)))
        if draw.random() < 0.7:
            session.socket.send(control(77, "ping"))  # read, so that all of it has arrived
            while not session.socket.recv().startswith(b"\x93\x00\x4d"):
                pass
        session.close()
        honest.cancel_all()
        assert honest.account().wallet_atoms == 1000 * 10**8, round_number
    status = operator.status()
    assert status["sequence"] > ROUNDS
    node.stop()
    summary = replay_journal(Path(config.data), engine_kind="native", verify=True)
    assert msgspec.to_builtins(summary)["digest"] == status["digest"]
